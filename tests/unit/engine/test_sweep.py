"""The sweep: barrier, missed events, orphans, and silence over a converged cluster (contract rules 1 and 3)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from keelway.api.resources import APPS, JOBS, SERVICES, Resource
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import always_open
from keelway.engine.sweep import Sweep
from keelway.errors import NotFound
from tests.unit.cluster.apiserver import ApiServer, connected, refusal

LABELS = {"app.kubernetes.io/managed-by": "keelway"}


def an_app(name: str = "web", **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {}} | parts


class World:
    def __init__(self, api: ApiServer, cluster: Cluster) -> None:
        self.api = api
        self.cluster = cluster
        self.news: list[str] = []
        self.missed: list[tuple[Resource, int]] = []
        self.orphans: list[tuple[Resource, Mapping[str, Any]]] = []
        self.sweep = Sweep(
            cluster,
            lambda resource, obj: self.news.append(f"{resource.kind} {obj['metadata']['name']}"),
            lambda resource, count: self.missed.append((resource, count)),
            lambda: self.orphans,
            grace_seconds=0,
        )

    def known(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        """An object that the watch has told of."""
        made = self.api.put(resource, obj)
        self.cluster.cache.put(resource, made)
        return made


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = ApiServer()
    async with connected(api) as connection:
        yield World(api, Cluster(connection, Cache(), always_open()))


async def test_over_a_converged_cluster_it_writes_nothing_and_wakes_nobody(world: World) -> None:
    for number in range(3):
        world.known(APPS, an_app(f"app-{number}"))
        metadata = {"name": f"app-{number}", "namespace": "team", "labels": LABELS}
        world.known(SERVICES, {"metadata": metadata})
    await world.sweep.run_once()
    await world.sweep.run_once()
    assert (world.api.writes, world.news, world.missed) == ([], [], [])


async def test_it_lists_metadata_only_by_selector_and_page(world: World) -> None:
    await world.sweep.run_once()
    assert all(request.startswith("GET") for request in world.api.requests)
    services = next(q for r, q in zip(world.api.requests, world.api.queries, strict=True) if r.endswith("/services"))
    assert "labelSelector=app.kubernetes.io" in services
    assert "limit=500" in services


async def test_what_went_unseen_is_forgotten_and_its_owner_looked_at(world: World) -> None:
    world.known(APPS, an_app())
    world.api.drop(APPS, "team", "web", quietly=True)
    await world.sweep.run_once()
    assert world.cluster.cache.get(APPS, "team", "web") is None
    assert world.news == ["App web"]


async def test_what_was_replaced_unseen_is_read_anew(world: World) -> None:
    world.known(APPS, an_app())
    world.api.drop(APPS, "team", "web", quietly=True)
    made = world.api.put(APPS, an_app(spec={"replicas": 2}), quietly=True)
    await world.sweep.run_once()
    assert world.cluster.cache.version_of(APPS, "team", "web") == (
        made["metadata"]["uid"],
        int(made["metadata"]["resourceVersion"]),
    )


async def test_a_missed_change_is_read_counted_and_looked_at(world: World) -> None:
    world.known(APPS, an_app())
    world.api.put(APPS, an_app(spec={"replicas": 2}), quietly=True)
    await world.sweep.run_once()
    assert world.cluster.cache.get(APPS, "team", "web")["spec"] == {"replicas": 2}  # type: ignore[index]
    assert (world.news, world.missed) == (["App web"], [(APPS, 1)])


async def test_what_is_newer_than_the_list_is_not_forgotten(world: World) -> None:
    """Made after the list was taken, and already known by the answer of the write that made it."""
    late = {"name": "new", "namespace": "team", "uid": "u", "resourceVersion": "100000"}
    world.cluster.cache.put(APPS, {"metadata": late})
    await world.sweep.run_once()
    assert world.cluster.cache.get(APPS, "team", "new") is not None


async def test_a_watch_that_misses_twice_in_a_row_stands_still(world: World) -> None:
    world.known(APPS, an_app())
    for replicas in (1, 2):
        assert world.sweep.stalled == []
        world.api.put(APPS, an_app(spec={"replicas": replicas}), quietly=True)
        await world.sweep.run_once()
    assert world.sweep.stalled == [APPS]
    await world.sweep.run_once()
    assert world.sweep.stalled == []


async def test_a_list_that_expires_on_its_way_begins_anew(world: World) -> None:
    for number in range(3):
        world.known(APPS, an_app(f"app-{number}"))
    answers = iter([refusal(410, "Expired"), None])
    world.api.interfere = lambda request: next(answers, None) if request.path.endswith("/apps") else None
    await world.sweep.run_once()
    assert world.news == []


async def test_orphans_are_deleted_by_uid(world: World) -> None:
    job = {"name": "hello-1", "namespace": "keelway-builds", "labels": {"keelway.dev/image-uid": "gone"}}
    made = world.known(JOBS, {"metadata": job})
    world.orphans.append((JOBS, made))
    await world.sweep.remove_orphans()
    assert world.api.objects == {}


async def test_an_orphan_that_was_replaced_meanwhile_is_left_alone(world: World) -> None:
    job = {"name": "hello-1", "namespace": "keelway-builds", "labels": {"keelway.dev/image-uid": "x"}}
    made = world.known(JOBS, {"metadata": job})
    world.orphans.append((JOBS, {**made, "metadata": made["metadata"] | {"uid": "before"}}))
    await world.sweep.run_once()
    assert len(world.api.objects) == 1


async def test_the_barrier_holds_until_the_cache_has_all_that_is_listed(world: World) -> None:
    made = [world.api.put(APPS, an_app(f"app-{number}")) for number in range(2)]
    barrier = asyncio.create_task(world.sweep.barrier())
    world.cluster.cache.put(APPS, made[0])
    done, _ = await asyncio.wait({barrier}, timeout=0.2)
    assert not done
    world.cluster.cache.put(APPS, made[1])
    await asyncio.wait_for(barrier, 2)


async def test_the_barrier_of_an_empty_cluster_is_open(world: World) -> None:
    await asyncio.wait_for(world.sweep.barrier(), 2)


async def test_a_kind_that_is_not_served_is_told(world: World) -> None:
    def no_crd(request: web.Request) -> web.Response | None:
        return refusal(404, "NotFound") if request.path.endswith("/builds") else None

    world.api.interfere = no_crd
    with pytest.raises(NotFound, match="builds"):
        await world.sweep.served()


async def test_an_orphan_that_may_not_be_deleted_keeps_no_other_back(world: World) -> None:
    for name in ("held", "free"):
        metadata = {"name": name, "namespace": "keelway-builds", "labels": {"keelway.dev/image-uid": "gone"}}
        world.orphans.append((JOBS, world.known(JOBS, {"metadata": metadata})))
    world.api.interfere = lambda request: (
        refusal(403, "Forbidden") if (request.method, request.path[-5:]) == ("DELETE", "/held") else None
    )
    await world.sweep.remove_orphans()
    assert [name for _, _, name in world.api.objects] == ["held"]


async def test_a_kind_that_may_not_be_listed_keeps_no_other_back(world: World) -> None:
    service = world.known(SERVICES, {"metadata": {"name": "web", "namespace": "team", "labels": LABELS}})
    world.api.drop(SERVICES, "team", service["metadata"]["name"], quietly=True)
    world.api.interfere = lambda request: refusal(403, "Forbidden") if request.path.endswith("/apps") else None
    await world.sweep.run_once()
    assert world.news == ["Service web"]
