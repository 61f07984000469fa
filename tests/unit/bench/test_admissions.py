from typing import Any

import pytest

from bench.admissions import JobSeen, admitted, largest_lead, most_at_once, seen
from keelway.children import names


def job(ended: str | None = None) -> dict[str, Any]:
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return {
        "metadata": {"name": "shop-1-abc", "labels": {names.IMAGE_NAMESPACE_LABEL: "team"}},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize(
    ("type_", "obj", "running"),
    [
        ("ADDED", job(), True),
        ("MODIFIED", job(ended="Complete"), False),
        ("MODIFIED", job(ended="Failed"), False),
        ("MODIFIED", job(ended="SuccessCriteriaMet"), True),
        ("DELETED", job(), False),
    ],
)
def test_a_job_runs_from_when_it_is_made_until_it_ends(type_: str, obj: dict[str, Any], running: bool) -> None:
    assert seen(type_, obj, 1.0) == JobSeen("shop-1-abc", "team", running, 1.0)


def test_jobs_that_ended_leave_their_place() -> None:
    def at(name: str, running: bool) -> JobSeen:
        return JobSeen(name, "team", running, 0.0)

    told = [at("a", False), at("a", True), at("b", True), at("b", True), at("a", False), at("c", True), at("c", False)]
    assert most_at_once(told) == 2
    assert [one.name for one in admitted(told)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("turns", "lead"),
    [
        ("abcabcaaa", 1),  # b and c have nothing left when a goes on alone
        ("aabbcc", 2),
        ("aaaabc", 4),
        ("aaaa", 0),
        ("", 0),
    ],
)
def test_a_lead_is_over_those_that_still_wait(turns: str, lead: int) -> None:
    waiting = {one: turns.count(one) for one in turns}
    assert largest_lead(turns, waiting) == lead
