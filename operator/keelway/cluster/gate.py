"""The write gate: no replica writes once its lease may have run out (contract, "Leadership").

`engine/leader.py` opens it for as long as the last renewal allows; every write of `client.py` goes through it.
All times are of the monotonic clock, so that a step of the wall clock opens nothing.
"""

import math
import time
from collections.abc import Callable

from keelway.errors import NotLeader


class WriteGate:
    """Shut until `open_until` is called, and again by itself when that moment has passed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline = -math.inf
        self._expiry = -math.inf

    def open_until(self, deadline: float, expiry: float) -> None:
        """Let writes begin until `deadline`; none may still be on its way at `expiry` (both monotonic seconds)."""
        self._deadline = deadline
        self._expiry = expiry

    def shut(self) -> None:
        """Refuse from now on."""
        self._deadline = self._expiry = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether a write may begin now."""
        return self._clock() < self._deadline

    def enter(self) -> float:
        """Seconds that a write begun now may take. Raises NotLeader when shut."""
        if not self.is_open:
            raise NotLeader(
                "NotLeader", "This replica's lease may have run out, so nothing was written. The leader goes on."
            )
        return self._expiry - self._clock()


def always_open() -> WriteGate:
    """A gate for a process that is the only writer, such as a test, and for what every replica may write."""
    gate = WriteGate()
    gate.open_until(math.inf, math.inf)
    return gate
