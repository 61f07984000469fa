"""An Image's status is a view of its Builds; whole statuses stand in `golden/`, here is what holds for all of them."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from keelway.api.build import Build
from keelway.api.image import Image
from keelway.errors import Waiting
from keelway.status.conditions import TRUE, UNKNOWN, find
from keelway.status.image import image_status, suspended_status
from keelway.status.observed import BaseCheck, ImageObserved, Stage
from tests.unit.objects import NOW, bad, build, good, image, inputs

PLAIN = image()
R1, R2 = inputs(PLAIN, "r1"), inputs(PLAIN, "r2")


def _after(of: Image, *builds: Build) -> Image:
    """The Image with the status that those records give it."""
    return of.model_copy(update={"status": image_status(of, ImageObserved(builds, inputs(of)), NOW)})


def test_a_failed_build_leaves_the_latest_version() -> None:
    latest = _after(PLAIN, good(1, R1), bad(2, R2)).status.latest
    assert latest is not None
    assert latest.version == "v1"


def test_the_latest_version_outlives_its_record() -> None:
    known = _after(PLAIN, good(3, R1))
    assert _after(known, bad(4, R2)).status.latest == known.status.latest


def test_the_latest_version_never_goes_back() -> None:
    known = _after(PLAIN, good(3, R1))
    assert _after(known, good(2, R1)).status.latest == known.status.latest


def test_the_newest_record_is_named_good_or_not() -> None:
    assert _after(PLAIN, good(1, R1), bad(2, R2)).status.latest_build == "hello-2"


def test_a_request_is_echoed_once_its_record_is_there() -> None:
    assert _after(PLAIN, good(1, R1, requested="a")).status.observed_build_request == "a"


def test_the_echo_of_a_request_outlives_its_record() -> None:
    known = _after(PLAIN, good(1, R1, requested="a"), bad(2, R1, requested="b"))
    assert known.status.observed_build_request == "b"
    later = _after(known, good(1, R1, requested="a"), bad(3, R2))
    assert later.status.observed_build_request == "b"


def test_a_pass_that_changes_nothing_changes_no_status() -> None:
    known = _after(PLAIN, good(1, R1), bad(2, R2))
    observed = ImageObserved((good(1, R1), bad(2, R2)), R1)
    assert image_status(known, observed, NOW + timedelta(hours=1)) == known.status


def test_a_problem_of_one_pass_does_not_hide_what_is_known_of_the_builds() -> None:
    lost = Waiting("SecretNotFound", "No Secret. Create it.")
    status = image_status(PLAIN, ImageObserved((good(1, R1),), None, source_problem=lost, problem=lost), NOW)
    told = {one.type: one.status.value for one in status.conditions}
    assert told["Built"] == told["Tested"] == "True"
    assert told["Ready"] == told["SourceReady"] == "False"
    assert status.latest is not None


def test_suspending_looks_at_nothing_and_comes_back_as_it_was() -> None:
    known = _after(PLAIN, good(1, R1))
    suspended = suspended_status(known, ImageObserved((good(1, R1),)), NOW + timedelta(hours=1))
    assert suspended.latest == known.status.latest
    assert suspended.next_check_time is None
    assert {one.last_transition_time for one in suspended.conditions} == {NOW}


def test_a_build_that_ends_while_its_image_is_suspended_is_told_of() -> None:
    observed = ImageObserved((good(1, R1), build(2, R2)), R2, stage=Stage.BUILDING)
    known = PLAIN.model_copy(update={"status": image_status(PLAIN, observed, NOW)})
    suspended = suspended_status(known, ImageObserved((good(1, R1), good(2, R2))), NOW)
    assert suspended.latest is not None
    assert (suspended.latest.version, suspended.latest_build) == ("v2", "hello-2")
    ready = next(one for one in suspended.conditions if one.type == "Ready")
    assert (ready.status.value, ready.reason) == ("True", "Suspended")


@given(st.lists(st.sampled_from(["good", "bad", "superseded"]), max_size=6))
def test_whatever_the_records_are_one_status_follows(kinds: list[str]) -> None:
    makers = {
        "good": lambda number: good(number, R1),
        "bad": lambda number: bad(number, R2),
        "superseded": lambda number: bad(number, R2, "Superseded"),
    }
    builds = tuple(makers[kind](number) for number, kind in enumerate(kinds, start=1))
    for asked in (R1, R2):
        status = image_status(PLAIN, ImageObserved(builds, asked), NOW)
        ready = next(one for one in status.conditions if one.type == "Ready")
        assert ready.reason != "Superseded"
        assert (status.latest is not None) == ("good" in kinds)


def test_a_source_that_it_was_not_the_turn_to_ask_is_as_it_was() -> None:
    """The host's budget was spent: that says nothing of the source."""
    known = _after(PLAIN, good(1, R1))
    assert image_status(known, ImageObserved((good(1, R1),)), NOW) == known.status
    lost = ImageObserved((good(1, R1),), problem=Waiting("RepositoryInUse", "It is another's."))
    told = find(image_status(known, lost, NOW).conditions, "SourceReady")
    assert told is not None
    assert told.status is UNKNOWN


def test_base_images_are_spoken_of_only_where_there_are_any() -> None:
    checked = ImageObserved((good(1, R1),), R1, bases=BaseCheck(3))
    told = find(image_status(PLAIN, checked, NOW).conditions, "BaseImagesChecked")
    assert told is not None
    assert (told.status, told.message) == (TRUE, "Base images that are looked at: 3.")
    unchecked = image_status(PLAIN, ImageObserved((good(1, R1),), R1), NOW)
    assert find(unchecked.conditions, "BaseImagesChecked") is None
