"""The proof that there are never two writers, tried on logs in which there are."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.audit import Entry, two_writers

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def entry(replica: str, verb: str, resource: str, begun: float, done: float, code: int = 200) -> Entry:
    at = [NOON + timedelta(seconds=seconds) for seconds in (begun, done)]
    return Entry(at[0], at[1], replica, verb, resource, "x", code)


def lease(replica: str, at: float, code: int = 200) -> Entry:
    return entry(replica, "update", "leases", at, at, code)


def write(replica: str, begun: float, done: float) -> Entry:
    return entry(replica, "patch", "apps", begun, done)


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        ([lease("a", 0), write("a", 1, 2), lease("b", 3), write("b", 4, 5)], 0),
        # The other's attempt was refused: it has taken nothing.
        ([lease("a", 0), lease("b", 1, code=409), write("a", 2, 3)], 0),
        ([lease("a", 0), entry("b", "get", "apps", 1, 2), write("a", 2, 3)], 0),
        # Written after another had taken over; still under way then; by one that never led.
        ([lease("a", 0), lease("b", 1), write("a", 2, 3)], 1),
        ([lease("a", 0), lease("b", 2), write("a", 1, 3)], 1),
        ([lease("a", 0), write("b", 1, 2)], 1),
    ],
)
def test_a_write_counts_as_a_second_writer_s_where_another_held_the_lease(entries: list[Entry], wrong: int) -> None:
    assert len(two_writers(entries)) == wrong
