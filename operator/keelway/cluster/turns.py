"""Who writes next: a bounded number of writes at once, namespaces in turn.

The API server creates Services one by one, under a lock, so many writes at once only wait inside it and slow down
everybody's (ADR 16). They wait here instead, where a namespace with much to do does not stand in the way of one with
little. Plain asyncio, for one event loop; `client.py` takes a turn for every write.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `at_once` turns under way, each for `seconds` at most; half of them a namespace's while others write too.

    What takes longer hangs, in an admission webhook say, and costs the API server nothing meanwhile: its turn goes to
    the next, or a few of these would stop everybody.
    """

    def __init__(self, at_once: int, seconds: float) -> None:
        self._free = at_once
        self._at_once = at_once
        self._seconds = seconds
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._lately: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def turn(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a turn of `namespace`, first come, first served, and have it for the block."""
        await self._take(namespace)
        over = False

        def end() -> None:
            nonlocal over
            if not over:
                over = True
                self._give_back(namespace)

        timer = asyncio.get_running_loop().call_later(self._seconds, end)
        try:
            yield
        finally:
            timer.cancel()
            end()

    async def _take(self, namespace: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(mine)
        self._grant()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._give_back(namespace)
            raise

    def _give_back(self, namespace: str) -> None:
        self._free += 1
        self._taken[namespace] -= 1
        if not self._taken[namespace]:
            del self._taken[namespace]
        self._grant()

    def _grant(self) -> None:
        while self._free and (namespace := self._next()) is not None:
            waiting = self._waiting.pop(namespace)
            first = waiting.popleft()
            if waiting:
                self._waiting[namespace] = waiting  # at the end: the others' turn
            if not first.done():
                first.set_result(None)
                self._free -= 1
                self._taken[namespace] += 1
                self._lately.pop(namespace, None)
                self._lately[namespace] = asyncio.get_running_loop().time()

    def _next(self) -> str | None:
        now = asyncio.get_running_loop().time()
        while self._lately and next(iter(self._lately.values())) < now - self._seconds:
            self._lately.popitem(last=False)
        return next((one for one in self._waiting if self._taken[one] < self._share_of(one)), None)

    def _share_of(self, namespace: str) -> int:
        alone = not (self._lately.keys() | self._waiting.keys()) - {namespace}
        return self._at_once if alone else max(1, self._at_once // 2)
