"""Conditions follow the Kubernetes API conventions: a map by type, whose times move only when a status flips."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelway.api.meta import Condition, ConditionStatus
from keelway.errors import Terminal
from keelway.status.conditions import (
    FALSE,
    MAX_MESSAGE,
    TRUE,
    UNKNOWN,
    Fact,
    Progress,
    bounded,
    find,
    invalid_status,
    merge,
    summary,
)

THEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = THEN + timedelta(hours=1)


def _condition(type_: str, status: ConditionStatus = TRUE, reason: str = "Because", message: str = "") -> Condition:
    return Condition(
        type=type_, status=status, reason=reason, message=message, observed_generation=1, last_transition_time=THEN
    )


def test_time_moves_when_the_status_flips() -> None:
    (merged,) = merge([_condition("Ready", TRUE)], [Fact("Ready", FALSE, "Broken")], 2, NOW)
    assert merged.last_transition_time == NOW


def test_time_stays_when_only_reason_message_and_generation_change() -> None:
    (merged,) = merge([_condition("Ready", FALSE, "Building")], [Fact("Ready", FALSE, "Testing", "Two run.")], 2, NOW)
    assert merged == Condition(
        type="Ready",
        status=FALSE,
        reason="Testing",
        message="Two run.",
        observed_generation=2,
        last_transition_time=THEN,
    )


def test_unknown_is_a_status_of_its_own() -> None:
    (merged,) = merge([_condition("Ready", UNKNOWN)], [Fact("Ready", FALSE, "Broken")], 1, NOW)
    assert merged.last_transition_time == NOW


def test_a_new_condition_begins_now() -> None:
    (merged,) = merge([], [Fact("Ready", TRUE, "Fine")], 1, NOW)
    assert merged.last_transition_time == NOW


def test_conditions_are_sorted_and_those_no_longer_told_are_dropped() -> None:
    merged = merge([_condition("Old"), _condition("B")], [Fact("B", TRUE, "Yes"), Fact("A", TRUE, "Yes")], 1, NOW)
    assert [one.type for one in merged] == ["A", "B"]


def test_merging_the_same_facts_again_changes_nothing() -> None:
    facts = summary(FALSE, Progress.STALLED, "Broken", "It broke. Mend it.")
    once = merge([], facts, 3, THEN)
    assert merge(once, facts, 3, NOW) == once


def test_order_of_the_facts_does_not_matter() -> None:
    facts = summary(TRUE, Progress.SETTLED, "Fine", "")
    assert merge([], facts, 1, NOW) == merge([], list(reversed(facts)), 1, NOW)


def test_summary_says_in_reconciling_or_stalled_what_it_says_in_ready() -> None:
    ready, reconciling, stalled = summary(FALSE, Progress.RECONCILING, "Waiting", "For a Secret.")
    assert (reconciling.status, reconciling.reason, reconciling.message) == (TRUE, ready.reason, ready.message)
    assert (stalled.status, stalled.message) == (FALSE, "")


@given(st.text(max_size=3 * MAX_MESSAGE), st.integers(min_value=20, max_value=MAX_MESSAGE))
def test_a_bounded_message_keeps_its_beginning_and_its_end(message: str, limit: int) -> None:
    cut = bounded(message, limit)
    assert len(cut) <= limit
    if len(message) <= limit:
        assert cut == message
    else:
        head, tail = cut.split("\n[...]\n", 1) if cut.count("\n[...]\n") == 1 else (cut[:5], cut[-5:])
        assert message.startswith(head)
        assert message.endswith(tail)


def test_messages_of_conditions_are_bounded() -> None:
    (merged,) = merge([], [Fact("Ready", FALSE, "Broken", "x" * 100_000)], 1, NOW)
    assert len(merged.message) <= MAX_MESSAGE


def test_find_gives_the_condition_of_that_type_or_none() -> None:
    ready = _condition("Ready")
    assert find([_condition("Built"), ready], "Ready") is ready
    assert find([], "Ready") is None


def test_an_invalid_spec_stalls_the_object_and_leaves_the_rest_of_its_status() -> None:
    raw = {
        "metadata": {"generation": 5},
        "status": {
            "version": "v7",
            "observedGeneration": 4,
            "conditions": [_condition("Available").to_dict(), _condition("Ready").to_dict()],
        },
    }
    status = invalid_status(raw, Terminal("InvalidSpec", "spec.ports: bad. Correct it."), NOW)
    conditions = {one["type"]: one for one in status["conditions"]}
    assert (status["version"], status["observedGeneration"]) == ("v7", 5)
    assert (conditions["Ready"]["status"], conditions["Stalled"]["status"]) == ("False", "True")
    assert conditions["Stalled"]["reason"] == "InvalidSpec"
    assert conditions["Available"] == _condition("Available").to_dict()
    assert list(conditions) == sorted(conditions)


@pytest.mark.parametrize("status", ["fine", {"conditions": "fine"}, {"conditions": ["fine", {"type": "Ready"}]}])
def test_an_invalid_object_whose_status_cannot_be_read_is_stalled_too(status: object) -> None:
    raw = {"metadata": {"generation": 1}, "status": status}
    told = invalid_status(raw, Terminal("InvalidSpec", "Bad. Correct it."), NOW)
    assert [one["type"] for one in told["conditions"]] == ["Ready", "Reconciling", "Stalled"]


def test_an_invalid_object_without_status_is_stalled_too() -> None:
    status = invalid_status({"metadata": {"generation": 1}}, Terminal("InvalidSpec", "Bad. Correct it."), NOW)
    assert [one["type"] for one in status["conditions"]] == ["Ready", "Reconciling", "Stalled"]
