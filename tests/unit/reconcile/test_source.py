"""A source is asked which revision it is at when it is time, and not more often."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from keelway.api.image import Image
from keelway.api.resources import CONFIG_MAPS
from keelway.budget import Budget, Postponed
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import always_open
from keelway.errors import Waiting
from keelway.reconcile.source import CHECK_PAUSE, Sources
from keelway.sources.addresses import parse_networks
from keelway.sources.guard import Guard, GuardedHttp
from keelway.sources.pktline import Mark, encode
from tests.unit.cluster.apiserver import ApiServer, connected
from tests.unit.objects import NOW, raw_image
from tests.unit.web import serve

INTERVAL = timedelta(seconds=60)


class World:
    """An Image `hello` of the ConfigMap `files`, the API server that has it, and the time."""

    def __init__(self, api: ApiServer, cluster: Cluster, http: GuardedHttp) -> None:
        self.api = api
        self.now = NOW
        self.sources = Sources(cluster, http, lambda: self.now)

    def files(self, **data: str) -> None:
        self.api.put(CONFIG_MAPS, {"metadata": {"name": "files", "namespace": "team-a"}, "data": data})

    async def revision(
        self, uid: str = "first", afresh: bool = False, name: str = "files", asked: bool = False, interval: int = 60
    ) -> str:
        raw: dict[str, Any] = raw_image(source={"configMap": {"name": name}}, poll={"intervalSeconds": interval})
        raw["metadata"]["uid"] = uid
        return (await self.sources.resolve(Image.parse(raw), afresh=afresh, asked=asked)).revision


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = ApiServer()
    async with connected(api) as connection, GuardedHttp(Guard(())) as http:
        world = World(api, Cluster(connection, Cache(), always_open()), http)
        world.files(Dockerfile="FROM scratch")
        yield world


async def test_it_is_asked_once_an_interval(world: World) -> None:
    first = await world.revision()
    world.files(Dockerfile="FROM busybox")

    assert await world.revision() == first
    world.now += 1.1 * INTERVAL  # spread, so that not all are asked at once
    assert await world.revision() != first


async def test_a_request_asks_at_once(world: World) -> None:
    first = await world.revision()
    world.files(Dockerfile="FROM busybox")
    assert await world.revision(afresh=True) != first


async def test_who_asks_for_a_look_gets_one_unless_the_last_is_just_past(world: World) -> None:
    first = await world.revision()
    world.files(Dockerfile="FROM busybox")
    assert await world.revision(asked=True) == first
    world.now += CHECK_PAUSE
    assert await world.revision(asked=True) != first


async def test_a_clock_that_was_set_back_keeps_nobody_from_asking(world: World) -> None:
    first = await world.revision()
    world.files(Dockerfile="FROM busybox")
    world.now -= timedelta(days=1)
    assert await world.revision(asked=True) != first


async def test_where_polling_is_off_it_is_asked_once_and_then_only_when_asked(world: World) -> None:
    first = await world.revision(interval=0)
    world.files(Dockerfile="FROM busybox")
    world.now += timedelta(days=365)
    assert await world.revision(interval=0) == first
    assert await world.revision(interval=0, asked=True) != first


async def test_another_interval_counts_at_once(world: World) -> None:
    first = await world.revision(interval=0)
    world.files(Dockerfile="FROM busybox")
    assert await world.revision(interval=10) != first


async def test_another_source_is_asked_at_once(world: World) -> None:
    await world.revision()
    with pytest.raises(Waiting) as waiting:
        await world.revision(name="others")
    assert waiting.value.reason == "ConfigMapNotFound"


async def test_an_image_made_anew_under_the_same_name_is_asked_at_once(world: World) -> None:
    first = await world.revision()
    world.files(Dockerfile="FROM busybox")
    assert await world.revision(uid="second") != first


async def test_nothing_is_remembered_of_an_image_that_is_gone(world: World) -> None:
    first = await world.revision()
    world.files(Dockerfile="FROM busybox")
    world.sources.forget("team-a", "hello")
    assert await world.revision() != first


class GitServer:
    """A repository of one branch `main`, over protocol version 2; or a server that wants fewer requests."""

    def __init__(self) -> None:
        self.commit = "1" * 40
        self.refuses = False
        self.retry_after = "600"
        self.asked = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.refuses:
            return web.Response(status=429, headers={"Retry-After": self.retry_after})
        if request.method == "GET":
            body = encode(b"# service=git-upload-pack\n", Mark.FLUSH, b"version 2\n", Mark.FLUSH)
            return web.Response(body=body, content_type="application/x-git-upload-pack-advertisement")
        return web.Response(body=encode(f"{self.commit} refs/heads/main\n".encode(), Mark.FLUSH))


def of_git(url: str, name: str) -> Image:
    raw = raw_image(name, source={"git": {"url": f"{url}/{name}.git", "revision": "main"}})
    return Image.parse(raw)


@dataclass
class Hosted:
    """A git server, what asks it, and the time."""

    server: GitServer
    url: str
    sources: Sources
    now: datetime = NOW

    def image(self, name: str) -> Image:
        return of_git(self.url, name)


@pytest.fixture
async def hosted() -> AsyncIterator[Hosted]:
    server = GitServer()
    guard = Guard(parse_networks(("127.0.0.0/8",)), plain_http=True)
    async with serve(server.handle) as url, connected(ApiServer()) as api, GuardedHttp(guard, Budget()) as http:
        sources = Sources(Cluster(api, Cache(), always_open()), http, lambda: found.now)
        found = Hosted(server, url, sources)
        yield found


async def test_a_git_server_that_wants_fewer_requests_is_left_alone_by_all_images(hosted: Hosted) -> None:
    known = hosted.image("known")
    assert (await hosted.sources.resolve(known)).revision == hosted.server.commit
    hosted.server.refuses = True
    with pytest.raises(Waiting, match="RateLimited"):
        await hosted.sources.resolve(hosted.image("first"))
    asked = hosted.server.asked

    with pytest.raises(Postponed) as postponed:
        await hosted.sources.resolve(hosted.image("second"))
    hosted.now += 2 * INTERVAL
    stays = await hosted.sources.resolve(known)

    assert hosted.server.asked == asked
    assert postponed.value.retry_after >= 600
    assert stays.revision == hosted.server.commit
    assert stays.next_check is not None
    assert stays.next_check - hosted.now >= timedelta(seconds=599)


async def test_a_revision_stays_as_it_is_known_while_the_server_wants_fewer_requests(hosted: Hosted) -> None:
    known = hosted.image("known")
    await hosted.sources.resolve(known)
    hosted.server.refuses = True
    told = []
    for _ in range(2):  # refused, and then not its turn
        hosted.now += 20 * INTERVAL
        stays = await hosted.sources.resolve(known)
        assert stays.revision == hosted.server.commit
        assert stays.next_check is not None
        assert stays.next_check > hosted.now
        told.append(stays.problem.reason if stays.problem is not None else None)
    assert told == ["RateLimited", "RateLimited"], "whose turn it is not is told nothing new"


async def test_a_server_that_always_says_now_is_asked_as_often_as_the_image_polls(hosted: Hosted) -> None:
    known = hosted.image("known")
    await hosted.sources.resolve(known)
    hosted.server.refuses, hosted.server.retry_after = True, "0"
    hosted.now += 2 * INTERVAL
    stays = await hosted.sources.resolve(known)
    assert stays.next_check is not None
    assert stays.next_check - hosted.now >= INTERVAL
