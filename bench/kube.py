"""The bench's own way to the API server, as the cluster's administrator: not in the audit log.

Built on the operator's `Connection`, so that both speak to the API server in the same manner.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp

from bench.errors import BenchError
from keelway.api.resources import NAMESPACES, Resource
from keelway.cluster.connection import Connection, Request
from keelway.errors import AlreadyExists, NotFound, Transient

Object = dict[str, Any]
Item = TypeVar("Item")

_METADATA: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_MERGE: Final = "application/merge-patch+json"
_PAGE: Final = 500
_DELETE_SECONDS: Final = 90.0
_DELETE_ALL_SECONDS: Final = 600.0
_AT_ONCE: Final = 16
# Leases and heartbeats of the cluster itself are some 3 writes a second.
_QUIET_WRITES: Final = 20
_QUIET_SECONDS: Final = 3
_QUIET_WITHIN_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Seen:
    """One watch event: ADDED, MODIFIED or DELETED, at `time` (seconds since the epoch)."""

    type: str
    obj: Object
    time: float


@dataclass(frozen=True)
class Kube:
    """The verbs that the bench needs."""

    connection: Connection

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object."""
        return await self.connection.send(Request("POST", resource.path(_namespace(obj)), body=obj))

    async def ensure(self, path: str, obj: Object) -> None:
        """Server-side apply at `path`: for what has no Resource in the operator."""
        query = {"fieldManager": "keelway-bench", "force": "true"}
        await self.connection.send(Request("PATCH", path, query, body=obj, content_type="application/apply-patch+yaml"))

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """The object as it is now."""
        return await self.connection.send(Request("GET", resource.path(namespace, name)))

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, change: Object, subresource: str | None = None
    ) -> Object:
        """Merge patch."""
        path = resource.path(namespace, name, subresource)
        return await self.connection.send(Request("PATCH", path, body=change, content_type=_MERGE))

    async def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Delete an object, if there is one."""
        try:
            await self.connection.send(Request("DELETE", resource.path(namespace, name)))
        except NotFound:
            return

    async def delete_all(self, resource: Resource, namespace: str) -> None:
        """Delete what there is of a kind; what it owns goes in the background. Pods go without grace.

        Objects go one by one before the answer comes, and the API server gives up after a minute: it is asked again.
        """
        query = {"propagationPolicy": "Background", "gracePeriodSeconds": "0"}
        request = Request("DELETE", resource.path(namespace), query, seconds=_DELETE_SECONDS)
        deadline = time.monotonic() + _DELETE_ALL_SECONDS
        while True:
            try:
                await self.connection.send(request)
                return
            except Transient:
                if time.monotonic() > deadline:
                    raise

    async def list_all(self, resource: Resource, namespace: str | None = None, selector: str = "") -> list[Object]:
        """All objects of a kind, whole."""
        return [item async for page in self._pages(resource, namespace, selector, "application/json") for item in page]

    async def names(self, resource: Resource, namespace: str | None = None, selector: str = "") -> set[str]:
        """What they are called; in several namespaces, equal names count once."""
        pages = self._pages(resource, namespace, selector, _METADATA)
        return {item["metadata"]["name"] async for page in pages for item in page}

    async def revision(self) -> int:
        """The revision of the cluster's store: one more with each write to it, whoever writes."""
        listed = await self.connection.send(Request("GET", NAMESPACES.path(), {"limit": "1"}))
        return int(listed["metadata"]["resourceVersion"])

    async def watch(self, resource: Resource, namespace: str | None = None, since: int = 0) -> AsyncIterator[Seen]:
        """Changes from revision `since` on, or from now. Ends never: whoever reads it sets the time."""
        query = {"watch": "true", "resourceVersion": str(since or await self.revision()), "timeoutSeconds": "3600"}
        url = self.connection.server + resource.path(namespace)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with (
            self.connection.new_session() as session,
            session.get(url, params=query, timeout=limits, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != 200:
                raise BenchError(f"watch of {resource}: HTTP {answer.status}")
            async for line in _lines(answer.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise BenchError(f"watch of {resource}: {event['object'].get('message')}")
                yield Seen(event["type"], event["object"], time.time())
        raise BenchError(f"the watch of {resource} ended")

    async def _pages(
        self, resource: Resource, namespace: str | None, selector: str, accept: str
    ) -> AsyncIterator[list[Object]]:
        query = {"limit": str(_PAGE), **({"labelSelector": selector} if selector else {})}
        while True:
            page = await self.connection.send(Request("GET", resource.path(namespace), query, accept=accept))
            yield page.get("items") or []
            if not page["metadata"].get("continue"):
                return
            query = {**query, "continue": page["metadata"]["continue"]}


async def create_all(kube: Kube, resource: Resource, objects: Iterable[Object]) -> None:
    """Create many, some at once."""

    async def create(obj: Object) -> None:
        try:
            await kube.create(resource, obj)
        except AlreadyExists as error:
            raise BenchError(f"{resource} {obj['metadata']['name']} was left by an earlier run: {error}") from error

    await at_once(create, objects)


async def at_once(work: Callable[[Item], Awaitable[object]], items: Iterable[Item], width: int = _AT_ONCE) -> None:
    """Do `work` for each item, `width` at a time, in their order."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(worker())


async def until(what: str, holds: Callable[[], Awaitable[bool]], seconds: float, every: float = 0.25) -> None:
    """Wait until `holds()`. Raises BenchError where it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(every)


async def quiet(kube: Kube) -> None:
    """Wait until nobody has written much to the cluster's store for some seconds."""
    calm = 0
    last = await kube.revision()

    async def is_calm() -> bool:
        nonlocal calm, last
        await asyncio.sleep(1)
        now = await kube.revision()
        calm, last = (calm + 1 if now - last <= _QUIET_WRITES else 0), now
        return calm >= _QUIET_SECONDS

    await until("a cluster at rest", is_calm, _QUIET_WITHIN_SECONDS, every=0)


def _namespace(obj: Object) -> str | None:
    namespace: str | None = obj["metadata"].get("namespace")
    return namespace


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines: an object may be longer than aiohttp's own limit of a line."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
