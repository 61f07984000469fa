"""One budget a host: how many ask it at once, how often, and what it says about that is heeded by all."""

import asyncio
import time
from email.utils import format_datetime
from itertools import pairwise

import pytest

import keelway.budget as module
from keelway.budget import Budget, Limits, Postponed, retry_after
from keelway.errors import NotFound, Transient, Waiting
from tests.unit.objects import NOW

HOST = "registry.example"


class Clock:
    """The monotonic clock of the budget, which a sleep moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("keelway.budget.random.random", lambda: 0.0)
    return clock


async def ask(budget: Budget, host: str = HOST, error: Exception | None = None) -> None:
    async with budget.turn(host):
        if error is not None:
            raise error


async def postponed(budget: Budget, host: str = HOST) -> float:
    """For how many seconds an operation is sent away."""
    with pytest.raises(Postponed) as told:
        await ask(budget, host)
    assert told.value.reason == "HostBusy"
    return told.value.retry_after


async def test_so_many_at_once_and_no_more() -> None:
    budget = Budget(Limits(at_once=2, patience=0.01))
    inside, done = asyncio.Semaphore(0), asyncio.Event()

    async def stay() -> None:
        async with budget.turn(HOST):
            inside.release()
            await done.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(stay())
            await inside.acquire()
        await postponed(budget)
        await ask(budget, "another.example")
        done.set()
    await ask(budget)


async def test_a_burst_and_then_so_many_a_second(clock: Clock) -> None:
    budget = Budget(Limits(per_second=2.0, burst=3, patience=0.0))
    for _ in range(3):
        await ask(budget)
    assert await postponed(budget) >= 0.5

    clock.now += 0.5
    await ask(budget)
    await postponed(budget)
    clock.now += 3600
    for _ in range(3):
        await ask(budget)
    await postponed(budget)


async def test_a_short_wait_is_waited() -> None:
    budget = Budget(Limits(per_second=100.0, burst=1, patience=1.0))
    await ask(budget)
    begun = time.monotonic()
    await ask(budget)
    assert 0.005 < time.monotonic() - begun < 1.0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Waiting("RateLimited", "429 with Retry-After", 120.0), 120.0),
        (Transient("RegistryFailed", "503 with Retry-After", 30.0), 30.0),
        (Waiting("RateLimited", "429 without", None), 15.0),
    ],
)
async def test_a_host_that_says_later_is_left_alone_by_all(clock: Clock, error: Exception, seconds: float) -> None:
    budget = Budget()
    with pytest.raises(type(error)):
        await ask(budget, error=error)

    assert await postponed(budget) == pytest.approx(seconds, abs=0.2)
    assert await postponed(budget, HOST.upper()) == pytest.approx(seconds, abs=0.3), "a host has no case"
    await ask(budget, "another.example")
    clock.now += seconds
    await ask(budget)


@pytest.mark.parametrize("error", [NotFound("NotFound", "404"), Transient("RegistryFailed", "500"), ValueError("bug")])
async def test_other_failures_close_no_host(clock: Clock, error: Exception) -> None:
    budget = Budget()
    with pytest.raises(type(error)):
        await ask(budget, error=error)
    await ask(budget)


async def test_a_host_that_goes_on_refusing_is_left_alone_ever_longer_until_it_answers(clock: Clock) -> None:
    budget = Budget()
    waits = []
    for _ in range(9):
        with pytest.raises(Waiting):
            await ask(budget, error=Waiting("RateLimited", "429"))
        waits.append(round(await postponed(budget)))
        clock.now += waits[-1] + 1
    assert waits == [15, 30, 60, 120, 240, 480, 900, 900, 900]
    await ask(budget)
    with pytest.raises(Waiting):
        await ask(budget, error=Waiting("RateLimited", "429"))
    assert round(await postponed(budget)) == 15


async def test_those_who_are_sent_away_come_back_one_after_another(clock: Clock) -> None:
    """At the host's pace: if all came at once, nearly all of them would be sent away again."""
    budget = Budget(Limits(per_second=10.0, burst=1, patience=0.0))
    await ask(budget)
    waits = [await postponed(budget) for _ in range(100)]
    assert all(later - sooner == pytest.approx(0.1) for sooner, later in pairwise(waits))
    begun = clock.now
    for wait in waits:
        clock.now = begun + wait
        await ask(budget)


async def test_who_waits_when_the_host_says_later_is_sent_away_too() -> None:
    budget = Budget(Limits(at_once=1, patience=5.0))

    async def refused() -> None:
        async with budget.turn(HOST):
            await asyncio.sleep(0.01)
            raise Waiting("RateLimited", "429", 60.0)

    results = await asyncio.gather(refused(), ask(budget), return_exceptions=True)
    assert [type(one) for one in results] == [Waiting, Postponed]


async def test_a_thousand_hosts_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_HOSTS", 10)
    budget = Budget()
    async with budget.turn(HOST):
        for number in range(1000):
            await ask(budget, f"{number}.example")
        assert len(budget._hosts) <= 10
        assert HOST in budget._hosts, "one that is being asked is kept"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999", 3600.0),
        (format_datetime(NOW.replace(minute=2), usegmt=True), 120.0),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_of_the_servers_own_clock(value: str, seconds: float | None) -> None:
    headers = {"retry-after": value, "date": format_datetime(NOW, usegmt=True)}
    assert retry_after(headers) == seconds
