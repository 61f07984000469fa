"""Who writes next: a bounded number of writes at once, namespaces in turn.

The API server creates Services one by one, under a lock, so many writes at once only wait inside it and slow down
everybody's (ADR 16). They wait here instead, where a namespace with much to do does not stand in the way of one with
little. Plain asyncio, for one event loop; `client.py` takes a turn for every write.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `at_once` turns under way, each for `seconds` at most.

    What takes longer hangs, in an admission webhook say, and costs the API server nothing meanwhile: its turn goes to
    the next, or a few of these would stop everybody.
    """

    def __init__(self, at_once: int, seconds: float) -> None:
        self._free = at_once
        self._seconds = seconds
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a turn of `namespace`, first come, first served, and have it for the block."""
        await self._take(namespace)
        over = False

        def end() -> None:
            nonlocal over
            if not over:
                over = True
                self._give_back()

        timer = asyncio.get_running_loop().call_later(self._seconds, end)
        try:
            yield
        finally:
            timer.cancel()
            end()

    async def _take(self, namespace: str) -> None:
        if self._free:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            namespace, waiting = self._waiting.popitem(last=False)
            first = waiting.popleft()
            if waiting:
                self._waiting[namespace] = waiting  # at the end: the others' turn
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
