"""A namespace in which many objects live at once: written, waited for and read in bulk.

Requests go over the operator's own `Connection`, with the administrator's credentials: a kubectl a request would take
minutes.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from keelway.api.resources import APPS, DEPLOYMENTS, HPAS, IMAGES, NAMESPACES, SERVICES, Resource
from keelway.cluster.connection import Connection, Request
from keelway.errors import Conflict, Invalid, NotFound
from tests.faults.generated.bases import IMAGE
from tests.faults.generated.changes import manifest
from tests.faults.generated.fields import Spec
from tests.faults.generated.state import Seen, group
from tests.kubectl import Kubectl

RESOURCES: Final = {"apps": APPS, "images": IMAGES}
CHILDREN: Final = {"deployment": DEPLOYMENTS, "service": SERVICES, "hpa": HPAS}
_AT_ONCE: Final = 12
_LOOK_SECONDS: Final = 0.5
_QUOTA: Final = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-pods"},
    "spec": {"hard": {"pods": "0"}},
}
_LATEST: Final = {
    "version": "v1",
    "reference": f"registry.example.com/x@sha256:{'0' * 64}",
    "revision": "sha256:1",
    "builtAt": "2026-01-01T00:00:00Z",
    "user": "1000",
    "runAsUser": 1000,
}
_DOCKERFILE: Final = {"files": [{"name": "Dockerfile", "content": "FROM scratch"}]}

Object = dict[str, Any]


@dataclass
class Crowd:
    """One namespace, in which no pod may be made."""

    connection: Connection
    namespace: str
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def send(self, method: str, path: str, body: Any = None, **query: str) -> Object:
        """One request, a dozen at once at most."""
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with self._gate:
            return await self.connection.send(Request(method, path, query, body, content_type, seconds=60))

    async def create(self, plural: str, name: str, spec: Spec, **metadata: Any) -> Object | None:
        """The object, or None where the API server refuses it."""
        body = manifest(plural, name, spec)
        body["metadata"] |= metadata
        try:
            return await self.send("POST", RESOURCES[plural].path(self.namespace), body)
        except Invalid:
            return None

    async def stand_in(self, name: str, **latest: Any) -> None:
        """A suspended Image with a latest version."""
        await self.create("images", name, {"source": {"inline": _DOCKERFILE}, "suspend": True})
        status = {"status": {"latest": {**_LATEST, **latest}}}
        await self.send("PATCH", IMAGES.path(self.namespace, name, "status"), status)

    async def replace(self, plural: str, name: str, spec: Spec) -> Object | None:
        """As `kubectl replace`: the new spec whole. None where the API server refuses it."""
        while True:
            now = await self.get(RESOURCES[plural], name)
            try:
                return await self.send(
                    "PUT", RESOURCES[plural].path(self.namespace, name), {**now, "spec": spec}
                )  # fmt: skip
            except Conflict:
                continue  # the operator wrote its status in between
            except Invalid:
                return None

    async def get(self, resource: Resource, name: str) -> Object:
        return await self.send("GET", resource.path(self.namespace, name))

    async def all_of(self, resource: Resource) -> list[Object]:
        answer = await self.send("GET", resource.path(self.namespace))
        items: list[Object] = answer["items"]
        return items

    async def seen(self, plural: str) -> dict[str, Seen]:
        """Every object of the kind with its children, by name."""
        owners = await self.all_of(RESOURCES[plural])
        children = (
            {kind: await self.all_of(resource) for kind, resource in CHILDREN.items()} if plural == "apps" else {}
        )
        return {one.name: one for one in group(owners, children)}

    async def settled(self, plural: str, names: Collection[str], seconds: float) -> dict[str, Seen]:
        """Wait until all of them are settled. What is not in time is as it is: its text tells."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.seen(plural)
            waiting = [name for name in names if name not in found or not found[name].settled]
            if not waiting or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_LOOK_SECONDS)

    async def each(self, work: Iterable[Any]) -> list[Any]:
        """All at once; in the order that they were given."""
        return list(await asyncio.gather(*work))

    async def until(
        self, what: str, holds: Callable[[Object], bool], resource: Resource, name: str, seconds: float
    ) -> Object:
        """The object once it is there and that holds. Raises AssertionError where it does not in time."""
        deadline = time.monotonic() + seconds
        found: Object | None = None
        while True:
            with contextlib.suppress(NotFound):
                found = await self.get(resource, name)
                if holds(found):
                    return found
            assert time.monotonic() < deadline, f"{name} is not {what} after {seconds} s: {found}"
            await asyncio.sleep(_LOOK_SECONDS)

    async def gone(self, resource: Resource, name: str, seconds: float) -> None:
        """Wait until it is gone. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = await self.get(resource, name)
            except NotFound:
                return
            assert time.monotonic() < deadline, f"{name} is still there: {found['metadata']}"
            await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def opened(kubectl: Kubectl, namespace: str) -> AsyncIterator[Crowd]:
    """A namespace for pods that never are, with an Image that has a version and is never built."""
    connection = await Connection.open(kubectl.context, kubectl.kubeconfig)
    crowd = Crowd(connection, namespace)
    try:
        await crowd.send("POST", NAMESPACES.path(), {"metadata": {"name": namespace}})
        await crowd.send("POST", f"/api/v1/namespaces/{namespace}/resourcequotas", _QUOTA)
        await crowd.stand_in(IMAGE)
        yield crowd
    finally:
        await crowd.send("DELETE", NAMESPACES.path(None, namespace))
        await connection.close()
