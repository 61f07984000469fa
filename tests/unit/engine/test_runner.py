"""Workers: what a pass raises decides when its object comes back (contract, "Errors")."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from keelway.engine.metrics import Metrics
from keelway.engine.queue import WorkQueue
from keelway.engine.runner import Runner
from keelway.errors import Invalid, NotFound, NotLeader, Terminal, Transient, Waiting
from keelway.reconcile.outcome import Key, Outcome
from tests.unit.conditions import until

KEY = Key("App", "team", "web")


class Recorder(WorkQueue):
    """A queue that only notes when a key is to come back."""

    def __init__(self) -> None:
        super().__init__(of_one=32)
        self.delays: list[float] = []

    def add_after(self, key: Key, delay: float) -> None:
        self.delays.append(delay)


class Scene:
    def __init__(self, workers: int = 4) -> None:
        self.queue = Recorder()
        self.metrics = Metrics()
        self.passes: list[Key] = []
        self.ends: Callable[[Key], Outcome] = lambda key: Outcome()
        self.hold: asyncio.Event | None = None
        self.runner = Runner(self.queue, {"App": self.reconcile}, self.metrics, workers)

    async def reconcile(self, key: Key) -> Outcome:
        self.passes.append(key)
        if self.hold is not None:
            await self.hold.wait()
        return self.ends(key)

    def result(self, result: str) -> float:
        return (
            self.metrics.registry.get_sample_value("keelway_reconciles_total", {"kind": "App", "result": result}) or 0
        )

    async def until_idle(self) -> None:
        await until(lambda: not self.queue.depth and not self.queue.running)


@asynccontextmanager
async def running(scene: Scene) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(scene.runner.run())
    try:
        yield task
    finally:
        await scene.runner.drain(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def one_pass(error: Exception | None = None, outcome: Outcome | None = None) -> Scene:
    scene = Scene()

    def end(key: Key) -> Outcome:
        if error is not None:
            raise error
        return outcome or Outcome()

    scene.ends = end
    async with running(scene):
        scene.queue.add(KEY)
        await scene.until_idle()
    return scene


async def test_a_good_pass_rests_until_the_next_event() -> None:
    scene = await one_pass()
    assert (scene.result("ok"), scene.queue.delays) == (1, [])


async def test_a_good_pass_may_ask_to_come_back() -> None:
    assert (await one_pass(outcome=Outcome(requeue_after=30))).queue.delays == [30]


async def test_what_only_the_spec_can_cure_is_not_retried() -> None:
    scene = await one_pass(Terminal("Bad", "x"))
    assert (scene.result("terminal"), scene.queue.delays) == (1, [])


@pytest.mark.parametrize("error", [Waiting("SecretNotFound", "x"), NotFound("NotFound", "x")])
async def test_what_lies_outside_is_looked_at_again_after_ten_seconds(error: Waiting) -> None:
    scene = await one_pass(error)
    assert scene.result("waiting") == 1
    assert 10 <= scene.queue.delays[0] <= 12


async def test_the_outside_may_say_when() -> None:
    assert (await one_pass(Waiting("Later", "x", retry_after=77))).queue.delays == [77]


async def test_a_fault_that_passes_is_retried_soon() -> None:
    scene = await one_pass(Transient("Busy", "x"))
    assert scene.result("transient") == 1
    assert 0.2 <= scene.queue.delays[0] <= 0.3


async def test_retry_after_is_honoured() -> None:
    assert (await one_pass(Transient("Busy", "x", retry_after=9))).queue.delays == [9]


@pytest.mark.parametrize("error", [ZeroDivisionError(), Invalid("Invalid", "x")])
async def test_anything_else_is_counted_and_retried(error: Exception) -> None:
    scene = await one_pass(error)
    assert scene.result("error") == 1
    assert 0.2 <= scene.queue.delays[0] <= 0.3


async def test_who_may_not_write_now_asks_again_for_the_lease_may_be_renewed_late() -> None:
    scene = await one_pass(NotLeader("NotLeader", "x"))
    assert scene.result("not_leader") == 1
    assert 0.2 <= scene.queue.delays[0] <= 0.3


async def test_a_server_that_always_says_now_is_waited_for_all_the_same() -> None:
    scene = await one_pass(Waiting("RateLimited", "x", retry_after=0))
    assert 10 <= scene.queue.delays[0] <= 12


async def test_a_poisoned_object_does_not_stop_the_others() -> None:
    scene = Scene(workers=1)

    def end(key: Key) -> Outcome:
        if key.name == "bad":
            raise ZeroDivisionError
        return Outcome()

    scene.ends = end
    async with running(scene):
        for name in ("bad", "good-1", "bad", "good-2"):
            scene.queue.add(Key("App", "team", name))
        await scene.until_idle()
    assert scene.result("ok") == 2


async def test_a_key_is_never_worked_on_twice_at_once() -> None:
    scene = Scene()
    scene.hold = asyncio.Event()
    async with running(scene):
        scene.queue.add(KEY)
        await until(lambda: bool(scene.passes))
        scene.queue.add(KEY)
        await asyncio.sleep(0.01)
        assert scene.passes == [KEY]
        scene.hold.set()
        await scene.until_idle()
    assert scene.passes == [KEY, KEY]


async def test_at_the_end_passes_under_way_are_finished_and_no_new_ones_begin() -> None:
    scene = Scene()
    scene.hold = asyncio.Event()
    async with running(scene):
        scene.queue.add(KEY)
        await until(lambda: bool(scene.passes))
        drained = asyncio.create_task(scene.runner.drain(5))
        await asyncio.sleep(0)
        scene.queue.add(Key("App", "team", "new"))
        scene.hold.set()
        await asyncio.wait_for(drained, 2)
    assert scene.result("ok") == 1
    assert scene.passes == [KEY]


async def test_a_pass_that_does_not_end_is_cut_off_after_the_time_given() -> None:
    scene = Scene()
    scene.hold = asyncio.Event()
    async with running(scene):
        scene.queue.add(KEY)
        await until(lambda: bool(scene.passes))
        await asyncio.wait_for(scene.runner.drain(0.02), 2)
    assert scene.result("cancelled") == 1
