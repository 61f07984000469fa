"""Turns: so many at once, fair between namespaces, none lost and none kept for ever."""

import asyncio

import pytest

from keelway.cluster.turns import Turns
from tests.unit.conditions import until


class Writers:
    """Starts writers that hold their turn until they are let go; `order` tells who got one."""

    def __init__(self, turns: Turns) -> None:
        self.order: list[str] = []
        self._turns = turns
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str) -> None:
        """Names are `namespace/writer`."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._write(name))
        await _settled()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await _settled()

    async def cancel(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
        await asyncio.gather(*(self._tasks[name] for name in names), return_exceptions=True)
        await _settled()

    async def _write(self, name: str) -> None:
        async with self._turns.turn(name.partition("/")[0]):
            self.order.append(name)
            await self._ends[name].wait()


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_so_many_at_once() -> None:
    writers = Writers(Turns(at_once=2, seconds=60))
    await writers.come("a/1", "a/2", "b/1")
    assert writers.order == ["a/1", "a/2"]
    await writers.end("a/1")
    assert writers.order == ["a/1", "a/2", "b/1"]


async def test_who_hangs_keeps_nobody_waiting() -> None:
    writers = Writers(Turns(at_once=1, seconds=0.05))
    await writers.come("a/1", "b/1", "b/2")
    await until(lambda: writers.order == ["a/1", "b/1", "b/2"])
    for name in ("b/2", "a/1", "b/1"):
        await writers.end(name)
    await writers.come("a/2", "a/3")
    assert writers.order[3:] == ["a/2"], "a turn that was over is not given back twice"


async def test_who_is_alone_may_have_all_and_half_where_another_writes_too() -> None:
    writers = Writers(Turns(at_once=4, seconds=60))
    await writers.come("a/1", "a/2", "a/3", "a/4", "a/5")
    assert writers.order == ["a/1", "a/2", "a/3", "a/4"]
    await writers.come("b/1")
    await writers.end("a/1")
    assert writers.order[4:] == ["b/1"]
    for name in ("b/1", "a/2"):
        await writers.end(name)
    assert writers.order[5:] == [], "b may come again at any moment"
    await writers.end("a/3")
    assert writers.order[5:] == ["a/5"]


async def test_who_has_not_written_for_a_while_keeps_nothing_free() -> None:
    writers = Writers(Turns(at_once=2, seconds=0.05))
    await writers.come("b/1")
    await writers.end("b/1")
    await asyncio.sleep(0.06)  # the while
    await writers.come("a/1", "a/2")
    assert writers.order == ["b/1", "a/1", "a/2"]


async def test_namespaces_take_turns() -> None:
    writers = Writers(Turns(at_once=1, seconds=60))
    await writers.come("a/1", "a/2", "a/3", "b/1")
    for name in ("a/1", "a/2", "b/1"):
        await writers.end(name)
    assert writers.order == ["a/1", "a/2", "b/1", "a/3"]


async def test_who_no_longer_waits_is_passed_over() -> None:
    writers = Writers(Turns(at_once=1, seconds=60))
    await writers.come("a/1", "a/2", "a/3")
    await writers.cancel("a/2")
    await writers.end("a/1")
    assert writers.order == ["a/1", "a/3"]


async def test_a_turn_granted_at_the_moment_of_cancelling_goes_to_the_next() -> None:
    turns = Turns(at_once=1, seconds=60)
    writers = Writers(turns)
    async with turns.turn("a"):
        await writers.come("a/1", "a/2")
        granted = writers._tasks["a/1"]
    granted.cancel()  # a/1 has its turn since the block ended, and has not run yet
    await _settled()
    assert writers.order == ["a/2"]


async def test_a_write_that_fails_gives_its_turn_back() -> None:
    turns = Turns(at_once=1, seconds=60)
    for _ in range(3):
        with pytest.raises(ValueError, match="refused"):
            async with turns.turn("a"):
                raise ValueError("refused")
