"""The engine as a whole, with Kopf, over HTTP: start, events, shut-down, loss of the lease, a missing kind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from keelway.api.resources import APPS, BUILDS, DEPLOYMENTS, IMAGES, LEASES
from keelway.cluster.client import Cluster
from keelway.cluster.watched import WATCHED
from keelway.engine.engine import Engine, Options
from keelway.engine.leader import Timing
from keelway.engine.metrics import Metrics
from keelway.engine.term import Parts
from keelway.reconcile.outcome import Key, Outcome
from tests.unit.cluster.apiserver import ApiServer, connected, refusal
from tests.unit.conditions import until

FAST = Timing(lease=2.0, renew=1.0, retry=0.1, call=0.3)


def an_app(name: str = "web", **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {}} | parts


class World:
    """An engine whose reconcilers only note what they are asked, and what they see in the cache."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.passes: list[str] = []
        self.seen: list[int] = []
        self.terms = 0
        self.chores = 0
        self.closed = 0
        self.hold: asyncio.Event | None = None
        self.cluster: Cluster | None = None

    @asynccontextmanager
    async def assemble(self, cluster: Cluster, wake: Callable[[Key], None]) -> AsyncIterator[Parts]:
        self.terms += 1
        self.cluster = cluster

        async def reconcile(key: Key) -> Outcome:
            self.passes.append(str(key))
            self.seen.append(len(cluster.cache))
            if self.hold is not None:
                await self.hold.wait()
            return Outcome()

        async def chore() -> timedelta:
            self.chores += 1
            return timedelta(hours=1)

        yield Parts({"App": reconcile, "Image": reconcile}, chores=[chore])
        self.closed += 1


@pytest.fixture
def world() -> World:
    return World(ApiServer())


@asynccontextmanager
async def running(world: World, port: int = 0) -> AsyncIterator[Engine]:
    async with connected(world.api) as connection:
        options = Options("keelway-system", "one", port=port, workers=4, drain_seconds=2, timing=FAST)
        engine = Engine(connection, Metrics(), world.assemble, options)
        task = asyncio.create_task(engine.run())
        try:
            yield engine
        finally:
            engine.stop()
            await asyncio.wait_for(task, 15)


async def test_no_pass_begins_before_all_kinds_are_in_the_cache(world: World) -> None:
    for number in range(5):
        world.api.put(APPS, an_app(f"app-{number}"))
        labels = {"app.kubernetes.io/managed-by": "keelway"}
        world.api.put(DEPLOYMENTS, {"metadata": {"name": f"app-{number}", "namespace": "team", "labels": labels}})
    async with running(world):
        await until(lambda: len(world.passes) >= 5)
    assert min(world.seen) == 10


async def test_events_become_passes_and_kopf_writes_nothing_into_objects(world: World) -> None:
    async with running(world):
        await until(lambda: world.chores == 1)
        await until(lambda: any(plural == "apps" for plural, _, _ in world.api.watches))
        world.api.put(APPS, an_app())
        await until(lambda: world.passes == ["App team/web"])
        world.api.put(APPS, an_app(spec={"replicas": 2}))
        await until(lambda: len(world.passes) == 2)
    assert [one for one in world.api.writes if "leases" not in one] == []


@pytest.mark.parametrize("status", [{"finishedAt": 7}, {"finishedAt": "2999-01-01T00:00:05"}])
async def test_an_object_that_nobody_foresaw_ends_no_watch(world: World, status: dict[str, Any]) -> None:
    """Its own pass begins all the same, and so do all others; the fault is logged."""
    # structlog's own renderer draws a trace with all variables: the lease of a second may run out meanwhile.
    with capture_logs() as logs:
        async with running(world):
            await until(lambda: world.terms == 1)
            metadata = {"name": "odd-1", "namespace": "team"}
            world.api.put(BUILDS, {"metadata": metadata, "spec": {"image": "odd"}, "status": status})
            world.api.put(APPS, an_app())
            await until(lambda: set(world.passes) == {"Image team/odd", "App team/web"})
    assert world.terms == 1
    assert any("exc_info" in one for one in logs)


async def test_a_watch_whose_token_was_refused_goes_on_with_the_next_one(world: World) -> None:
    refused: list[str] = []

    def refuse_once(request: web.Request) -> web.Response | None:
        if "watch" not in request.query or request.path in refused:
            return None
        refused.append(request.path)
        return refusal(401, "Unauthorized")

    world.api.interfere = refuse_once
    async with running(world):
        await until(lambda: len(world.api.watches) == len(refused) == len(WATCHED), 10)
        world.api.put(APPS, an_app())
        await until(lambda: world.passes == ["App team/web"])
    assert world.terms == 1


async def test_a_change_that_nobody_reads_starts_no_pass(world: World) -> None:
    world.api.put(APPS, an_app())
    async with running(world):
        await until(lambda: len(world.passes) == 1)
        await until(lambda: any(plural == "apps" for plural, _, _ in world.api.watches))
        world.api.put(APPS, an_app(status={"replicas": 1}))
        world.api.put(IMAGES, an_app("hello"))
        await until(lambda: len(world.passes) >= 2)
        assert world.passes == ["App team/web", "Image team/hello"]


async def test_only_what_carries_our_label_is_listed_and_watched(world: World) -> None:
    async with running(world):
        await until(lambda: world.chores == 1)
    asked = list(zip(world.api.requests, world.api.queries, strict=True))
    foreign = [query for request, query in asked if request.endswith(("/deployments", "/services", "/jobs", "/pods"))]
    assert foreign
    assert all("labelSelector=" in query for query in foreign)


async def test_nothing_is_asked_that_needs_wide_permissions(world: World) -> None:
    """Discovery, our own kinds and the Lease; no list of CRDs, namespaces, Secrets or Events."""
    async with running(world):
        await until(lambda: world.chores == 1)
    plurals = {request.rpartition("/")[2] for request in world.api.requests if not request.startswith("GET /api")}
    listed = {request.split("/")[-1] for request in world.api.requests if request.startswith("GET /api")}
    assert plurals <= {"leases", "keelway"}
    assert not listed & {"customresourcedefinitions", "namespaces", "secrets", "events", "configmaps"}


async def test_after_410_the_watch_goes_on(world: World) -> None:
    world.api.put(APPS, an_app())
    async with running(world):
        await until(lambda: any(plural == "apps" for plural, _, _ in world.api.watches))
        world.api.break_watches("apps")
        world.api.put(APPS, an_app("during"), quietly=True)
        await until(lambda: "App team/during" in world.passes)
    assert world.terms == 1


async def test_a_list_that_expires_on_its_way_ends_no_term(world: World) -> None:
    """A big list may take longer than etcd keeps its history; Kopf gives it up then."""
    world.api.put(APPS, an_app())
    refused: list[str] = []

    def expire_twice(request: web.Request) -> web.Response | None:
        is_watch_s = "watch" not in request.query and "Partial" not in request.headers["Accept"]
        if not is_watch_s or not request.path.endswith("/apps") or len(refused) == 2:
            return None
        refused.append(request.path)
        return refusal(410, "Expired")

    world.api.interfere = expire_twice
    async with running(world):
        await until(lambda: world.passes == ["App team/web"], 15)
    assert len(refused) == 2
    assert world.terms == 1


async def test_a_watch_that_ends_with_an_error_begins_anew(world: World) -> None:
    """Kopf goes on after 410 alone, and gives up after any other."""
    async with running(world):
        await until(lambda: any(plural == "apps" for plural, _, _ in world.api.watches))
        world.api.break_watches("apps", code=500)
        world.api.put(APPS, an_app(), quietly=True)
        await until(lambda: world.passes == ["App team/web"], 15)
    assert world.terms == 1


async def test_sigterm_ends_well_and_gives_the_lease_back(world: World) -> None:
    world.api.put(APPS, an_app())
    world.hold = asyncio.Event()
    async with running(world):
        await until(lambda: len(world.passes) == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        lease = world.api.objects["leases", "keelway-system", "keelway"]
        assert lease["spec"]["holderIdentity"] == "one"  # as long as a pass is under way
        world.hold.set()
        await until(lambda: world.api.objects["leases", "keelway-system", "keelway"]["spec"]["holderIdentity"] == "")


async def test_a_lost_lease_ends_the_term_and_the_process_stands_again(world: World) -> None:
    world.api.put(APPS, an_app())
    async with running(world):
        await until(lambda: len(world.passes) == 1)
        first = world.cluster
        lease = world.api.objects["leases", "keelway-system", "keelway"]
        spec = lease["spec"] | {"holderIdentity": "two", "leaseDurationSeconds": 1}
        world.api.put(LEASES, {"metadata": {"name": "keelway", "namespace": "keelway-system"}, "spec": spec})
        await until(lambda: world.terms == 2 and len(world.passes) == 2)
        assert world.cluster is not first
        assert world.closed == 1


async def test_an_api_server_that_went_away_is_survived(world: World) -> None:
    world.api.put(APPS, an_app())
    async with running(world):
        await until(lambda: len(world.passes) == 1)
        world.api.interfere = lambda request: refusal(503, "ServiceUnavailable")
        await until(lambda: world.cluster is not None and not world.cluster._gate.is_open)
        world.api.interfere = lambda request: None
        world.api.put(APPS, an_app("later"))
        await until(lambda: "App team/later" in world.passes)


async def test_a_missing_crd_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keelway.engine.term._LOOK_AGAIN_SECONDS", 0.05)
    world.api.put(APPS, an_app())
    missing = True
    world.api.interfere = lambda request: refusal(404, "NotFound") if missing and "/builds" in request.path else None
    async with running(world):
        await until(lambda: any("/builds" in request for request in world.api.requests))
        assert world.passes == []
        missing = False
        await until(lambda: world.passes == ["App team/web"])


async def test_probes_answer_from_the_first_moment_and_metrics_tell_who_leads(
    world: World, unused_tcp_port: int
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    world.api.interfere = lambda request: refusal(503, "ServiceUnavailable")
    async with running(world, unused_tcp_port), aiohttp.ClientSession() as session:

        async def get(path: str) -> tuple[int, str]:
            async with session.get(url + path) as response:
                return response.status, await response.text()

        await until(lambda: bool(world.api.requests))
        assert (await get("/livez"))[0] == 200
        assert (await get("/readyz"))[0] == 503
        assert "keelway_leader 0.0" in (await get("/metrics"))[1]
        world.api.interfere = lambda request: None
        await until(lambda: world.chores == 1)
        assert (await get("/readyz"))[0] == 200
        assert "keelway_leader 1.0" in (await get("/metrics"))[1]
