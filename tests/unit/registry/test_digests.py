"""What tags name, asked once for all: over a real client and a small registry on 127.0.0.1 that may refuse."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from aiohttp import web

import keelway.registry.digests as module
from keelway.budget import Budget
from keelway.registry.client import Registry
from keelway.registry.credentials import Keyring
from keelway.registry.digests import Answer, Caller, Digests
from keelway.registry.reference import Reference
from tests.unit.conditions import until
from tests.unit.objects import NOW
from tests.unit.registry.smallregistry import ring
from tests.unit.web import serve

HOUR = timedelta(hours=1)


@dataclass
class Upstream:
    """A registry somewhere: what it says of every tag, or how it refuses."""

    body: bytes = b"{}"
    says_digest: bool = True
    says_etag: bool = False
    refusal: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: asyncio.Event | None = None
    calls: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.body).hexdigest()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request.method)
        if self.silent is not None:
            await self.silent.wait()
        if self.refusal is not None:
            return web.Response(status=self.refusal, headers=self.headers)
        etag = f'"{self.digest}"'
        if self.says_etag and request.headers.get("If-None-Match") == etag:
            self.calls[-1] = "GET, unchanged"
            return web.Response(status=304)
        headers = {"Docker-Content-Digest": self.digest} if self.says_digest else {}
        return web.Response(body=self.body, headers=headers | ({"ETag": etag} if self.says_etag else {}))


@dataclass
class World:
    upstream: Upstream
    digests: Digests
    image: Reference
    now: datetime = NOW
    called: list[str] = field(default_factory=list)
    woken: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def look(
        self, max_age: timedelta = HOUR, who: str = "one", keyring: Keyring | None = None, request: str | None = None
    ) -> Answer | None:
        caller = Caller(who, lambda: self._call(who), request)
        return await self.digests.look(self.image, keyring or Keyring(), max_age, caller)

    def _call(self, who: str) -> None:
        self.called.append(who)
        self.woken.release()

    async def told(self, max_age: timedelta = HOUR, who: str = "one") -> Answer:
        answer = await self.look(max_age, who)
        assert answer is not None
        return answer


@asynccontextmanager
async def looking(upstream: Upstream) -> AsyncIterator[World]:
    async with serve(upstream.handle) as url:
        host = url.removeprefix("http://")
        async with Registry(frozenset({host}), budget=Budget()) as registry:
            world: list[World] = []
            async with Digests(registry, lambda: world[0].now) as digests:
                world.append(World(upstream, digests, Reference(host, "library/python", "3.11-slim")))
                yield world[0]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with looking(Upstream()) as one:
        yield one


async def test_a_hundred_ask_once_an_interval(world: World) -> None:
    answers = await asyncio.gather(*(world.told(who=str(number)) for number in range(100)))
    assert {answer.seen.digest for answer in answers if answer.seen} == {world.upstream.digest}
    assert world.upstream.calls == ["HEAD"]

    world.now += HOUR - timedelta(seconds=1)
    await world.told()
    assert world.upstream.calls == ["HEAD"]
    world.now += timedelta(seconds=1)
    await asyncio.gather(*(world.told(who=str(number)) for number in range(100)))
    assert world.upstream.calls == ["HEAD", "HEAD"]


async def test_a_new_digest_is_seen(world: World) -> None:
    first = await world.told()
    world.upstream.body = b"new"
    world.now += HOUR
    second = await world.told()
    assert (first.seen, second.seen) != (second.seen, first.seen)
    assert second.seen is not None
    assert second.seen.digest == world.upstream.digest


async def test_who_needs_it_fresh_asks_again(world: World) -> None:
    await world.told()
    world.now += timedelta(seconds=31)
    await world.told(timedelta(seconds=30))
    assert len(world.upstream.calls) == 2


async def test_an_answer_is_for_those_with_the_same_login(world: World) -> None:
    await world.told()
    await world.look(keyring=ring(world.image.registry))
    assert len(world.upstream.calls) == 2


async def test_a_clock_that_was_set_back_does_not_keep_an_answer_for_ever(world: World) -> None:
    await world.told()
    world.now -= timedelta(days=300)
    await world.told()
    assert len(world.upstream.calls) == 2


@pytest.mark.parametrize(
    ("status", "headers", "reason", "seconds"),
    [
        (401, {}, "Unauthorized", 300),
        (404, {}, "NotFound", 300),
        (429, {"Retry-After": "1200"}, "RateLimited", 1200),
        (429, {}, "RateLimited", 300),
        (500, {}, "RegistryFailed", 300),
        (503, {"Retry-After": "900"}, "RegistryFailed", 900),
    ],
)
async def test_a_refusal_is_told_and_remembered_for_all(
    world: World, status: int, headers: dict[str, str], reason: str, seconds: int
) -> None:
    world.upstream.refusal, world.upstream.headers = status, headers
    answers = await asyncio.gather(*(world.told(who=str(number)) for number in range(20)))
    assert {answer.problem.reason for answer in answers if answer.problem} == {reason}
    assert all(answer.seen is None for answer in answers)
    asked = len(world.upstream.calls)
    assert asked <= 2, "a GET may follow the HEAD"

    world.now += timedelta(seconds=seconds - 1)
    await world.told(timedelta(0))
    assert len(world.upstream.calls) == asked


async def test_what_was_known_stays_known_while_a_registry_fails(world: World) -> None:
    digest = world.upstream.digest
    await world.told()
    world.upstream.refusal = 500
    world.now += HOUR
    answer = await world.told()
    assert answer.problem is not None
    assert answer.seen is not None
    assert answer.seen.digest == digest

    world.upstream.refusal = None
    world.now += HOUR
    assert (await world.told()).problem is None


async def test_a_registry_that_goes_on_failing_is_asked_ever_less_often(world: World) -> None:
    world.upstream.refusal = 500
    pauses = []
    for _ in range(6):
        answer = await world.told()
        assert answer.closed_until is not None
        pauses.append((answer.closed_until - world.now).total_seconds())
        world.now = answer.closed_until
    assert [round(pause / 100) * 100 // 300 for pause in pauses[:3]] == [1, 2, 4]
    assert all(3600 <= pause <= 3960 for pause in pauses[4:])


async def test_a_host_that_wants_fewer_requests_is_not_asked_for_another_tag_either(world: World) -> None:
    world.upstream.refusal, world.upstream.headers = 429, {"Retry-After": "600"}
    await world.told()
    world.image = Reference(world.image.registry, "library/node", "22")
    answer = await world.told()
    assert len(world.upstream.calls) == 1
    assert (answer.seen, answer.problem) == (None, None), "nothing was found out, and nobody is to blame"
    assert answer.closed_until is not None
    assert answer.closed_until - world.now >= timedelta(seconds=590)


async def test_a_registry_without_digests_is_spared_the_body_by_its_etag() -> None:
    async with looking(Upstream(says_digest=False, says_etag=True)) as world:
        first = await world.told()
        world.now += HOUR
        second = await world.told()
        assert world.upstream.calls == ["HEAD", "GET", "HEAD", "GET, unchanged"]
        assert first.seen == second.seen
        assert first.seen is not None
        assert first.seen.digest == world.upstream.digest

        world.upstream.body = b"new"
        world.now += HOUR
        third = await world.told()
        assert third.seen is not None
        assert third.seen.digest == world.upstream.digest


async def test_a_registry_that_is_slow_keeps_no_pass_and_calls_when_it_has_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    world.upstream.silent = asyncio.Event()
    assert await world.look(who="a") is None
    assert await world.look(who="b") is None
    assert await world.look(who="a") is None

    world.upstream.silent.set()
    async with asyncio.timeout(5):
        await world.woken.acquire()
        await world.woken.acquire()
    assert sorted(world.called) == ["a", "b"]
    answer = await world.told()
    assert answer.seen is not None
    assert world.upstream.calls == ["HEAD"]


async def test_while_a_registry_is_asked_anew_what_it_said_before_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    first = await world.told()
    world.upstream.silent = asyncio.Event()
    world.now += HOUR
    meanwhile = await world.told()
    assert (meanwhile.seen, meanwhile.pending) == (first.seen, True)

    world.upstream.silent.set()
    async with asyncio.timeout(5):
        await world.woken.acquire()
    assert not (await world.told()).pending


async def test_nothing_is_asked_any_more_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    silent = asyncio.Event()
    async with looking(Upstream(silent=silent)) as world:
        assert await world.look() is None
        async with asyncio.timeout(5):
            await world.digests.__aexit__()
        assert world.called == ["one"]
        silent.set()


async def test_what_is_remembered_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_KNOWN", 5)
    for number in range(20):
        world.image = Reference(world.image.registry, "library/python", str(number))
        await world.told()
    assert len(world.digests._known) == 5


class TestARequest:
    async def test_asks_anew_once_for_all_who_name_it(self, world: World) -> None:
        await world.told()
        await asyncio.gather(*(world.look(who=str(number), request="push-1") for number in range(100)))
        assert world.upstream.calls == ["HEAD"] * 2
        await world.look(request="push-1")
        await world.told()
        assert world.upstream.calls == ["HEAD"] * 2
        await world.look(request="push-2")
        assert world.upstream.calls == ["HEAD"] * 3

    async def test_is_not_answered_by_what_was_asked_before_it(self, world: World) -> None:
        """The tag may have moved after the registry had looked it up."""
        await world.told()
        old = world.upstream.digest
        world.upstream.silent = asyncio.Event()
        world.now += HOUR
        before = asyncio.create_task(world.look(who="before"))
        await until(lambda: len(world.upstream.calls) == 2)
        after = asyncio.create_task(world.look(who="after", request="push-1"))
        await asyncio.sleep(0)
        world.upstream.silent.set()
        await before
        answer = await after
        assert world.upstream.calls == ["HEAD"] * 3
        assert answer is not None
        assert answer.seen is not None
        assert answer.seen.digest == old

    async def test_waits_no_longer_than_others(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
        await world.told()
        world.upstream.silent = asyncio.Event()
        answer = await world.look(request="push-1")
        assert answer is not None
        assert answer.pending
        world.upstream.silent.set()
        await world.woken.acquire()
        assert world.called == ["one"]

    async def test_leaves_a_registry_alone_that_wants_to_be(self, world: World) -> None:
        world.upstream.refusal = 429
        await world.told()
        await world.look(request="push-1")
        assert len(world.upstream.calls) == 1
