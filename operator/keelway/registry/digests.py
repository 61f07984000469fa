"""What tags name now, asked for all Images together: of a hundred with the same base, one asks the registry.

`reconcile/bases.py` says whose base images are looked at, and when; `client.py` asks.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Self

from keelway.budget import Postponed, spread
from keelway.errors import KeelwayError, Transient, Waiting
from keelway.registry.client import Registry, Seen
from keelway.registry.credentials import Keyring, Login
from keelway.registry.reference import Reference

# A registry that does not answer is asked ever less often.
_FIRST_PAUSE: Final = 300.0
_LONGEST_PAUSE: Final = 3600.0
# What is remembered has bounds: tags are the tenants' to name. One takes about half a kilobyte.
_MAX_KNOWN: Final = 5000

# How long a pass waits for an answer, and a build that is about to begin.
PATIENCE_SECONDS: Final = 1.0

_Key = tuple[str, Login | None]


@dataclass(frozen=True)
class Caller:
    """Who asked, and what to call when there is an answer.

    `request` is what made it ask now, such as a webhook's delivery: nothing known from before it will do, and all who
    name the same one share what was asked for it.
    """

    name: object
    call: Callable[[], None]
    request: str | None = None


@dataclass(frozen=True)
class Answer:
    """What is known of a tag: the digest as last told (None: never), and what kept the registry from telling it now.

    `at` is when it was asked last; it is not asked again before `closed_until`. `pending`: it is being asked anew.
    """

    at: datetime
    seen: Seen | None = None
    problem: KeelwayError | None = None
    closed_until: datetime | None = None
    failures: int = 0
    pending: bool = False


@dataclass
class _Entry:
    answer: Answer | None = None
    asking: asyncio.Task[None] | None = None
    request: str | None = None  # the last one that it was asked for
    waiting: dict[object, Callable[[], None]] = field(default_factory=dict)


class Digests:
    """The answers of registries, each shared by all who may ask with the same login: `async with Digests(...)`.

    Registries are asked beside the passes, for one that is slow must not keep workers; who asked is called when it has
    answered.
    """

    def __init__(self, registry: Registry, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._clock = clock
        self._known: OrderedDict[_Key, _Entry] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def look(self, reference: Reference, keyring: Keyring, max_age: timedelta, caller: Caller) -> Answer | None:
        """What is known of the tag, asked anew where that is older than `max_age`. Raises nothing of `errors.py`.

        Where the registry takes its time that is what was known before (None: nothing), and the caller is called when
        there is an answer.
        """
        entry = self._entry((str(reference), keyring.login(reference)))
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            if entry.asking is None and self._is_wanted(entry, max_age, caller):
                self._begin(entry, reference, keyring, caller)
            if (asking := entry.asking) is None:
                return entry.answer
            # A question that was under way before the request may bring what was so before it.
            will_do = caller.request in (None, entry.request)
            await asyncio.wait({asking}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
            if not asking.done():
                entry.waiting[caller.name] = caller.call
                return replace(entry.answer, pending=True) if entry.answer is not None else None
            asking.result()
            if will_do:
                return entry.answer

    def _is_wanted(self, entry: _Entry, max_age: timedelta, caller: Caller) -> bool:
        if entry.answer is None or self._is_due(entry.answer, max_age):
            return True
        # A registry that wants to be left alone is, whoever asks.
        return caller.request not in (None, entry.request) and entry.answer.closed_until is None

    def _begin(self, entry: _Entry, reference: Reference, keyring: Keyring, caller: Caller) -> None:
        entry.request = caller.request or entry.request
        entry.asking = asyncio.create_task(self._ask_for(entry, reference, keyring))
        self._tasks.add(entry.asking)
        entry.asking.add_done_callback(self._tasks.discard)

    async def _ask_for(self, entry: _Entry, reference: Reference, keyring: Keyring) -> None:
        try:
            entry.answer = await self._ask(reference, keyring, entry.answer)
        finally:
            entry.asking = None
            waiting, entry.waiting = entry.waiting, {}
            for call in waiting.values():
                call()

    def _is_due(self, answer: Answer, max_age: timedelta) -> bool:
        now = self._clock()
        if answer.at > now:
            return True  # the clock was set back
        if answer.closed_until is not None:
            return now >= answer.closed_until
        return now - answer.at >= max_age

    async def _ask(self, reference: Reference, keyring: Keyring, last: Answer | None) -> Answer:
        before = last or Answer(self._clock())
        try:
            seen = await self._registry.look(reference, keyring, before.seen)
        except Postponed as error:
            return replace(before, at=self._clock(), closed_until=self._in(error.retry_after))
        except KeelwayError as error:
            failures = before.failures + 1
            pause = min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE)
            asked = error.retry_after if isinstance(error, Waiting | Transient) else None
            closed = self._in(spread(max(pause, asked or 0.0)))
            return Answer(self._clock(), before.seen, error, closed, failures)
        return Answer(self._clock(), seen)

    def _in(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)

    def _entry(self, key: _Key) -> _Entry:
        entry = self._known.pop(key, None) or _Entry()
        self._known[key] = entry
        if len(self._known) > _MAX_KNOWN:
            idle = next((one for one, known in self._known.items() if known.asking is None), None)
            if idle is not None:
                del self._known[idle]
        return entry
