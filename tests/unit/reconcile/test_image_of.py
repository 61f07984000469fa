"""Which image an App runs: over a real cache, and a real registry client that asks a small registry on 127.0.0.1."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from keelway.api.app import App
from keelway.api.resources import DEPLOYMENTS, IMAGES
from keelway.children import APP_CHILDREN
from keelway.children.context import AppContext, RunImage
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import always_open
from keelway.errors import Terminal, Waiting
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.image_of import Found, ImageFinder
from keelway.registry.client import Registry
from keelway.settings import Settings
from tests.unit.cluster.apiserver import ApiServer, connected
from tests.unit.objects import raw_image
from tests.unit.web import serve


class SmallRegistry:
    """One image under any name and tag, whose user is `user`; it counts what it is asked."""

    def __init__(self) -> None:
        self.user = "1000"
        self.asked = 0
        self.broken = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.broken:
            return web.Response(status=503)
        config = json.dumps({"config": {"User": self.user}}).encode()
        manifest = json.dumps({"config": {"digest": _digest(config)}, "layers": []}).encode()
        body = config if "/blobs/" in request.path else manifest
        return web.Response(body=body, headers={"Docker-Content-Digest": _digest(body)})

    @property
    def digest(self) -> str:
        config = json.dumps({"config": {"User": self.user}}).encode()
        return _digest(json.dumps({"config": {"digest": _digest(config)}, "layers": []}).encode())


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


class World:
    """An App `hello`, what the cache knows, and the registry."""

    def __init__(self, cluster: Cluster, client: Registry, registry: SmallRegistry, host: str) -> None:
        settings = Settings(registry=host, registry_insecure=True)
        self.cache = cluster.cache
        self.registry = registry
        self.finder = ImageFinder(self.cache, client, Credentials(cluster, settings))
        self.reference = f"{host}/team/hello:1.0"
        self.resolved = f"{host}/team/hello@{registry.digest}"
        self.status: dict[str, Any] = {}

    def app(self, **spec: Any) -> App:
        metadata = {"name": "hello", "namespace": "team-a", "uid": "uid-of-app", "generation": 1}
        spec = {"image": {"reference": self.reference}, **spec}
        raw = {"apiVersion": "keelway.dev/v1alpha1", "kind": "App", "metadata": metadata, "spec": spec}
        return App.parse({**raw, "status": self.status})

    async def find(self, **spec: Any) -> Found:
        return await self.finder.find(self.app(**spec))

    def image(self, **latest: Any) -> None:
        """An Image `hello` beside the App, with that latest version."""
        raw = raw_image()
        version = {"version": "v7", "reference": "r@sha256:7", "revision": "r1", "builtAt": "2026-01-01T00:00:00Z"}
        raw["status"] = {"latest": {**version, **latest}} if latest else {}
        self.cache.put(IMAGES, raw)

    def deployed(
        self,
        image: RunImage,
        owner: str = "uid-of-app",
        by_hand: str | None = None,
        rolled_out: bool = False,
        **spec: Any,
    ) -> None:
        """The App's Deployment as it was applied, `by_hand` with another image."""
        kind = next(kind for kind in APP_CHILDREN if kind.resource == DEPLOYMENTS)
        raw = kind.build(AppContext(self.app(**spec), image))
        assert isinstance(raw, dict)
        raw["metadata"] |= {"uid": "u", "resourceVersion": "5", "ownerReferences": [{"uid": owner, "controller": True}]}
        if by_hand:
            raw["spec"]["template"]["spec"]["containers"][0]["image"] = by_hand
        if rolled_out:
            done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
            raw["status"] = {"replicas": 1, "unavailableReplicas": 1, "conditions": [done]}
        self.cache.put(DEPLOYMENTS, raw)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    registry = SmallRegistry()
    async with serve(registry.handle) as url, connected(ApiServer()) as connection:
        host = urlsplit(url).netloc
        async with Registry(frozenset([host])) as client:
            yield World(Cluster(connection, Cache(), always_open()), client, registry, host)


FOLLOWING = {"image": {"name": "hello"}}


async def test_an_image_that_does_not_exist_is_waited_for(world: World) -> None:
    with pytest.raises(Waiting) as waiting:
        await world.find(**FOLLOWING)
    assert waiting.value.reason == "ImageNotFound"


async def test_an_image_without_a_version_is_waited_for(world: World) -> None:
    world.image()
    with pytest.raises(Waiting) as waiting:
        await world.find(**FOLLOWING)
    assert waiting.value.reason == "NoVersionYet"


@pytest.mark.parametrize("status", ["fine", {"latest": "v7"}, {"latest": {"version": "v7"}}])
async def test_a_version_that_cannot_be_read_is_waited_for(world: World, status: object) -> None:
    world.cache.put(IMAGES, {**raw_image(), "status": status})
    with pytest.raises(Waiting) as waiting:
        await world.find(**FOLLOWING)
    assert waiting.value.reason == "NoVersionYet"


async def test_the_latest_version_runs(world: World) -> None:
    world.image(user="1000", runAsUser=1000)
    assert await world.find(**FOLLOWING) == Found(RunImage("r@sha256:7", asked="hello", version="v7"))
    assert world.registry.asked == 0


async def test_a_user_by_name_runs_by_number_where_root_is_not_allowed(world: World) -> None:
    world.image(user="web", runAsUser=33)
    assert (await world.find(**FOLLOWING)).image.run_as_user == 33
    baseline = {**FOLLOWING, "security": "Baseline"}
    assert (await world.find(**baseline)).image.run_as_user is None
    strict = {**baseline, "securityContext": {"runAsNonRoot": True}}
    assert (await world.find(**strict)).image.run_as_user == 33


async def test_an_image_that_runs_as_root_is_refused(world: World) -> None:
    world.image(runAsUser=0)
    with pytest.raises(Terminal) as refused:
        await world.find(**FOLLOWING)
    assert refused.value.reason == "ImageRunsAsRoot"
    assert (await world.find(**FOLLOWING, security="Baseline")).image.version == "v7"


async def test_a_tag_is_resolved_to_its_digest(world: World) -> None:
    assert await world.find() == Found(RunImage(world.resolved, asked=world.reference))


async def test_a_tag_is_not_looked_up_again_while_it_is_the_one_that_runs(world: World) -> None:
    world.deployed((await world.find()).image)
    world.registry.asked = 0
    assert await world.find() == Found(RunImage(world.resolved, asked=world.reference))
    assert world.registry.asked == 0


async def test_another_tag_is_looked_up(world: World) -> None:
    world.deployed((await world.find()).image)
    world.registry.asked = 0
    other = world.reference.replace(":1.0", ":2.0")
    assert (await world.find(image={"reference": other})).image.asked == other
    assert world.registry.asked > 0


async def test_an_image_set_by_hand_is_not_taken_for_what_was_asked(world: World) -> None:
    world.deployed((await world.find()).image, by_hand=f"elsewhere.example/miner@sha256:{'e' * 64}")
    assert (await world.find()).image.reference == world.resolved


async def test_what_another_owners_deployment_runs_is_not_taken_over(world: World) -> None:
    world.deployed(RunImage("x@sha256:0", asked=world.reference), owner="predecessor")
    assert (await world.find()).image.reference == world.resolved


async def test_a_reference_whose_image_runs_as_root_is_refused(world: World) -> None:
    world.registry.user = ""
    with pytest.raises(Terminal) as refused:
        await world.find()
    assert refused.value.reason == "ImageRunsAsRoot"


async def test_baseline_made_restricted_has_its_image_checked_anew(world: World) -> None:
    world.registry.user = "root"
    world.deployed((await world.find(security="Baseline")).image, security="Baseline")
    with pytest.raises(Terminal):
        await world.find()


async def test_a_user_of_the_apps_that_is_taken_back_has_the_image_checked_anew(world: World) -> None:
    world.registry.user = ""
    own: dict[str, Any] = {"securityContext": {"runAsUser": 1000}}
    world.deployed((await world.find(**own)).image, **own)
    with pytest.raises(Terminal):
        await world.find()


async def test_a_registry_that_does_not_answer_leaves_the_reference_as_it_is(world: World) -> None:
    world.registry.broken = True
    found = await world.find()
    assert found.image == RunImage(world.reference, asked=world.reference)
    assert found.note is not None
    assert found.note.reason == "DigestNotResolved"


async def test_an_unresolved_reference_is_looked_up_again_while_it_rolls_out(world: World) -> None:
    world.registry.broken = True
    world.deployed((await world.find()).image)
    world.registry.broken = False
    assert (await world.find()).image.reference == world.resolved


async def test_an_unresolved_reference_that_was_rolled_out_is_left_alone(world: World) -> None:
    """A registry that answers again is no reason to roll pods that run, not even while one of them restarts."""
    world.registry.broken = True
    first = await world.find()
    assert first.note is not None
    world.deployed(first.image, rolled_out=True)
    told = {"type": "ImageReady", "status": "True", "reason": first.note.reason, "message": first.note.message}
    world.status = {
        "observedGeneration": 1,
        "conditions": [{**told, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    world.registry.broken = False

    later = await world.find()

    assert later.image == first.image
    assert later.note is not None
    assert (later.note.reason, later.note.message) == (first.note.reason, first.note.message)
    with_a_secret = await world.find(pullSecrets=[{"name": "pull"}])
    assert with_a_secret.note is not None
    assert "There is no Secret pull" in with_a_secret.note.message, "it is looked up with what is new"


async def test_a_pull_secret_that_does_not_exist_is_named(world: World) -> None:
    found = await world.find(pullSecrets=[{"name": "pull"}])
    assert found.note is not None
    assert "There is no Secret pull" in found.note.message


async def test_what_is_no_reference_is_the_apps_own_fault(world: World) -> None:
    with pytest.raises(Terminal) as refused:
        await world.find(image={"reference": "Not/A:Reference:1"})
    assert refused.value.reason == "InvalidReference"
