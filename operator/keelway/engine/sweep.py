"""The sweep: the cache held against the API server's own lists, metadata only and paged (contract rules 1 and 3).

Once at the start of a term it is the barrier: no pass runs before the cache holds all that was listed (ADR 6).
Later it finds what the watches missed: after 410 Kopf lists again but tells of no deletion.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from keelway.api.resources import Resource
from keelway.cluster.client import Cluster
from keelway.cluster.faults import EXPIRED
from keelway.cluster.watched import WATCHED, Watched
from keelway.errors import Conflict, KeelwayError, NotLeader, Transient

Orphans = Callable[[], Iterable[tuple[Resource, Mapping[str, Any]]]]
"""Objects that nobody owns any more and that Kubernetes does not collect, such as Jobs of an Image that is gone."""

# A watch brings a change well within this; what it has not brought then, it has missed.
GRACE_SECONDS: Final = 5.0
# How often the barrier looks whether the watches have brought everything, and how long until it lists anew: an object
# deleted between its list and the watch's never comes.
_POLL_SECONDS: Final = 0.05
_LIST_AGAIN_SECONDS: Final = 15.0
_LIST_TRIES: Final = 3

_Name = tuple[str, str]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Listing:
    """uid and resourceVersion of all objects of a kind, at one moment of the cluster."""

    version: int
    found: Mapping[_Name, tuple[str, int]]


class Sweep:
    """Compares and repairs. `news` is called with each object that changed or went unseen."""

    def __init__(
        self,
        cluster: Cluster,
        news: Callable[[Resource, Mapping[str, Any]], None],
        missed: Callable[[Resource, int], None],
        orphans: Orphans = lambda: (),
        watched: Sequence[Watched] = WATCHED,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._news = news
        self._missed = missed
        self._orphans = orphans
        self._watched = watched
        self._grace = grace_seconds
        self._behind: dict[Resource, int] = {}

    @property
    def stalled(self) -> list[Resource]:
        """Kinds whose watch had missed something in each of the last two sweeps."""
        return [resource for resource, times in self._behind.items() if times >= 2]

    async def served(self) -> None:
        """Raises what `cluster/` raises where a kind cannot be listed: its CRD is missing, or the permission."""
        for one in self._watched:
            async for _ in self._cluster.pages(one.resource, label_selector=one.selector, metadata_only=True, limit=1):
                break

    async def barrier(self) -> None:
        """Return when the cache holds everything that every kind's list holds."""
        for one in self._watched:
            while not await self._caught_up(one):
                _log.info("waiting for the watch", resource=str(one.resource))

    async def run_once(self) -> None:
        """One sweep over all kinds. Over a converged cluster it writes nothing and queues nothing."""
        behind: list[tuple[Resource, _Name, int]] = []
        for one in self._watched:
            try:
                listing = await self._list(one)
            except NotLeader:
                raise
            except KeelwayError as error:
                # A kind that may not be listed now keeps no other back.
                _log.warning("kind not swept", resource=str(one.resource), error=str(error))
                continue
            self._forget_gone(one.resource, listing)
            behind += [(one.resource, name, listing.found[name][1]) for name in self._newer(one.resource, listing)]
        if behind:
            await asyncio.sleep(self._grace)
        await self._fetch([(r, name) for r, name, version in behind if self._is_behind(r, name, version)])
        await self.remove_orphans()

    async def remove_orphans(self) -> None:
        """Delete what nobody owns any more; only after the barrier, for it is the cache that tells."""
        for resource, obj in self._orphans():
            _log.info("orphan found", resource=str(resource), name=obj["metadata"]["name"])
            try:
                await self._cluster.delete_object(resource, obj)
            except NotLeader:
                raise
            except Conflict:
                pass  # another has its name: not what was meant
            except KeelwayError as error:
                # One that may not be deleted keeps no other back; the next sweep tries again.
                _log.warning("orphan not deleted", name=obj["metadata"]["name"], error=str(error))

    async def _caught_up(self, one: Watched) -> bool:
        listing = await self._list(one)
        loop = asyncio.get_running_loop()
        until = loop.time() + _LIST_AGAIN_SECONDS
        awaited = self._newer(one.resource, listing)
        while awaited:
            if loop.time() > until:
                return False
            await asyncio.sleep(_POLL_SECONDS)
            awaited = [name for name in awaited if self._is_behind(one.resource, name, listing.found[name][1])]
        return True

    async def _list(self, one: Watched) -> _Listing:
        for _ in range(_LIST_TRIES - 1):
            try:
                return await self._list_once(one)
            except Transient as error:
                if error.reason != EXPIRED:
                    raise
        return await self._list_once(one)

    async def _list_once(self, one: Watched) -> _Listing:
        found: dict[_Name, tuple[str, int]] = {}
        version = 0
        async for page in self._cluster.pages(one.resource, label_selector=one.selector, metadata_only=True):
            version = int(page["metadata"]["resourceVersion"])
            for item in page.get("items") or ():
                metadata = item["metadata"]
                name = (metadata.get("namespace", ""), metadata["name"])
                found[name] = (metadata["uid"], int(metadata["resourceVersion"]))
        return _Listing(version, found)

    def _forget_gone(self, resource: Resource, listing: _Listing) -> None:
        """What the list has not, or has with another uid, unless the cache knows of something newer than the list."""
        for known in self._cluster.cache.known(resource):
            listed = listing.found.get((known.namespace, known.name))
            if known.version > listing.version or (listed is not None and listed[0] == known.uid):
                continue
            obj = self._cluster.cache.get(resource, known.namespace, known.name)
            self._cluster.cache.forget(resource, known.namespace, known.name, known.uid, listing.version)
            if obj is not None:
                self._news(resource, obj)

    def _newer(self, resource: Resource, listing: _Listing) -> list[_Name]:
        return [name for name, (_, version) in listing.found.items() if self._is_behind(resource, name, version)]

    def _is_behind(self, resource: Resource, name: _Name, version: int) -> bool:
        known = self._cluster.cache.version_of(resource, *name)
        return known is None or known[1] < version

    async def _fetch(self, behind: Sequence[tuple[Resource, _Name]]) -> None:
        """Read what the watches missed, and let it be looked at if it matters."""
        late: dict[Resource, int] = {}
        for resource, (namespace, name) in behind:
            known = self._cluster.cache.version_of(resource, namespace, name)
            obj = await self._cluster.get(resource, namespace or None, name)
            if obj is not None and self._cluster.cache.version_of(resource, namespace, name) != known:
                late[resource] = late.get(resource, 0) + 1
                self._news(resource, obj)
        for resource, count in late.items():
            _log.warning("watch had missed changes", resource=str(resource), count=count)
            self._missed(resource, count)
        self._behind = {resource: self._behind.get(resource, 0) + 1 for resource in late}
