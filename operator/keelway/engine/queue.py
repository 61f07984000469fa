"""The work queue: which object is looked at next.

A key is in it once, however often it is added; it is never given to two workers at once, and comes again when it was
added while it was worked on. Namespaces take turns, so that one with 2,000 changing Apps does not keep others waiting,
and none has more than its share of the workers, so that one whose passes hang does not either. What somebody wants goes
before what is due by the clock: retries, and news of children, which wait a moment to be several (`term.py`). Plain
asyncio, for one event loop; `runner.py` takes the keys, `routes.py` finds them.
"""

import asyncio
import heapq
import itertools
import random
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from keelway.reconcile.outcome import Key

# What was due in a day and is looked at each minute would else be in the heap 1,440 times.
_OVERTAKEN_TIMERS: Final = 1000
_TURNS_OF_DUE: Final = 8


@dataclass(frozen=True)
class Backoff:
    """Delays that double: `first` seconds, then twice, up to `longest`; each up to `jitter` longer by chance."""

    first: float
    longest: float
    jitter: float = 0.2

    def delay(self, attempt: int) -> float:
        """Seconds before attempt 1, 2, 3, ..."""
        exponent = min(attempt - 1, 32)  # 2**32 times anything is over `longest`; no overflow
        return min(self.longest, self.first * 2.0**exponent) * (1 + random.random() * self.jitter)


@dataclass
class _Line:
    """The keys of one namespace that are ready. What is due has a turn now and then, though there be wishes."""

    wishes: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    due: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    turn: int = 0

    def pop(self) -> Key:
        self.turn += 1
        first, second = (self.due, self.wishes) if self.turn % _TURNS_OF_DUE == 0 else (self.wishes, self.due)
        key, _ = (first or second).popitem(last=False)
        return key

    def __bool__(self) -> bool:
        return bool(self.wishes or self.due)


class WorkQueue:
    """Keys that are ready, keys that become ready, and keys being worked on: at most `of_one` of one namespace."""

    def __init__(self, of_one: int) -> None:
        self._of_one = of_one
        self._ready: OrderedDict[str, _Line] = OrderedDict()
        self._held: OrderedDict[str, _Line] = OrderedDict()
        self._running_of: Counter[str] = Counter()
        self._waiting_since: dict[Key, float] = {}
        self._running: set[Key] = set()
        self._dirty: dict[Key, bool] = {}
        self._due: dict[Key, float] = {}
        self._timers: list[tuple[float, int, Key]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._takers: deque[asyncio.Future[None]] = deque()
        self._failures: dict[Key, tuple[Backoff, int]] = {}

    def add(self, key: Key) -> None:
        """Ready now; once more after the pass, where one is under way."""
        self._add(key, wish=True)

    def _add(self, key: Key, wish: bool) -> None:
        if key in self._running:
            self._dirty[key] = wish or self._dirty.get(key, False)
            return
        self._due.pop(key, None)  # its pass will say anew when it wants to come back
        lines = self._lines_of(key.namespace)
        line = lines.setdefault(key.namespace, _Line())
        known = key in self._waiting_since
        if known and (not wish or key in line.wishes):
            return
        line.due.pop(key, None)
        (line.wishes if wish else line.due)[key] = None
        self._waiting_since.setdefault(key, _now())
        if not known and lines is self._ready:
            self._wake_one()

    def add_after(self, key: Key, delay: float) -> None:
        """Ready in `delay` seconds, or when it was due before, if that is earlier."""
        if delay <= 0:
            self.add(key)
            return
        when = _now() + delay
        if key in self._waiting_since or self._due.get(key, when + 1) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._timers, (when, next(self._order), key))
        if len(self._timers) > 2 * len(self._due) + _OVERTAKEN_TIMERS:
            self._timers = [one for one in self._timers if self._due.get(one[2]) == one[0]]
            heapq.heapify(self._timers)
        self._set_timer()

    def retry(self, key: Key, backoff: Backoff, at_least: float = 0.0) -> float:
        """Ready after the next of the growing delays, and not before `at_least` seconds. Gives the delay."""
        known = self._failures.get(key)
        attempt = known[1] + 1 if known is not None and known[0] == backoff else 1
        self._failures[key] = (backoff, attempt)
        delay = max(at_least, backoff.delay(attempt))
        self.add_after(key, delay)
        return delay

    def forgive(self, key: Key) -> None:
        """The next failure is the first again."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key, of the namespace whose turn it is. Call `done` with it afterwards."""
        while not self._ready:
            taker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                if taker.done() and not taker.cancelled():
                    self._wake_one()  # what it was woken for is still there
                raise
        namespace, line = self._ready.popitem(last=False)
        key = line.pop()
        del self._waiting_since[key]
        self._running.add(key)
        self._running_of[namespace] += 1
        if line:
            self._lines_of(namespace)[namespace] = line  # at the end: the others' turn
        return key

    def done(self, key: Key) -> None:
        """The pass is over."""
        self._running.discard(key)
        self._running_of[key.namespace] -= 1
        if not self._running_of[key.namespace]:
            del self._running_of[key.namespace]
        if key.namespace in self._held:
            self._ready[key.namespace] = self._held.pop(key.namespace)
            self._wake_one()
        if key in self._dirty:
            self._add(key, self._dirty.pop(key))

    @property
    def depth(self) -> int:
        """How many keys are ready."""
        return len(self._waiting_since)

    @property
    def running(self) -> int:
        """How many keys are worked on."""
        return len(self._running)

    @property
    def oldest_wait(self) -> float:
        """Seconds that the first of the ready keys has waited; 0 when none is."""
        since = next(iter(self._waiting_since.values()), None)
        return _now() - since if since is not None else 0.0

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _lines_of(self, namespace: str) -> OrderedDict[str, _Line]:
        return self._ready if self._running_of[namespace] < self._of_one else self._held

    def _wake_one(self) -> None:
        while self._takers:
            taker = self._takers.popleft()
            if not taker.done():
                taker.set_result(None)
                return

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._timers and self._due.get(self._timers[0][2]) != self._timers[0][0]:
            heapq.heappop(self._timers)  # overtaken by an earlier one, or added since
        if self._timers:
            self._timer = asyncio.get_running_loop().call_at(self._timers[0][0], self._fire)

    def _fire(self) -> None:
        # call_at may be early by the clock's resolution
        horizon = _now() + 0.001
        while self._timers and self._timers[0][0] <= horizon:
            when, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == when:
                self._add(key, wish=False)
        self._set_timer()


def _now() -> float:
    return asyncio.get_running_loop().time()
