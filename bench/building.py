"""What watches tell of a namespace's builds on the dev cluster: digests, pods, Jobs, and what those were given."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bench import web
from bench.background import background
from bench.dev import Tenant
from bench.kube import Object, Seen, until
from keelway.api.resources import IMAGES, JOBS, PODS, SECRETS
from keelway.children import names

BUILD_SECONDS: Final = 300.0
"""For anything that includes a build, or twenty."""
_LOOK_SECONDS: Final = 0.02

Files = Mapping[str, bytes]


@dataclass
class Told:
    """Of the namespace `namespace`. Times are those at which the watch told, in seconds since the epoch.

    `digests`: of each Image, when each `status.latest.reference` was there first. `observed`: the generation that its
    status speaks of. `ready`: by reference, when the first pod that runs it was ready. `jobs`: the build Jobs that were
    made. `given`: of each Image, the files that its newest build Job was given.
    """

    namespace: str
    digests: dict[str, dict[str, float]] = field(default_factory=dict)
    observed: dict[str, int] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    given: dict[str, Files] = field(default_factory=dict)

    def latest(self, image: str) -> str | None:
        """The reference that came last."""
        return next(reversed(self.digests.get(image, {})), None)

    async def after(self, image: str, before: str | None) -> tuple[str, float]:
        """The reference that comes next, and when it came."""

        async def is_another() -> bool:
            return self.latest(image) not in (None, before)

        await until(f"a new digest of Image {image}", is_another, BUILD_SECONDS, _LOOK_SECONDS)
        reference = self.latest(image)
        assert reference is not None
        return reference, self.digests[image][reference]

    async def observes(self, image: str, generation: int) -> None:
        """Until its status speaks of that generation."""

        async def does() -> bool:
            return self.observed.get(image, 0) >= generation

        await until(f"a status of generation {generation} of Image {image}", does, BUILD_SECONDS, _LOOK_SECONDS)

    def take_image(self, seen: Seen) -> None:
        """An event of the Images' watch."""
        status, name = seen.obj.get("status") or {}, seen.obj["metadata"]["name"]
        self.observed[name] = status.get("observedGeneration", 0)
        reference = (status.get("latest") or {}).get("reference")
        if reference is not None:
            self.digests.setdefault(name, {}).setdefault(reference, seen.time)

    def take_pod(self, seen: Seen) -> None:
        """An event of the pods' watch."""
        if web.is_ready(seen.obj):
            self.ready.setdefault(seen.obj["spec"]["containers"][0]["image"], seen.time)

    def take_job(self, seen: Seen) -> None:
        """An event of the watch of all build Jobs."""
        if seen.type == "ADDED" and self._is_ours(seen.obj):
            self.jobs.add(seen.obj["metadata"]["name"])

    def take_secret(self, seen: Seen) -> None:
        """An event of the watch of all build Jobs' Secrets."""
        if seen.type == "ADDED" and self._is_ours(seen.obj):
            data = seen.obj["data"]
            image = seen.obj["metadata"]["labels"][names.IMAGE_LABEL]
            self.given[image] = {name: base64.b64decode(content) for name, content in data.items()}

    def _is_ours(self, obj: Object) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return bool(labels.get(names.IMAGE_NAMESPACE_LABEL) == self.namespace)


@asynccontextmanager
async def following(tenant: Tenant) -> AsyncIterator[Told]:
    """`Told` with watches behind it."""
    told, kube = Told(tenant.name), tenant.dev.kube
    builds, since = tenant.dev.deployed.builds_namespace, await tenant.dev.kube.revision()

    async def images() -> None:
        async for one in kube.watch(IMAGES, tenant.name, since):
            told.take_image(one)

    async def pods() -> None:
        async for one in kube.watch(PODS, tenant.name, since):
            told.take_pod(one)

    async def jobs() -> None:
        async for one in kube.watch(JOBS, builds, since):
            told.take_job(one)

    async def secrets() -> None:
        async for one in kube.watch(SECRETS, builds, since):
            told.take_secret(one)

    async with background(images(), pods(), jobs(), secrets()):
        yield told
