"""Kopf, used for what it is best at: watching. Each event goes into the cache, and what is new to the queue.

Of Kopf it is the watch-stream alone (list, watch, bookmarks, reconnection, 410): what its engine behind the stream is
for, our own cache and queue do (docs/adr/0015). Nothing of Kopf is written into objects: no annotation, no finalizer.
The label selectors of `cluster/watched.py` are applied by the API server, in lists and in watches alike.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import aiohttp
import kopf
import structlog
from kopf._cogs.clients.auth import vault_var
from kopf._cogs.clients.errors import APIClientError
from kopf._cogs.clients.watching import Bookmark, WatchingError, infinite_watch
from kopf._cogs.structs import references
from kopf._cogs.structs.credentials import Vault

from keelway.api.resources import Resource
from keelway.cluster.cache import Cache
from keelway.cluster.connection import Connection
from keelway.cluster.watched import WATCHED, Watched

_PAGE: Final = 500
_AGAIN_SECONDS: Final = 2.0
_log = structlog.get_logger(__name__)


class Watches:
    """The watches of one term. `news` is called with each object that a pass should look at."""

    def __init__(
        self,
        connection: Connection,
        cache: Cache,
        news: Callable[[Resource, Mapping[str, Any]], None],
        counted: Callable[[Resource, bool], None],
        watched: Sequence[Watched] = WATCHED,
    ) -> None:
        self._connection = connection
        self._cache = cache
        self._news = news
        self._counted = counted
        self._watched = watched
        self._last = {one.resource: time.monotonic() for one in watched}

    def age(self, resource: Resource) -> float:
        """Seconds since a kind's watch last told something, if only that nothing happened (a bookmark, each minute)."""
        return time.monotonic() - self._last[resource]

    async def run(self) -> None:
        """Watch until cancelled. Raises an ExceptionGroup of what Kopf gives up on: a kind that is gone, say."""
        async with self._connection.new_session() as session, asyncio.TaskGroup() as tasks:
            # The tasks inherit it: Kopf's requests look for their session there.
            vault_var.set(
                _Login({"keelway": kopf.AiohttpSession(server=self._connection.server, aiohttp_session=session)})
            )
            for one in self._watched:
                tasks.create_task(self._watch(one), name=f"watch of {one.resource}")

    def take(self, resource: Resource, type_: str | None, obj: Mapping[str, Any]) -> None:
        """One event: None (listed), ADDED, MODIFIED or DELETED."""
        changed = self._cache.remove(resource, obj) if type_ == "DELETED" else self._cache.put(resource, obj)
        self._counted(resource, changed)
        if changed:
            self._news(resource, obj)

    async def _watch(self, one: Watched) -> None:
        while True:
            try:
                await self._follow(one)
            except (APIClientError, WatchingError) as error:
                if not _begins_anew(error):
                    raise
                _log.warning("watch begins anew", resource=str(one.resource), error=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow(self, one: Watched) -> None:
        resource = one.resource
        kind = references.Resource(resource.group, resource.version, resource.plural, namespaced=resource.namespaced)
        async for event in infinite_watch(settings=self._settings(), resource=kind, namespace=None):
            self._last[resource] = time.monotonic()
            if not isinstance(event, Bookmark) and event["type"] != "BOOKMARK":
                self._try_to_take(resource, event["type"], event["object"])

    def _try_to_take(self, resource: Resource, type_: str | None, obj: Mapping[str, Any]) -> None:
        """One object that nobody foresaw must not end the watches, and with them the term, over and over."""
        try:
            self.take(resource, type_, obj)
        except Exception:
            metadata = obj.get("metadata") or {}
            _log.exception("event not taken", resource=str(resource), name=metadata.get("name"))

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        # Kopf would give up after 54 s of 5xx, and with it the term.
        settings.networking.error_backoffs = _Endless()
        settings.networking.connect_timeout = 5.0
        settings.networking.request_timeout = 60.0
        settings.watching.connect_timeout = 5.0
        # Bookmarks come every 60 s; without any the socket is dead.
        settings.watching.inactivity_timeout = 70.0
        settings.watching.chunk_size = _PAGE
        for one in self._watched:
            if one.selector is not None:
                resource = one.resource
                settings.watching.label_selectors[resource.group, resource.version, resource.plural] = one.selector
        return settings


def _begins_anew(error: Exception) -> bool:
    """Whether the watch can go on by itself, though Kopf gives it up.

    401: a token that was rotated is read afresh with each request. 410: the list took longer than etcd keeps its
    history. WatchingError: the API server ended the watch with an error event, for it is busy or about to stop.
    """
    return isinstance(error, WatchingError) or (isinstance(error, APIClientError) and error.status in (401, 410))


class _Login(Vault):
    """The one login there is; a refusal of it goes to who asked instead of to Kopf's own authenticator."""

    async def invalidate(self, key: Any, info: Any, *, exc: Exception | None = None) -> None:
        """Raises `exc`."""
        raise exc or aiohttp.ClientConnectionError("the session is closed")


class _Endless:
    """1, 2, 4, 8, 10, 10, ... seconds, anew for each request: Kopf iterates over it once a request."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1.0, 2.0, 4.0, 8.0), itertools.repeat(10.0))
