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
    """At most `at_once` turns under way, at most `of_one` of them a namespace's.

    What a single namespace may not take is what keeps others going where its writes hang, in an admission webhook say.
    """

    def __init__(self, at_once: int, of_one: int) -> None:
        self._free = at_once
        self._of_one = of_one
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a turn of `namespace`, first come, first served, and hold it for the block."""
        await self._take(namespace)
        try:
            yield
        finally:
            self._give_back(namespace)

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
            waiting = self._waiting[namespace]
            first = waiting.popleft()
            self._waiting.move_to_end(namespace)
            if not waiting:
                del self._waiting[namespace]
            if not first.done():
                first.set_result(None)
                self._free -= 1
                self._taken[namespace] += 1

    def _next(self) -> str | None:
        return next((one for one in self._waiting if self._taken[one] < self._of_one), None)
