"""What evidence counts, against which builds, and until when; whole stories are in reconcile/test_quarantine.py."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from keelway.api.build import Build
from keelway.api.quarantine import MAX_QUARANTINED, Quarantine
from keelway.reconcile.decide import Create, Rest, decide
from keelway.status import quarantine
from keelway.status.build import Failure, Inputs, failed_status
from keelway.status.image import image_status
from keelway.status.observed import ImageObserved
from tests.unit.objects import NOW, bad, build, good, image, inputs

TEST = {"name": "answers", "command": ["true"]}
TESTED = image(tests=[TEST])
R1, R2 = inputs(TESTED, "r1"), inputs(TESTED, "r2")
OTHER_TEST = inputs(image(tests=[{**TEST, "timeoutSeconds": 9}]), "r1")
NO_TEST = inputs(image(), "r1")
TOLD = Failure("TestFailed", "Test answers exited with code 1. Correct it.\nlog", test="answers")
LATER = NOW + timedelta(hours=1)


def _failed(number: int, of: Inputs, digest: str = "sha256:bad", *before: Build) -> Build:
    """A record that was built, and failed its test."""
    made = build(number, of)
    pushed = made.model_copy(update={"status": made.status.model_copy(update={"digest": digest})})
    found = quarantine.verdict(pushed, TOLD, before, NOW)
    return pushed.model_copy(update={"status": failed_status(pushed, TOLD, NOW, None, found)})


def _rolled_back(of: Build) -> Build:
    """A version whose rollout had to be undone: what an App's evidence will look like."""
    found = Quarantine(reason="RolledBack", message="Its pods crash.", time=NOW, digest=of.status.digest)
    return of.model_copy(update={"status": of.status.model_copy(update={"quarantine": found})})


def test_a_failed_test_is_evidence_against_inputs_and_digest() -> None:
    records = (good(1, R2), _failed(2, R1))
    assert quarantine.of_inputs(records, R1) == quarantine.of_digest(records, "sha256:bad") == records[1]
    assert quarantine.of_inputs(records, R2) is quarantine.of_digest(records, "sha256:other") is None


def test_only_a_test_that_gave_its_verdict_is_evidence() -> None:
    record = build(2, R1)
    for told in (Failure("BuildFailed", "no"), Failure("TestInterrupted", "no", retry=True, test="answers")):
        assert quarantine.verdict(record, told, (), NOW) is None


def test_records_of_older_operators_are_no_evidence() -> None:
    """They rest while they are the newest, as they did."""
    record = bad(2, R1, "TestFailed")
    assert quarantine.of_inputs((good(1, R2), record), R1) is None
    assert decide(TESTED, ImageObserved((good(1, R2), record)), R1, LATER) == Rest()


def test_the_digest_that_serves_is_spared_also_where_its_record_is_gone() -> None:
    made = build(2, R1)
    pushed = made.model_copy(update={"status": made.status.model_copy(update={"digest": "sha256:serves"})})
    found = quarantine.verdict(pushed, TOLD, (), NOW, serving="sha256:serves")
    assert found is not None
    assert found.digest is None
    other = quarantine.verdict(pushed, TOLD, (), NOW, serving="sha256:other")
    assert other is not None
    assert other.digest == "sha256:serves"


def test_a_digest_that_is_a_version_is_spared_and_the_inputs_are_not() -> None:
    version = good(1, R2)
    record = _failed(2, R1, version.status.digest or "", version)
    assert quarantine.of_digest((version, record), version.status.digest) is None
    assert quarantine.of_inputs((version, record), R1) == record
    assert ImageObserved((version, record)).latest_good == version


def test_a_build_with_another_test_of_that_name_is_tested_anew_and_one_without_it_is_not() -> None:
    records = (_failed(1, R1),)
    assert quarantine.of_built(records, build(2, OTHER_TEST), "sha256:bad") is None
    for asked in (NO_TEST, R2):
        assert quarantine.of_built(records, build(2, asked), "sha256:bad") == records[0]
    assert quarantine.of_built(records, build(2, NO_TEST), "sha256:other") is None


def test_only_the_newest_records_count() -> None:
    records = [_failed(number, inputs(TESTED, f"r{number}"), f"sha256:{number}") for number in range(1, 30)]
    counted = quarantine.evidence(records)
    assert [one.spec.number for one in counted] == list(range(30 - MAX_QUARANTINED, 30))
    assert len(quarantine.entries(records)) == MAX_QUARANTINED
    assert quarantine.of_inputs(records, inputs(TESTED, "r1")) is None
    assert len(quarantine.named(records, "all")) == 29, "all means those, too"


def test_a_version_whose_rollout_was_undone_is_passed_over() -> None:
    records = (good(1, R2), _rolled_back(good(2, R1)))
    observed = ImageObserved(records, R1)
    assert observed.latest_good == records[0]
    assert decide(TESTED, observed, R1, LATER) == Rest()
    status = image_status(TESTED, observed, NOW)
    assert status.latest is not None
    assert status.latest.version == "v1"
    assert next(one for one in status.conditions if one.type == "Ready").reason == "Quarantined"


def test_nor_does_a_status_keep_it_whose_record_is_older_than_it_says() -> None:
    records = (good(1, R2), good(2, R1))
    known = TESTED.model_copy(update={"status": image_status(TESTED, ImageObserved(records, R1), NOW)})
    undone = (records[0], _rolled_back(records[1]))
    status = image_status(known, ImageObserved(undone, R1), NOW)
    assert status.latest is not None
    assert status.latest.version == "v1"


def test_a_version_that_is_released_counts_again_without_a_build() -> None:
    undone = _rolled_back(good(2, R1))
    released = undone.model_copy(update={"status": quarantine.released_status(undone, NOW)})
    observed = ImageObserved((good(1, R2), released), R1)
    assert observed.latest_good == released
    assert decide(TESTED, observed, R1, LATER) == Rest()


def test_what_is_released_is_built_once_more() -> None:
    record = _failed(1, R1)
    released = record.model_copy(update={"status": quarantine.released_status(record, NOW)})
    decision = decide(TESTED, ImageObserved((released,)), R1, LATER)
    assert isinstance(decision, Create)
    assert decision.reason == "Released"
    again = _failed(2, R1)
    assert decide(TESTED, ImageObserved((released, again)), R1, LATER) == Rest()


def test_evidence_is_answered_by_a_newer_version_of_the_same_image_alone() -> None:
    version = good(2, OTHER_TEST)
    record = _failed(1, R1, version.status.digest or "")
    assert quarantine.answered((record, version)) == (record,)
    assert quarantine.answered((record, good(3, R2))) == ()
    assert ImageObserved((record, version)).latest_good == version


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_whatever_is_asked_in_turn_nothing_that_failed_is_built_twice(changes: list[tuple[str, bool]]) -> None:
    builds: list[Build] = []
    for revision, passes in changes:
        asked = inputs(TESTED, revision)
        decision = decide(TESTED, ImageObserved(tuple(builds)), asked, LATER)
        if isinstance(decision, Create):
            number = len(builds) + 1
            fails = _failed(number, asked, f"sha256:{revision}{number}", *builds)
            builds.append(good(number, asked) if passes else fails)
        known_bad = [one for one in builds if quarantine.in_quarantine(one) and inputs(TESTED, revision).made(one)]
        assert len(known_bad) <= 1
        observed = ImageObserved(tuple(builds), asked)
        ready = next(one for one in image_status(TESTED, observed, NOW).conditions if one.type == "Ready")
        assert (ready.reason == "Quarantined") == bool(known_bad)
        assert isinstance(decide(TESTED, observed, asked, LATER), Rest)
