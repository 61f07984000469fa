"""How often a child was put right, so that two who fight over it do not do so without end (contract rule 9).

In memory only: after a restart a fight begins with its free rounds again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keelway.errors import Waiting

FREE: Final = 5
"""Healings in a row that happen at once: hand edits come one by one, another controller comes again and again."""
LONGEST: Final = 300.0
"""Seconds: the sweep's interval; also the quiet after which all is forgiven."""


@dataclass
class _Record:
    count: int
    last: float
    other: str | None


class Healings:
    """The record of healings, by uid of the child."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def begin(self, uid: str, other: str | None) -> None:
        """A child is about to be put right; `other` is the manager that changed it."""
        self._forgive()
        record = self._records.setdefault(uid, _Record(0, 0.0, other))
        record.count += 1
        record.last = self._clock()
        record.other = other or record.other

    def pause(self, uid: str) -> float:
        """Seconds to wait before the child may be put right again: 1, 2, 4, ... after the free ones."""
        self._forgive()
        record = self._records.get(uid)
        if record is None or record.count < FREE:
            return 0.0
        exponent = min(record.count - FREE, 32)  # far over `LONGEST`; a fight of days would overflow
        delay = min(LONGEST, 2.0**exponent)
        return max(0.0, record.last + delay - self._clock())

    def conflict(self, uid: str, child: str, paths: list[str]) -> Waiting:
        """The ChildConflict to show; it comes back by itself after `pause`."""
        record = self._records.get(uid)
        other = record.other if record and record.other else "somebody else"
        return Waiting(
            "ChildConflict",
            f"{child} does not stay as it is wanted: {', '.join(paths[:5])} is changed by {other}. "
            f"Make {other} leave it alone, or change the App instead; it is put right again by itself.",
            retry_after=max(1.0, self.pause(uid)),
        )

    def _forgive(self) -> None:
        now = self._clock()
        self._records = {uid: one for uid, one in self._records.items() if now - one.last < 2 * LONGEST}
