"""One budget a host, shared by all who ask it: registries (`registry/client.py`) and git servers (`sources/git.py`).

A hundred Images may name the same host, and each knows only of itself. Here it is known how many requests are under way
and how often a host was asked, and a host that says "later" (429, 503, Retry-After) is left alone by all of them. Who
would have to wait for long is sent away with `Postponed`, for a pass that waits keeps a worker from other hosts.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

from keelway.errors import KeelwayError, Transient, Waiting

# What a server may ask for with Retry-After, at most: a day would be a mistake of its own.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0
# A host that limits and does not say for how long: left alone for so long, doubled each time.
_FIRST_PAUSE: Final = 15.0
_LONGEST_PAUSE: Final = 900.0
_LONGEST_QUEUE: Final = 600.0
_SPREAD: Final = 0.1
# Tenants name the hosts, so there is no end of them.
_MAX_HOSTS: Final = 2000


class Postponed(Waiting):
    """Nothing was asked: the host's budget is spent, or it wants to be left alone; `retry_after` says for how long."""

    retry_after: float


@dataclass(frozen=True)
class Limits:
    """What a host is asked at most: `at_once` operations, and `per_second` of them after a `burst`.

    `patience` is how many seconds an operation waits for its turn before it is postponed.
    """

    at_once: int = 8
    per_second: float = 10.0
    burst: int = 40
    patience: float = 2.0


@dataclass
class _Host:
    free: asyncio.Semaphore
    tokens: float
    counted_at: float
    users: int = 0
    closed_until: float = 0.0
    next_slot: float = 0.0  # when the next one that is postponed may come back
    refusals: int = 0


@dataclass
class Budget:
    """The budgets of all hosts: `async with budget.turn(host)` around one operation."""

    limits: Limits = field(default_factory=Limits)
    _hosts: OrderedDict[str, _Host] = field(default_factory=OrderedDict)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Waits for a turn at the host; raises Postponed where that would take too long.

        What the operation raises is looked at: a refusal for the rate closes the host for everybody.
        """
        budget = self._of(host.lower())
        budget.users += 1
        try:
            await self._take(host, budget)
            try:
                yield
            except KeelwayError as error:
                _heed(budget, error)
                raise
            finally:
                budget.free.release()
            budget.refusals = 0
        finally:
            budget.users -= 1

    async def _take(self, host: str, budget: _Host) -> None:
        """A token and a place; none of them is held where this raises."""
        await self._take_token(host, budget)
        try:
            async with asyncio.timeout(self.limits.patience):
                await budget.free.acquire()
        except TimeoutError as error:
            raise self._postponed(host, budget, "has not answered earlier requests yet", 1.0) from error
        # It may have said so while this one waited.
        if (closed := budget.closed_until - time.monotonic()) > 0:
            budget.free.release()
            raise self._postponed(host, budget, "wants fewer requests", closed)

    async def _take_token(self, host: str, budget: _Host) -> None:
        now = time.monotonic()
        closed = budget.closed_until - now
        if closed > 0:
            raise self._postponed(host, budget, "wants fewer requests", closed)
        earned = (now - budget.counted_at) * self.limits.per_second
        budget.tokens, budget.counted_at = min(float(self.limits.burst), budget.tokens + earned), now
        wait = (1.0 - budget.tokens) / self.limits.per_second
        if wait > self.limits.patience:
            raise self._postponed(host, budget, "was asked often enough for now", wait)
        # Below zero: those who wait have theirs already.
        budget.tokens -= 1.0
        if wait > 0:
            await asyncio.sleep(wait)

    def _postponed(self, host: str, budget: _Host, why: str, seconds: float) -> Postponed:
        """Each gets a time of its own to come back, at the pace of the host: all at once, nearly all would be again."""
        now = time.monotonic()
        slot = max(budget.next_slot, now + seconds) + 1.0 / self.limits.per_second
        budget.next_slot = min(slot, now + seconds + _LONGEST_QUEUE)
        message = f"{host} {why}, so nothing was asked now. It is asked later by itself."
        return Postponed("HostBusy", message, budget.next_slot - now)

    def _of(self, host: str) -> _Host:
        budget = self._hosts.pop(host, None)
        if budget is None:
            budget = _Host(asyncio.Semaphore(self.limits.at_once), float(self.limits.burst), time.monotonic())
            self._make_room()
        self._hosts[host] = budget
        return budget

    def _make_room(self) -> None:
        """The host asked longest ago is forgotten, but none that is being asked."""
        if len(self._hosts) < _MAX_HOSTS:
            return
        idle = next((name for name, budget in self._hosts.items() if not budget.users), None)
        if idle is not None:
            del self._hosts[idle]


def spread(seconds: float) -> float:
    """A little more than that: what began together must not go on together for ever."""
    return seconds * (1.0 + random.random() * _SPREAD)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds: it is a number or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return min(float(value), MAX_RETRY_AFTER_SECONDS)
    try:
        # Against the server's own clock, so that ours may differ.
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return min(max(wait.total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)


def is_busy(error: KeelwayError) -> bool:
    """Whether a host would answer later (429, Retry-After, Postponed): that says nothing of what it was asked."""
    return isinstance(error, Waiting | Transient) and (error.retry_after is not None or error.reason == "RateLimited")


def _heed(budget: _Host, error: KeelwayError) -> None:
    if not isinstance(error, Waiting | Transient) or isinstance(error, Postponed) or not is_busy(error):
        return
    budget.refusals += 1
    own = min(_FIRST_PAUSE * 2.0 ** min(budget.refusals - 1, 10), _LONGEST_PAUSE)
    asked = error.retry_after or own
    budget.closed_until = max(budget.closed_until, time.monotonic() + spread(asked))
