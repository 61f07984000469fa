"""The work queue: each key once, never twice at a time, namespaces in turn, delays that grow."""

import asyncio

import pytest

from keelway.engine.queue import Backoff, WorkQueue
from keelway.reconcile.outcome import Key
from tests.unit.conditions import until


def key(name: str, namespace: str = "team") -> Key:
    return Key("App", namespace, name)


async def taken(queue: WorkQueue, count: int) -> list[str]:
    found = []
    for _ in range(count):
        one = await asyncio.wait_for(queue.get(), 2)
        queue.done(one)
        found.append(one.name)
    return found


async def test_a_key_is_in_it_once() -> None:
    queue = WorkQueue(of_one=32)
    for _ in range(3):
        queue.add(key("a"))
    assert queue.depth == 1


async def test_a_key_added_while_it_is_worked_on_comes_again_afterwards_once() -> None:
    queue = WorkQueue(of_one=32)
    queue.add(key("a"))
    one = await queue.get()
    queue.add(key("a"))
    queue.add(key("a"))
    assert queue.depth == 0  # not to another worker meanwhile
    queue.done(one)
    assert queue.depth == 1


async def test_namespaces_take_turns() -> None:
    queue = WorkQueue(of_one=32)
    for number in range(2000):
        queue.add(key(f"big-{number}", "big"))
    queue.add(key("small", "small"))
    assert "small" in await taken(queue, 2)


async def test_within_a_namespace_the_first_come_is_the_first_served() -> None:
    queue = WorkQueue(of_one=32)
    for name in "abc":
        queue.add(key(name))
    assert await taken(queue, 3) == ["a", "b", "c"]


async def test_a_worker_that_waits_is_woken() -> None:
    queue = WorkQueue(of_one=32)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(key("a"))
    assert (await asyncio.wait_for(waiting, 2)).name == "a"


async def test_a_worker_cancelled_at_the_moment_of_waking_loses_no_key() -> None:
    queue = WorkQueue(of_one=32)
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(key("a"))
    first.cancel()
    assert (await asyncio.wait_for(second, 2)).name == "a"


async def test_delayed_keys_come_in_the_order_of_their_times() -> None:
    queue = WorkQueue(of_one=32)
    queue.add_after(key("late"), 0.05)
    queue.add_after(key("soon"), 0.01)
    assert await taken(queue, 2) == ["soon", "late"]


async def test_of_two_delays_the_earlier_counts() -> None:
    queue = WorkQueue(of_one=32)
    queue.add_after(key("a"), 60)
    queue.add_after(key("a"), 0.01)
    queue.add_after(key("a"), 60)
    assert await taken(queue, 1) == ["a"]
    assert queue.depth == 0


async def test_an_event_does_not_wait_for_a_delay_and_ends_it() -> None:
    queue = WorkQueue(of_one=32)
    queue.add_after(key("a"), 0.02)
    queue.add(key("a"))
    assert await taken(queue, 1) == ["a"]
    queue.add_after(key("b"), 0.04)
    assert await taken(queue, 1) == ["b"]  # and not `a` again


async def test_failures_of_a_key_come_back_ever_later() -> None:
    queue = WorkQueue(of_one=32)
    steady = Backoff(first=0.2, longest=60, jitter=0)
    assert [queue.retry(key("a"), steady) for _ in range(4)] == [0.2, 0.4, 0.8, 1.6]
    assert queue.retry(key("b"), steady) == 0.2
    queue.forgive(key("a"))
    assert queue.retry(key("a"), steady) == 0.2


async def test_another_sort_of_failure_begins_anew() -> None:
    queue = WorkQueue(of_one=32)
    queue.retry(key("a"), Backoff(0.2, 60, 0))
    queue.retry(key("a"), Backoff(0.2, 60, 0))
    assert queue.retry(key("a"), Backoff(10, 300, 0)) == 10


async def test_what_the_other_side_asked_for_is_the_least_delay() -> None:
    assert WorkQueue(of_one=32).retry(key("a"), Backoff(0.2, 60, 0), at_least=7) == 7


@pytest.mark.parametrize("attempt", [10, 1_000_000])
def test_a_delay_has_its_longest_and_some_jitter(attempt: int) -> None:
    delays = {Backoff(0.2, 60, jitter=0.5).delay(attempt) for _ in range(20)}
    assert min(delays) >= 60
    assert max(delays) <= 90
    assert len(delays) > 1


async def test_how_long_the_first_has_waited_is_known() -> None:
    queue = WorkQueue(of_one=32)
    assert queue.oldest_wait == 0
    queue.add(key("a"))
    await asyncio.sleep(0.01)
    assert queue.oldest_wait >= 0.01


async def test_a_namespace_whose_passes_do_not_end_leaves_workers_to_others() -> None:
    queue = WorkQueue(of_one=2)
    for name in "abc":
        queue.add(key(name, "stuck"))
    hanging = [await queue.get(), await queue.get()]
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add(key("d", "stuck"))
    queue.add(key("other", "free"))
    assert (await asyncio.wait_for(waiting, 2)).name == "other"
    assert queue.depth == 2

    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.done(hanging[0])
    assert (await asyncio.wait_for(waiting, 2)).name == "c"


async def test_a_key_that_comes_again_waits_for_its_namespaces_share() -> None:
    queue = WorkQueue(of_one=1)
    queue.add(key("a"))
    queue.add(key("b"))
    one = await queue.get()
    queue.add(key("a"))
    queue.done(one)
    assert await taken(queue, 2) == ["b", "a"]


async def test_what_is_put_off_again_and_again_is_remembered_once() -> None:
    queue = WorkQueue(of_one=32)
    for attempt in range(5000):
        queue.add_after(key("a"), 80_000 - attempt)
        queue.add(key("a"))
        queue.done(await queue.get())
    assert len(queue._timers) < 2000
    queue.close()


async def test_wishes_go_before_what_is_due_but_not_for_ever() -> None:
    queue = WorkQueue(of_one=32)
    for name in "xy":
        queue.add_after(key(name), 0.001)
    await until(lambda: queue.depth == 2)
    for name in "abcdefgh":
        queue.add(key(name))
    assert "".join(await taken(queue, 10)) == "abcdefgxhy"


async def test_what_is_due_and_then_wanted_is_a_wish() -> None:
    queue = WorkQueue(of_one=32)
    for name in "xyz":
        queue.add_after(key(name), 0.001)
    await until(lambda: queue.depth == 3)
    queue.add(key("z"))
    assert queue.depth == 3
    assert await taken(queue, 3) == ["z", "x", "y"]


async def test_what_was_wanted_meanwhile_is_a_wish_after_the_pass() -> None:
    queue = WorkQueue(of_one=32)
    queue.add(key("a"))
    one = await queue.get()
    queue.add_after(key("b"), 0.001)
    await until(lambda: queue.depth == 1)
    queue.add(one)
    queue.done(one)
    assert await taken(queue, 2) == ["a", "b"]
