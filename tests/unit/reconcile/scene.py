"""Images driven through whole passes: the real reconcilers over a small API server and a small registry on 127.0.0.1.

What watches, queue and runner do is told here in a few lines: what changed wakes whom it concerns, and a pass says when
it wants to come back. A Job runs when the test says so.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from keelway.api.buildrequest import BuildReport, Step
from keelway.api.resources import BUILDS, IMAGES, JOBS, NAMESPACES, PODS, SECRETS, Resource
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import always_open
from keelway.compose import assembly
from keelway.engine.routes import keys_of
from keelway.engine.runner import Reconciler
from keelway.engine.term import Chore
from keelway.errors import KeelwayError
from keelway.reconcile.outcome import Key
from keelway.settings import Settings
from tests.unit.cluster.apiserver import ApiServer, connected
from tests.unit.objects import NOW, raw_image
from tests.unit.web import serve

MANIFEST = b"{}"
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
OTHER_MANIFEST = b"{ }"
OTHER_DIGEST = "sha256:" + hashlib.sha256(OTHER_MANIFEST).hexdigest()
BUILDS_NAMESPACE = "keelway-builds"
Object = dict[str, Any]


class SmallRegistry:
    """Manifests by digest under any name, and the tags that were put there, by repository: `points` says where to.

    Tags that are `refused` cannot be put. `bases` are images that somebody else pushes: their digests, by
    repository:tag. `refusal` is what is answered about them instead, `silent` what is waited for before, and `asked`
    counts who asked.
    """

    def __init__(self) -> None:
        self.tags: dict[str, set[str]] = {}
        self.points: dict[str, str] = {}
        self.puts: list[str] = []
        self.refused: set[str] = set()
        self.documents = {DIGEST: MANIFEST, OTHER_DIGEST: OTHER_MANIFEST}
        self.bases: dict[str, str] = {}
        self.refusal: int | None = None
        self.silent: asyncio.Event | None = None
        self.asked = 0

    def image(self, content: str, **config: Any) -> str:
        """Digest of an image that is there from now on."""
        config_digest = self._add({"config": {"User": "1000", **config}, "created": "2026-01-01T00:00:00.5Z"})
        return self._add({"config": {"digest": config_digest}, "annotations": {"content": content}})

    def put(self, repository: str, tag: str, digest: str) -> None:
        """Somebody has tagged it."""
        self.tags.setdefault(repository, set()).add(tag)
        self.points[f"{repository}:{tag}"] = digest

    def _add(self, document: Object) -> str:
        body = json.dumps(document).encode()
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        self.documents[digest] = body
        return digest

    async def handle(self, request: web.Request) -> web.StreamResponse:
        base = request.path.removeprefix("/v2/").replace("/manifests/", ":")
        if base in self.bases:
            self.asked += 1
            if self.silent is not None:
                await self.silent.wait()
            return self._base(self.bases[base])
        repository, _, last = request.path.removeprefix("/v2/").rpartition("/")
        repository, _, kind = repository.rpartition("/")
        if kind == "tags":
            return web.json_response({"tags": sorted(self.tags.get(repository, ()))})
        if request.method == "PUT" and last in self.refused:
            return web.Response(status=503)
        if request.method == "PUT":
            self.puts.append(f"{repository}:{last}")
            self.put(repository, last, "sha256:" + hashlib.sha256(await request.read()).hexdigest())
            return web.Response(status=201)
        digest = self.points.get(f"{repository}:{last}", last)
        if digest in self.documents:
            return web.Response(body=self.documents[digest], headers={"Docker-Content-Digest": digest})
        return web.Response(status=404)

    def _base(self, digest: str) -> web.Response:
        if self.refusal is not None:
            return web.Response(status=self.refusal)
        return web.Response(headers={"Docker-Content-Digest": digest})


class Scene:
    """`cap` builds run at once. Namespaces team-a and team-b are there."""

    def __init__(self, api: ApiServer, cluster: Cluster, settings: Settings, registry: SmallRegistry) -> None:
        self.api = api
        self.cluster = cluster
        self.settings = settings
        self.registry = registry
        self.now = NOW
        self.reconcile: Reconciler
        self.chores: Sequence[Chore] = ()
        self.problems: dict[Key, KeelwayError] = {}
        self._woken: list[Key] = []
        self._due: dict[Key, float] = {}

    def wake(self, key: Key) -> None:
        if key not in self._woken:
            self._woken.append(key)

    def news(self, resource: Resource, obj: Any) -> None:
        for key in keys_of(resource, obj, self.cluster.cache):
            self.wake(key)

    def put(self, resource: Resource, obj: Object) -> Object:
        """Somebody else creates or changes an object, and the watch tells of it."""
        stored = self.api.put(resource, obj)
        if self.cluster.cache.put(resource, stored):
            self.news(resource, stored)
        return stored

    def drop(self, resource: Resource, namespace: str, name: str) -> None:
        """Somebody else deletes an object, and the watch tells of it."""
        gone = self.get(resource, namespace, name)
        self.api.drop(resource, namespace, name)
        gone["metadata"]["resourceVersion"] = str(self.api.version)
        if self.cluster.cache.remove(resource, gone):
            self.news(resource, gone)

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found: Object = self.api.objects[resource.plural, namespace, name]
        return found

    def image(
        self,
        namespace: str,
        name: str = "hello",
        *,
        of: str = "FROM scratch",
        annotations: dict[str, str] | None = None,
        **spec: Any,
    ) -> None:
        """An Image of one inline file; applied again, its spec is another."""
        raw = raw_image(name, namespace)
        raw["metadata"]["annotations"] = annotations or {}
        raw["spec"] = {"source": {"inline": {"files": [{"name": "Dockerfile", "content": of}]}}, **spec}
        before = self.api.objects.get(("images", namespace, name))
        if before is not None:
            raw["metadata"]["generation"] = before["metadata"]["generation"] + 1
            raw["status"] = before.get("status", {})
        self.put(IMAGES, raw)

    def secret(self, name: str, namespace: str = "team-a", **data: str) -> None:
        self.api.put(SECRETS, {"metadata": {"name": name, "namespace": namespace}, "data": data})

    def drop_secret(self, name: str, namespace: str = "team-a") -> None:
        self.api.drop(SECRETS, namespace, name)

    async def settle(self, most: int = 40) -> None:
        """Passes until nobody is woken any more; more than `most` of them are a loop that never ends."""
        for _ in range(most):
            if not self._woken:
                return
            await self._pass(self._woken.pop(0))
        raise AssertionError(f"{most} passes, and still woken: {self._woken}")

    async def woken(self) -> None:
        """Until something that goes on beside the passes wakes somebody; then passes until nobody is woken."""
        for _ in range(250):
            if self._woken:
                break
            await asyncio.sleep(0.02)
        assert self._woken
        await self.settle()

    async def later(self, seconds: float) -> None:
        """Time goes by, and whoever wanted to come back meanwhile does."""
        self.now += timedelta(seconds=seconds)
        for chore in self.chores:
            await chore()
        for key in [key for key, delay in self._due.items() if delay <= seconds]:
            self.wake(key)
        await self.settle()

    def comes_back_in(self, namespace: str = "team-a", image: str = "hello") -> float:
        """Seconds after which the Image's last pass wants to be repeated."""
        return self._due[Key("Image", namespace, image)]

    async def _pass(self, key: Key) -> None:
        if key.kind != "Image":
            return
        self._due.pop(key, None)
        self.problems.pop(key, None)
        try:
            delay = (await self.reconcile(key)).requeue_after
        except KeelwayError as error:
            self.problems[key] = error
            delay = 10.0
        if delay is not None:
            self._due[key] = delay

    def build(self, name: str, namespace: str = "team-a") -> Object:
        """The spec of a record."""
        found: Object = self.get(BUILDS, namespace, name)["spec"]
        return found

    def builds(self, namespace: str = "team-a", image: str = "hello") -> dict[str, str]:
        """The Image's records: name -> reason of their Succeeded condition."""
        return {
            name: next((one["reason"] for one in _conditions(raw) if one["type"] == "Succeeded"), "Open")
            for (plural, ns, name), raw in self.api.objects.items()
            if (plural, ns) == ("builds", namespace) and raw["spec"]["image"] == image
        }

    def status(self, namespace: str = "team-a", image: str = "hello") -> Object:
        found: Object = self.get(IMAGES, namespace, image)["status"]
        return found

    def ready(self, namespace: str = "team-a", image: str = "hello") -> tuple[str, str]:
        """Status and reason of the Image's Ready condition."""
        one = self.condition("Ready", namespace, image)
        return one["status"], one["reason"]

    def message(self, namespace: str = "team-a", image: str = "hello") -> str:
        """Message of the Image's Ready condition."""
        return str(self.condition("Ready", namespace, image)["message"])

    def condition(self, type_: str, namespace: str = "team-a", image: str = "hello") -> Object:
        """One of the Image's conditions."""
        return next(one for one in self.status(namespace, image)["conditions"] if one["type"] == type_)

    def jobs(self) -> dict[str, Object]:
        """The Jobs, by the name of their Build and its namespace ("team-a/hello-1")."""
        found = {}
        for (plural, _, _), raw in self.api.objects.items():
            if plural == "jobs":
                labels = raw["metadata"]["labels"]
                found[f"{labels['keelway.dev/image-namespace']}/{labels['keelway.dev/build']}"] = raw
        return found

    def running(self) -> list[str]:
        """The Jobs that have not ended."""
        return sorted(name for name, job in self.jobs().items() if not _conditions(job))

    def secrets(self) -> list[Object]:
        """What lies in the builds' namespace."""
        return [
            raw for (plural, ns, _), raw in self.api.objects.items() if (plural, ns) == ("secrets", BUILDS_NAMESPACE)
        ]

    async def builds_one(self, content: str, build: str, namespace: str = "team-a") -> str:
        """That Build's Job ends with an image of this content; gives its digest."""
        digest = self.registry.image(content)
        self.job_ends(f"{namespace}/{build}", BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest=digest))
        await self.settle()
        return digest

    async def test_ends(self, build: str, test: str = "answers", exit_code: int = 0, namespace: str = "team-a") -> None:
        """The pod of a test ends so."""
        pod = self.get(PODS, namespace, f"{build}-test-{test}")
        ended = {"terminated": {"exitCode": exit_code, "message": "its last words"}}
        phase = "Failed" if exit_code else "Succeeded"
        self.put(PODS, {**pod, "status": {"phase": phase, "containerStatuses": [{"name": "test", "state": ended}]}})
        await self.settle()

    async def test_answers(self, build: str, test: str, namespace: str = "team-a") -> None:
        """The program of a test with a check answers it."""
        pod = self.get(PODS, namespace, f"{build}-test-{test}")
        self.put(PODS, {**pod, "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})
        await self.settle()

    def job_ends(self, name: str, report: BuildReport | None = None) -> None:
        """The Job of that Build (as in `jobs`) ends, with what its pod reports."""
        job = self.jobs()[name]
        said = report or BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest=DIGEST, user="1000")
        ended = {"terminated": {"exitCode": 0, "message": said.encode().decode()}}
        labels = {**job["metadata"]["labels"], "batch.kubernetes.io/job-name": job["metadata"]["name"]}
        pod = {"name": f"{job['metadata']['name']}-x", "namespace": BUILDS_NAMESPACE, "labels": labels}
        status = {"phase": "Succeeded", "containerStatuses": [{"name": "build", "state": ended}]}
        self.put(PODS, {"metadata": pod, "status": status})
        job["status"] = {"startTime": NOW.isoformat(), "conditions": [{"type": "Complete", "status": "True"}]}
        self.put(JOBS, job)


def _conditions(raw: Object) -> list[Object]:
    found: list[Object] = raw.get("status", {}).get("conditions", [])
    return found


@asynccontextmanager
async def playing(
    cap: int = 4, interfere: Callable[[web.Request], web.Response | None] | None = None, scanner: str | None = None
) -> AsyncIterator[Scene]:
    """A scene, with everything behind it up."""
    api, registry = ApiServer(), SmallRegistry()
    api.interfere = interfere or api.interfere
    async with serve(registry.handle) as url, connected(api) as connection:
        settings = Settings(
            registry=urlsplit(url).netloc,
            registry_insecure=True,
            max_builds=cap,
            sbom_scanner=scanner,
            allowed_networks=(ip_network("127.0.0.0/8"),),
        )
        news: list[Callable[[Resource, Any], None]] = []
        cluster = Cluster(connection, Cache(), always_open(), lambda resource, obj: news[0](resource, obj))
        scene = Scene(api, cluster, settings, registry)
        news.append(scene.news)
        for number, namespace in enumerate(("team-a", "team-b")):
            api.put(NAMESPACES, {"metadata": {"name": namespace, "uid": f"{number:08}-0000-4000-8000-000000000000"}})
        async with assembly(settings, lambda: scene.now)(cluster, scene.wake) as parts:
            scene.reconcile = parts.reconcilers["Image"]
            scene.chores = parts.chores
            yield scene
