"""PURE: what is measured, and whether it keeps its limit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured value. Without a `limit` it is shown beside the others and cannot fail."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the value is a number, and at most the limit."""
        return math.isfinite(self.value) and (self.limit is None or self.value <= self.limit)

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.json. JSON has no infinity: what could not be measured is null."""
        value = round(self.value, 4) if math.isfinite(self.value) else None
        return {"name": self.name, "value": value, "limit": self.limit, "ok": self.ok, "unit": self.unit}

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> "Figure":
        """The figure that `to_dict` made the entry of."""
        value = math.inf if entry["value"] is None else float(entry["value"])
        return cls(entry["name"], value, entry.get("unit", ""), entry["limit"])

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"  (limit {plain(self.limit)})"
        mark = "      " if self.limit is None else "ok    " if self.ok else "NOT OK"
        return f"{mark} {self.name}: {plain(self.value)} {self.unit}".rstrip() + limit


def median(values: Sequence[float]) -> float:
    """The middle one; of an even number, the mean of the two in the middle. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all are not above (nearest rank). Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(0, rank - 1)]


def plain(value: float) -> str:
    """Three digits that matter, and whole numbers as such."""
    if not math.isfinite(value):
        return "not measured"
    if value == round(value):
        return str(round(value))
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
