"""Kopf, used for what it is best at: watching. Each event goes into the cache, and what is new to the queue.

Only `on.event` handlers: nothing of Kopf is written into objects, no annotation and no finalizer (measured: 0 PATCHes).
The label selectors of `cluster/watched.py` are applied by the API server, in lists and in watches alike.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import kopf
import structlog
from kopf._core.engines.peering import Identity

from keelway.api.resources import Resource
from keelway.cluster.cache import Cache
from keelway.cluster.connection import Connection
from keelway.cluster.watched import WATCHED, Watched

_PAGE: Final = 500
_STOP_SECONDS: Final = 5.0
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
        """Seconds since the last event of a kind."""
        return time.monotonic() - self._last[resource]

    async def run(self, started: Callable[[], None]) -> None:
        """Watch until cancelled. `started` is called once Kopf's tasks run: Kopf takes the signal handlers then.

        Raises what Kopf gives up on: a watch that is refused for good, a kind that is gone.
        """
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=self._settings(),
            clusterwide=True,
            standalone=True,
            # By default Kopf makes one of the user's name, and the image's uid has none.
            identity=Identity("keelway"),
        )
        started()
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            raise RuntimeError(f"Kopf ended: {', '.join(task.get_name() for task in done)}")
        finally:
            await _stop(tasks)

    def take(self, resource: Resource, type_: str | None, obj: Mapping[str, Any]) -> None:
        """One event: None (listed), ADDED, MODIFIED or DELETED."""
        self._last[resource] = time.monotonic()
        changed = self._cache.remove(resource, obj) if type_ == "DELETED" else self._cache.put(resource, obj)
        self._counted(resource, changed)
        if changed:
            self._news(resource, obj)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        for one in self._watched:
            resource = one.resource
            kopf.on.event(
                group=resource.group,
                version=resource.version,
                plural=resource.plural,
                registry=registry,
                id=str(resource),
            )(self._handler(resource))
        kopf.on.login(registry=registry)(self._login)
        return registry

    def _handler(self, resource: Resource) -> Callable[..., Any]:
        async def handle(event: kopf.RawEvent, **_: Any) -> None:
            self.take(resource, event["type"], event["object"])

        return handle

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Our own session: it reads the service account's token afresh, so rotation needs no new login."""
        return kopf.AiohttpSession(server=self._connection.server, aiohttp_session=self._connection.new_session())

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        # What is served is looked up once, at the start: no permission to watch CRDs or namespaces is needed.
        settings.scanning.disabled = True
        # Kopf would give up after 54 s of 5xx, and with it the process.
        settings.networking.error_backoffs = _Endless()
        settings.networking.connect_timeout = 5.0
        settings.networking.request_timeout = 60.0
        settings.watching.connect_timeout = 5.0
        # Bookmarks come every 60 s; without any the socket is dead.
        settings.watching.inactivity_timeout = 70.0
        settings.watching.chunk_size = _PAGE
        # Objects that change are many and change seldom: a worker a second each is plenty.
        settings.queueing.idle_timeout = 0.1
        settings.persistence.diffbase_storage = _NoDiffBase()
        # Else Kopf kills the process 10 minutes after a term that ended for another reason than a signal.
        settings.process.ultimate_exiting_timeout = None
        for one in self._watched:
            if one.selector is not None:
                resource = one.resource
                settings.watching.label_selectors[resource.group, resource.version, resource.plural] = one.selector
        return settings


class _Endless:
    """1, 2, 4, 8, 10, 10, ... seconds, anew for each request: Kopf iterates over it once a request."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1.0, 2.0, 4.0, 8.0), itertools.repeat(10.0))


class _NoDiffBase(kopf.DiffBaseStorage):
    """Kopf compares each object with its last state even where nobody asks: a third of its time and memory."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Nothing is kept."""


async def _stop(tasks: Collection[asyncio.Task[Any]]) -> None:
    """End Kopf's tasks: cancelled once, its cleanup waits for the others and closes the session."""
    for task in tasks:
        task.cancel()
    _, late = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
    for task in late:
        _log.warning("kopf task does not end", task=task.get_name())
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
