"""What an Image needs next: the rules of `decide.py`, one by one, and what holds for any history."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelway.api.build import Build, BuildReason, Material, PinnedBase
from keelway.api.image import Image
from keelway.reconcile.decide import (
    RETRY_FIRST,
    RETRY_MOST,
    UPSTREAM_AGAIN,
    Attend,
    Cancel,
    Create,
    Decision,
    Rest,
    decide,
    open_request,
    retry_pause,
)
from keelway.status.build import Inputs
from keelway.status.image import image_status
from keelway.status.observed import ImageObserved
from tests.unit.objects import NOW, bad, build, good, image, inputs

PLAIN = image()
OTHER = image(build={"dockerfile": "other.Dockerfile"})
R1, R2 = inputs(PLAIN, "r1"), inputs(PLAIN, "r2")
B1 = inputs(OTHER, "r1")
LATER = NOW + timedelta(hours=1)


def _decide(asked: Inputs, *builds: Build, of: Image = PLAIN) -> Decision:
    return decide(of, ImageObserved(builds), asked, LATER)


def _requesting(value: str, of: Image = PLAIN) -> Image:
    metadata = of.metadata.model_copy(update={"annotations": {"keelway.dev/build-requested": value}})
    return of.model_copy(update={"metadata": metadata})


def _told(of: Image, *builds: Build) -> Image:
    """The Image once its status tells of those records."""
    return of.model_copy(update={"status": image_status(of, ImageObserved(builds, R1), NOW)})


class TestFirstBuild:
    def test_without_any_record_one_is_made(self) -> None:
        assert _decide(R1) == Create(BuildReason.SPEC_CHANGED)

    def test_a_record_without_a_job_is_attended_to(self) -> None:
        """The operator died between the record and the Job."""
        queued = build(1, R1)
        assert _decide(R1, queued) == Attend(queued)


class TestARunningBuild:
    def test_ends_though_its_source_has_moved_on(self) -> None:
        running = build(2, R1)
        assert _decide(R2, good(1, R1), running) == Attend(running)

    def test_is_cancelled_when_the_spec_changed_under_it(self) -> None:
        running = build(2, R1)
        assert _decide(B1, good(1, R1), running) == Cancel(running)

    def test_is_cancelled_when_the_spec_goes_back_to_the_last_good_one(self) -> None:
        running = build(2, B1)
        assert _decide(R1, good(1, R1), running) == Cancel(running)

    def test_goes_before_a_request(self) -> None:
        running = build(2, R1)
        assert _decide(R1, good(1, R1), running, of=_requesting("now")) == Attend(running)


class TestTheSameInputs:
    def test_of_the_last_good_build_are_not_built_again(self) -> None:
        assert _decide(R1, good(1, R1)) == Rest()

    def test_are_not_built_again_after_a_revert(self) -> None:
        assert _decide(R1, good(1, R1), bad(2, B1)) == Rest()

    def test_that_failed_are_not_built_again(self) -> None:
        assert _decide(R2, good(1, R1), bad(2, R2)) == Rest()

    def test_that_were_good_before_the_last_good_build_are_built_again(self) -> None:
        """A version is a number: what is latest must be the newest."""
        assert _decide(R1, good(1, R1), good(2, R2)) == Create(BuildReason.SOURCE_CHANGED)


class TestAChange:
    def test_of_the_source_alone_is_told_as_such(self) -> None:
        assert _decide(R2, good(1, R1)) == Create(BuildReason.SOURCE_CHANGED)

    def test_of_the_spec_is_told_as_such(self) -> None:
        assert _decide(B1, good(1, R1)) == Create(BuildReason.SPEC_CHANGED)

    def test_is_built_at_once_though_the_last_build_is_to_be_tried_again(self) -> None:
        failed = bad(1, R1, "RegistryFailed", retry=True, ended=LATER)
        assert _decide(R2, failed) == Create(BuildReason.SOURCE_CHANGED)


PYTHON = "docker.io/library/python:3.11-slim"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def _on(digest: str, of: Inputs = R1) -> Inputs:
    """The inputs on a base image that is at the digest today."""
    return replace(of, bases=(PinnedBase(reference=PYTHON, digest=digest),))


def _using(record: Build, digest: str) -> Build:
    """The record as one that used the base image at that digest."""
    materials = (Material(reference=PYTHON, digest=digest),)
    return record.model_copy(update={"status": record.status.model_copy(update={"materials": materials})})


def _pinned(record: Build, digest: str) -> Build:
    """The record as one that was made for the base image at that digest."""
    bases = (PinnedBase(reference=PYTHON, digest=digest),)
    return record.model_copy(update={"spec": record.spec.model_copy(update={"bases": bases})})


class TestABaseImage:
    def test_that_changed_is_told_as_such(self) -> None:
        assert _decide(_on(NEW), _using(good(1, R1), OLD)) == Create(BuildReason.BASE_IMAGE_CHANGED)

    def test_that_is_the_same_needs_no_build(self) -> None:
        assert _decide(_on(OLD), _using(good(1, R1), OLD)) == Rest()

    def test_that_nobody_has_told_of_needs_no_build(self) -> None:
        assert _decide(R1, _using(good(1, R1), OLD)) == Rest()

    def test_of_a_record_that_names_none_needs_no_build(self) -> None:
        """One of an operator before base images were looked at, say."""
        assert _decide(_on(NEW), good(1, R1)) == Rest()

    def test_that_changed_with_the_source_is_told_as_a_new_source(self) -> None:
        assert _decide(_on(NEW, R2), _using(good(1, R1), OLD)) == Create(BuildReason.SOURCE_CHANGED)

    def test_that_failed_its_build_is_not_built_again(self) -> None:
        assert _decide(_on(NEW), _using(good(1, R1), OLD), _pinned(bad(2, R1), NEW)) == Rest()

    def test_that_failed_its_build_and_changed_once_more_is_built(self) -> None:
        third = _on("sha256:" + "c" * 64)
        records = _using(good(1, R1), OLD), _pinned(bad(2, R1), NEW)
        assert _decide(third, *records) == Create(BuildReason.BASE_IMAGE_CHANGED)

    def test_that_is_back_after_a_build_that_failed_needs_none(self) -> None:
        assert _decide(_on(OLD), _using(good(1, R1), OLD), _pinned(bad(2, R1), NEW)) == Rest()

    def test_that_is_back_after_a_good_build_is_built_again(self) -> None:
        records = _using(good(1, R1), OLD), _using(_pinned(good(2, R1), NEW), NEW)
        assert _decide(_on(OLD), *records) == Create(BuildReason.BASE_IMAGE_CHANGED)

    def test_is_compared_with_what_was_asked_for(self) -> None:
        """A Dockerfile that gives a digest beside the tag uses that, whatever the tag names: no build after another."""
        assert _decide(_on(NEW), _using(_pinned(good(1, R1), NEW), OLD)) == Rest()

    def test_that_changed_leaves_a_running_build_alone(self) -> None:
        running = _pinned(build(2, R1), OLD)
        assert _decide(_on(NEW), _using(good(1, R1), OLD), running) == Attend(running)

    def test_that_changed_takes_the_place_of_a_build_that_waits(self) -> None:
        queued = _pinned(build(2, R1), OLD)
        observed = ImageObserved((good(1, R1), queued), started=False)
        assert decide(PLAIN, observed, _on(NEW), LATER) == Cancel(queued)

    def test_waits_for_the_images_above_but_not_for_ever(self) -> None:
        observed = ImageObserved((_using(good(1, R1), OLD),), upstream_by=LATER)
        assert decide(PLAIN, observed, _on(NEW), NOW) == Rest(until=NOW + UPSTREAM_AGAIN)
        assert decide(PLAIN, observed, _on(NEW), LATER) == Create(BuildReason.BASE_IMAGE_CHANGED)
        assert decide(PLAIN, observed, R2, NOW) == Create(BuildReason.SOURCE_CHANGED), "a new source does not wait"


class TestASupersededBuild:
    def test_is_no_verdict_when_its_inputs_are_asked_for_again(self) -> None:
        assert _decide(B1, good(1, R1), bad(2, B1, "Superseded")) == Create(BuildReason.SPEC_CHANGED)

    def test_needs_nothing_when_the_last_good_inputs_are_back(self) -> None:
        assert _decide(R1, good(1, R1), bad(2, B1, "Superseded")) == Rest()

    def test_that_was_the_first_is_followed_by_another(self) -> None:
        assert _decide(R1, bad(1, R1, "Superseded")) == Create(BuildReason.SPEC_CHANGED)

    def test_does_not_hide_the_failure_before_it(self) -> None:
        assert _decide(R1, bad(1, R1), bad(2, B1, "Superseded")) == Rest()


class TestAFaultOutside:
    def test_is_tried_again_after_a_pause(self) -> None:
        failed = bad(1, R1, "RegistryFailed", retry=True, ended=NOW)
        observed = ImageObserved((failed,))
        assert decide(PLAIN, observed, R1, NOW) == Rest(until=NOW + RETRY_FIRST)
        assert decide(PLAIN, observed, R1, NOW + RETRY_FIRST) == Create(BuildReason.RETRIED, attempt=2)

    def test_is_tried_again_later_each_time(self) -> None:
        failed = bad(3, R1, "RegistryFailed", retry=True, attempt=3, ended=NOW)
        assert decide(PLAIN, ImageObserved((failed,)), R1, NOW) == Rest(until=NOW + 4 * RETRY_FIRST)
        assert decide(PLAIN, ImageObserved((failed,)), R1, LATER) == Create(BuildReason.RETRIED, attempt=4)

    def test_is_tried_again_though_a_superseded_build_came_between(self) -> None:
        failed = bad(1, R1, "RegistryFailed", retry=True, ended=NOW)
        observed = ImageObserved((failed, bad(2, B1, "Superseded", ended=NOW)))
        assert decide(PLAIN, observed, R1, NOW) == Rest(until=NOW + RETRY_FIRST)

    def test_of_a_requested_build_is_tried_again_though_its_inputs_were_good_before(self) -> None:
        failed = bad(2, R1, "RegistryFailed", retry=True, requested="now")
        assert _decide(R1, good(1, R1), failed, of=_requesting("now")) == Create(BuildReason.RETRIED, attempt=2)

    @pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (7, 600), (1000, 600)])
    def test_pauses_double_up_to_ten_minutes(self, failures: int, seconds: int) -> None:
        assert retry_pause(failures) == timedelta(seconds=seconds) <= RETRY_MOST


class TestARequest:
    def test_builds_the_same_inputs_again(self) -> None:
        assert _decide(R1, good(1, R1), of=_requesting("now")) == Create(BuildReason.REQUESTED, "now")

    def test_builds_failed_inputs_again(self) -> None:
        assert _decide(R1, bad(1, R1), of=_requesting("now")) == Create(BuildReason.REQUESTED, "now")

    def test_is_honoured_once_though_status_was_never_written(self) -> None:
        """The operator died between the record and the status."""
        assert _decide(R1, good(1, R1), good(2, R1, requested="now"), of=_requesting("now")) == Rest()

    def test_is_honoured_once_though_its_record_was_tidied_away(self) -> None:
        told = _told(_requesting("now"), good(1, R1), good(2, R1, requested="now"))
        assert _decide(R1, good(3, R1), of=told) == Rest()

    def test_of_a_new_value_is_another_request(self) -> None:
        told = _told(PLAIN, good(1, R1, requested="one"))
        asked = _decide(R1, good(1, R1, requested="one"), of=_requesting("two", told))
        assert asked == Create(BuildReason.REQUESTED, "two")

    def test_of_no_value_is_none(self) -> None:
        assert open_request(_requesting(""), ImageObserved(())) is None
        assert open_request(PLAIN, ImageObserved(())) is None

    def test_as_long_as_an_annotation_may_be_is_honoured_once_too(self) -> None:
        long = _requesting("x" * 200_000)
        decision = _decide(R1, good(1, R1), of=long)
        assert isinstance(decision, Create)
        assert decision.requested is not None
        made = good(2, R1, requested=decision.requested)
        assert _decide(R1, good(1, R1), made, of=long) == Rest()
        assert _decide(R1, good(3, R1), of=_told(long, good(1, R1), made)) == Rest()


@given(
    st.lists(st.sampled_from([R1, R2, B1]), min_size=1, max_size=8),
    st.lists(st.sampled_from(["good", "bad", "outside", "superseded"]), min_size=40, max_size=40),
)
def test_whatever_is_asked_and_however_builds_end_it_comes_to_rest(changes: list[Inputs], ends: list[str]) -> None:
    """The inputs that stay are built until there is an answer, and then no more."""
    makers = {
        "good": lambda number, asked: good(number, asked),
        "bad": lambda number, asked: bad(number, asked),
        "outside": lambda number, asked: bad(number, asked, "RegistryFailed", retry=True),
        "superseded": lambda number, asked: bad(number, asked, "Superseded"),
    }
    results = iter(ends)
    builds: list[Build] = []
    now = NOW
    for asked in changes:
        attempts = 0
        while True:
            decision = decide(PLAIN, replace(ImageObserved(()), builds=tuple(builds)), asked, now)
            if isinstance(decision, Rest) and decision.until is None:
                break
            if isinstance(decision, Rest):
                assert decision.until is not None
                now = max(now, decision.until)
                continue
            assert isinstance(decision, Create)
            attempts += 1
            # What fails for ever outside is tried for ever: here it ends well after a few attempts.
            kind = next(results, "good") if attempts <= 3 else "good"
            builds.append(makers[kind](len(builds) + 1, asked))
        final = builds[-1] if builds else None
        assert final is not None
        assert any(asked.made(one) for one in builds)
