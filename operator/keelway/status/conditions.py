"""PURE: the arithmetic of conditions, shared by `image.py` and `app.py`.

Rules from the Kubernetes API conventions and kstatus: a map by type, sorted; `lastTransitionTime` moves only when
`status` flips; a failure that only the user can cure needs `Stalled=True`, or clients wait for it as "in progress".
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import ValidationError

from keelway.api.meta import Condition, ConditionStatus
from keelway.errors import Terminal

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"

MAX_MESSAGE = 4096


class Progress(Enum):
    """Whether work goes on by itself, is done, or waits for a change of the object's own spec."""

    SETTLED = "Settled"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


@dataclass(frozen=True)
class Fact:
    """A condition before it is compared with the one of before: no times, no generation."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def merge(before: Sequence[Condition], facts: Iterable[Fact], generation: int, now: datetime) -> tuple[Condition, ...]:
    """The new conditions, sorted by type; a condition of `before` that no fact mentions is dropped."""
    known = {condition.type: condition for condition in before}
    merged = (_condition(known.get(fact.type), fact, generation, now) for fact in facts)
    return tuple(sorted(merged, key=lambda condition: condition.type))


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type."""
    return next((condition for condition in conditions if condition.type == type_), None)


def summary(ready: ConditionStatus, progress: Progress, reason: str, message: str) -> list[Fact]:
    """Ready, Reconciling and Stalled, which always go together (kstatus)."""
    active = (TRUE, reason, message)
    calm = (FALSE, "Settled", "")
    reconciling = active if progress is Progress.RECONCILING else calm
    stalled = active if progress is Progress.STALLED else (FALSE, "NotStalled", "")
    return [Fact(READY, ready, reason, message), Fact(RECONCILING, *reconciling), Fact(STALLED, *stalled)]


def bounded(message: str, limit: int = MAX_MESSAGE) -> str:
    """The message, its middle left out where it is too long: the cause stands first, the last log lines last."""
    if len(message) <= limit:
        return message
    half = (limit - 7) // 2
    return f"{message[:half]}\n[...]\n{message[-half:]}"


def _condition(before: Condition | None, fact: Fact, generation: int, now: datetime) -> Condition:
    flipped = before is None or before.status is not fact.status
    return Condition(
        type=fact.type,
        status=fact.status,
        reason=fact.reason,
        message=bounded(fact.message),
        observed_generation=generation,
        last_transition_time=now if flipped or before is None else before.last_transition_time,
    )


def _readable(conditions: Any) -> Iterator[Condition]:
    """Those that can be read: somebody may have written theirs, or under another schema."""
    for one in conditions if isinstance(conditions, list) else ():
        with contextlib.suppress(ValidationError):
            yield Condition.model_validate(one)


def invalid_status(raw: Mapping[str, Any], error: Terminal, now: datetime) -> dict[str, Any]:
    """The status of an object whose spec cannot be read: as it was, but Stalled with reason InvalidSpec."""
    before = raw.get("status")
    before = before if isinstance(before, Mapping) else {}
    known = list(_readable(before.get("conditions")))
    facts = summary(FALSE, Progress.STALLED, error.reason, error.message)
    generation = raw["metadata"].get("generation", 0)
    named = {fact.type for fact in facts}
    kept = [one for one in known if one.type not in named]
    conditions = sorted([*kept, *merge(known, facts, generation, now)], key=lambda one: one.type)
    return {
        **before,
        "conditions": [one.to_dict() for one in conditions],
        "observedGeneration": generation,
    }
