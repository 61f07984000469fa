"""Admission: never more builds than the cap, and no namespace may starve another."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from keelway.reconcile.admission import WaitingBuild, coarse, order

NAMESPACES = ["a", "b", "c", "d"]


def _waiting(*asked: tuple[str, str]) -> list[WaitingBuild]:
    """Builds by uid and namespace, each a minute after the one before."""
    return [WaitingBuild(uid, space, f"2026-01-01T00:{minute:02}:00Z") for minute, (uid, space) in enumerate(asked)]


def admitted(waiting: list[WaitingBuild], running: list[str], cap: int, turns: Sequence[str] = ()) -> frozenset[str]:
    """As many of the first in the queue as there are free places."""
    return frozenset(islice(order(waiting, running, turns), max(0, cap - len(running))))


def test_no_more_than_the_cap_run() -> None:
    assert admitted(_waiting(("1", "a"), ("2", "b")), ["c", "d"], 3) == {"1"}
    assert admitted(_waiting(("1", "a")), ["c", "d"], 2) == frozenset()


def test_the_longest_waiting_goes_first_among_equals() -> None:
    assert admitted(_waiting(("1", "a"), ("2", "b"), ("3", "c")), [], 2) == {"1", "2"}


def test_the_namespace_with_the_fewest_running_goes_first() -> None:
    assert admitted(_waiting(("1", "a"), ("2", "b")), ["a"], 2) == {"2"}


def test_a_hundred_builds_of_one_namespace_do_not_keep_another_out() -> None:
    flood = [(f"a{number}", "a") for number in range(50)]
    assert "late" in admitted(_waiting(*flood, ("late", "b")), [], 2)


def test_namespaces_take_turns_however_long_the_builds_of_one_have_waited() -> None:
    waiting = _waiting(("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"))
    turns = ["a"]
    served = []
    while waiting:
        (uid,) = admitted(waiting, [], 1, turns)
        one = next(build for build in waiting if build.uid == uid)
        waiting.remove(one)
        turns = [*(space for space in turns if space != one.namespace), one.namespace]
        served.append(uid)
    assert served == ["b1", "c1", "a1", "a2", "a3"]


def _at(priority: int, *builds: WaitingBuild) -> list[WaitingBuild]:
    return [replace(build, priority=priority) for build in builds]


def test_within_a_namespace_the_highest_priority_goes_first_and_then_the_longest_waiting() -> None:
    first, second, third, fourth = _waiting(("1", "a"), ("2", "a"), ("3", "a"), ("4", "a"))
    waiting = [*_at(-1, first), *_at(0, second), *_at(1, third, fourth)]
    assert admitted(waiting, [], 1) == {"3"}
    assert admitted(waiting, [], 3) == {"3", "4", "2"}


def test_a_priority_takes_no_place_from_another_namespace() -> None:
    low, high = _waiting(("low", "a"), ("high", "b"))
    assert admitted([*_at(-1, low), *_at(1, high)], [], 1) == {"low"}, "neither had a turn, and a waited longer"
    assert admitted([*_at(-1, low), *_at(1, high)], ["c"], 2, ["a", "c"]) == {"high"}, "it is b's turn"
    assert admitted([*_at(-1, low), *_at(1, high)], ["c"], 2, ["b", "c"]) == {"low"}, "it is a's turn"


def test_one_namespace_alone_may_use_all_places() -> None:
    assert len(admitted(_waiting(*[(str(number), "a") for number in range(9)]), [], 4)) == 4


def test_more_running_than_the_cap_admit_nobody() -> None:
    """The administrator has lowered the cap."""
    assert admitted(_waiting(("1", "a")), ["b"] * 5, 2) == frozenset()


_builds = st.lists(st.sampled_from(NAMESPACES), max_size=12).map(
    lambda spaces: _waiting(*[(str(number), space) for number, space in enumerate(spaces)])
)
_running = st.lists(st.sampled_from(NAMESPACES), max_size=6)


@settings(deadline=None)
@given(_builds, _running, st.integers(min_value=1, max_value=8))
def test_no_place_is_left_free_while_somebody_waits(waiting: list[WaitingBuild], running: list[str], cap: int) -> None:
    chosen = admitted(waiting, running, cap)
    assert chosen <= {one.uid for one in waiting}
    assert len(chosen) == min(len(waiting), max(0, cap - len(running)))


@settings(deadline=None)
@given(_builds, _running, st.integers(min_value=1, max_value=8))
def test_nobody_gets_a_place_more_than_a_namespace_that_still_waits(
    waiting: list[WaitingBuild], running: list[str], cap: int
) -> None:
    chosen = admitted(waiting, running, cap)
    given_to = Counter(one.namespace for one in waiting if one.uid in chosen)
    load = Counter(running) + given_to
    for left in (one.namespace for one in waiting if one.uid not in chosen):
        assert all(load[space] <= load[left] + 1 for space in given_to)


@settings(deadline=None)
@given(_builds, _running, st.integers(min_value=1, max_value=8), st.randoms())
def test_the_order_in_which_the_cache_lists_them_does_not_matter(
    waiting: list[WaitingBuild], running: list[str], cap: int, random: Random
) -> None:
    shuffled = list(waiting)
    random.shuffle(shuffled)
    assert admitted(shuffled, running, cap) == admitted(waiting, running, cap)


@settings(deadline=None)
@given(_builds, _running)
def test_the_whole_queue_is_in_the_order_in_which_places_are_given_one_by_one(
    waiting: list[WaitingBuild], running: list[str]
) -> None:
    queue = list(order(waiting, running))
    assert sorted(queue) == sorted(one.uid for one in waiting)
    for cap in range(len(running), len(running) + len(queue) + 1):
        assert admitted(waiting, running, cap) == set(queue[: cap - len(running)])


def test_a_place_is_told_in_coarse_steps_and_never_as_later_than_it_is() -> None:
    steps = [coarse(place) for place in range(100_000)]
    assert steps == sorted(steps)
    assert all(told <= place for place, told in enumerate(steps))
    assert sorted(set(steps))[:13] == [0, 1, 2, 3, 4, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert len(set(steps)) == 18
