"""A pass over an App, against a small API server: what its status tells of what runs."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from keelway.api.resources import APPS, DEPLOYMENTS, PODS
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.cluster.gate import always_open
from keelway.errors import Terminal, Waiting
from keelway.reconcile.app import AppReconciler
from keelway.reconcile.children import Settler
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.image_of import ImageFinder
from keelway.reconcile.outcome import Key
from keelway.registry.client import Registry
from keelway.settings import Settings
from tests.unit.cluster.apiserver import ApiServer, connected, refusal
from tests.unit.objects import NOW

# Nothing listens on port 1: a registry that only the nodes reach, say.
REFERENCE = "127.0.0.1:1/team/hello:1.0"
KEY = Key("App", "team-a", "hello")


class World:
    """An App of a reference that the operator cannot resolve."""

    def __init__(self, api: ApiServer, cluster: Cluster, finder: ImageFinder) -> None:
        self.api = api
        self.cluster = cluster
        self.now = NOW
        self.reconcile = AppReconciler(cluster, finder, Settler(cluster), Events(cluster), lambda: self.now)

    async def status(self) -> dict[str, Any]:
        """The App's status after a pass."""
        await self.reconcile(KEY)
        found: dict[str, Any] = self.api.objects["apps", "team-a", "hello"]["status"]
        return found

    async def rolls_out(self) -> None:
        deployment = self.api.objects["deployments", "team-a", "hello"]
        deployment["status"] = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
        self.cluster.cache.put(DEPLOYMENTS, self.api.put(DEPLOYMENTS, deployment))

    def runs(self, image_id: str) -> None:
        """A pod of the App that the node started from that image."""
        labels = self.api.objects["deployments", "team-a", "hello"]["spec"]["template"]["metadata"]["labels"]
        status = {"phase": "Running", "containerStatuses": [{"name": "app", "ready": True, "imageID": image_id}]}
        self.api.put(PODS, {"metadata": {"name": "hello-1", "namespace": "team-a", "labels": labels}, "status": status})


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = ApiServer()
    settings = Settings(registry="registry.example.com")
    async with connected(api) as connection, Registry(frozenset(["127.0.0.1:1"])) as registry:
        cluster = Cluster(connection, Cache(), always_open())
        finder = ImageFinder(cluster.cache, registry, Credentials(cluster, settings))
        app = {
            "metadata": {"name": "hello", "namespace": "team-a", "generation": 1},
            "spec": {"image": {"reference": REFERENCE}},
        }
        cluster.cache.put(APPS, api.put(APPS, app))
        yield World(api, cluster, finder)


async def test_the_digest_of_a_tag_that_only_the_node_could_resolve_is_taken_from_its_pod(world: World) -> None:
    assert (await world.status())["image"] == REFERENCE, "nobody knows better yet"
    digest = f"127.0.0.1:1/team/hello@sha256:{'a' * 64}"
    world.runs(digest)
    await world.rolls_out()

    status = await world.status()

    assert status["image"] == digest
    ready = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
    assert ready["ImageReady"] == ("True", "DigestNotResolved")
    assert ready["Ready"] == ("True", "RolledOut")
    assert (
        world.api.objects["deployments", "team-a", "hello"]["spec"]["template"]["spec"]["containers"][0]["image"]
        == REFERENCE
    ), "what runs is not rolled for it"


async def test_an_app_that_never_gets_ready_is_looked_at_ever_less_often(world: World) -> None:
    assert (await world.reconcile(KEY)).requeue_after == 5
    deployment = world.api.objects["deployments", "team-a", "hello"]
    progressing = {"type": "Progressing", "status": "True", "lastUpdateTime": NOW.isoformat()}
    deployment["status"] = {"conditions": [progressing]}
    world.cluster.cache.put(DEPLOYMENTS, world.api.put(DEPLOYMENTS, deployment))

    async def after(passed: timedelta) -> float | None:
        world.now = NOW + passed
        return (await world.reconcile(KEY)).requeue_after

    assert [await after(timedelta(minutes=minutes)) for minutes in (0, 5, 1000)] == [5, 30, 60]


async def test_an_app_of_another_schema_that_takes_no_status_is_told_of_by_an_event(world: World) -> None:
    """The API server checks the whole object again at each write of its status."""
    app = world.api.objects["apps", "team-a", "hello"]
    app["spec"] = {"image": "nginx"}
    world.cluster.cache.put(APPS, world.api.put(APPS, app))
    world.api.interfere = lambda request: refusal(422, "Invalid") if request.path.endswith("/status") else None
    with pytest.raises(Terminal, match="InvalidSpec"):
        await world.reconcile(KEY)
    (event,) = [one for (plural, _, _), one in world.api.objects.items() if plural == "events"]
    assert (event["type"], event["reason"]) == ("Warning", "InvalidSpec")
    assert "Correct the object" in event["message"]


async def test_a_status_for_which_there_is_no_room_is_told_by_an_event(world: World) -> None:
    """And not tried again: only a smaller App has room for it."""
    world.api.interfere = lambda request: refusal(422, "Invalid") if request.path.endswith("/status") else None
    with pytest.raises(Terminal, match="StatusRefused"):
        await world.reconcile(KEY)
    assert ("deployments", "team-a", "hello") in world.api.objects, "all else is done"
    (event,) = [one for (plural, _, _), one in world.api.objects.items() if plural == "events"]
    assert event["reason"] == "StatusRefused"


async def test_an_app_whose_status_cannot_be_read_gets_another(world: World) -> None:
    app = world.api.objects["apps", "team-a", "hello"]
    app["status"] = {"conditions": ["odd"], "replicas": "three"}
    world.cluster.cache.put(APPS, world.api.put(APPS, app))
    status = await world.status()
    assert status["conditions"][0]["type"] == "Available"
    assert status["replicas"] == 0


async def test_a_pass_over_what_is_as_it_should_be_writes_nothing(world: World) -> None:
    await world.status()
    world.runs(f"127.0.0.1:1/team/hello@sha256:{'a' * 64}")
    await world.rolls_out()
    await world.status()
    before = list(world.api.writes)

    await world.status()

    assert world.api.writes == before


async def test_pods_that_may_not_be_read_are_told_in_status(world: World) -> None:
    await world.status()
    await world.rolls_out()
    world.api.interfere = lambda request: refusal(403, "Forbidden") if request.path.endswith("/pods") else None
    with pytest.raises(Waiting):
        await world.reconcile(KEY)
    conditions = world.api.objects["apps", "team-a", "hello"]["status"]["conditions"]
    ready = next(one for one in conditions if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Forbidden")
