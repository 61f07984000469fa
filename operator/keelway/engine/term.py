"""One term of leadership: watches, barrier, workers, sweeps and chores, all made anew and all ended together.

    watches (Kopf) -> cache -> routes -> queue -> runner -> reconcilers
    sweep: at first the barrier, then every few minutes what the watches missed

`engine.py` begins and ends terms.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from keelway.api.resources import BUILDS, DEPLOYMENTS, HPAS, SERVICES, Resource
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.connection import Connection
from keelway.cluster.gate import WriteGate
from keelway.engine.metrics import Metrics
from keelway.engine.queue import WorkQueue
from keelway.engine.routes import keys_of
from keelway.engine.runner import Reconciler, Runner
from keelway.engine.sweep import Orphans, Sweep
from keelway.engine.watches import Watches
from keelway.errors import KeelwayError
from keelway.reconcile.outcome import Key

Chore = Callable[[], Awaitable[timedelta]]
"""Work that no object asks for, such as renewing certificates; gives the time until it wants to run again."""

# Nothing of ours takes two minutes without a pass ending: a request has 15 s.
STILL_SECONDS: Final = 120.0
# The list of 12,000 objects takes a tenth of that.
BARRIER_SECONDS: Final = 300.0
_LOOK_AGAIN_SECONDS: Final = 5.0
_CHORE_AGAIN_SECONDS: Final = 30.0
# The controllers of these write their status two or three times within that time after each change: one look will do.
_APP_CHILDREN: Final = frozenset({DEPLOYMENTS, SERVICES, HPAS})
_SETTLE_SECONDS: Final = 0.1

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Parts:
    """What `reconcile/` brings: a reconciler by kind ("App", "Image"), orphans for the sweep, and chores."""

    reconcilers: Mapping[str, Reconciler]
    orphans: Orphans = lambda: ()
    chores: Sequence[Chore] = ()


Assemble = Callable[[Cluster, Callable[[Key], None]], AbstractAsyncContextManager[Parts]]
"""Makes the parts for a term, and closes them at its end; the second argument puts a key on the queue."""


@dataclass(frozen=True)
class Ground:
    """What all terms share."""

    connection: Connection
    gate: WriteGate
    metrics: Metrics
    workers: int
    sweep_seconds: float


class Router:
    """Puts what changed on the queue: called by watches, writes and sweeps alike."""

    def __init__(self, cache: Cache, queue: WorkQueue, metrics: Metrics) -> None:
        self._cache = cache
        self._queue = queue
        self._metrics = metrics

    def __call__(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        for key in keys_of(resource, obj, self._cache):
            self._queue.add_after(key, _SETTLE_SECONDS if resource in _APP_CHILDREN else 0)
        if resource == BUILDS:
            self._metrics.build_ended(obj)


class Term:
    """All that lives as long as one leadership. Made by `opened`."""

    def __init__(self, ground: Ground, cluster: Cluster, queue: WorkQueue, router: Router, parts: Parts) -> None:
        self.queue = queue
        self.watches = Watches(ground.connection, cluster.cache, router, self._counted)
        self._ground = ground
        self._cache = cluster.cache
        self._chores = parts.chores
        self._runner = Runner(queue, parts.reconcilers, ground.metrics, ground.workers)
        self._sweep = Sweep(cluster, router, self._missed, parts.orphans)
        self._barrier_since: float | None = None

    async def run(self) -> None:
        """Work until cancelled. Raises an ExceptionGroup when the watches end."""
        await self._until_served()
        self._barrier_since = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watches.run(), name="watches")
            await self._barrier()
            tasks.create_task(self._runner.run(), name="runner")
            tasks.create_task(self._sweeps(), name="sweeps")
            for chore in self._chores:
                tasks.create_task(self._repeat(chore), name="chore")

    async def end(self, drain_seconds: float) -> None:
        """Take no more keys and let passes under way end."""
        await self._runner.drain(drain_seconds)
        self.queue.close()

    def troubles(self) -> list[str]:
        """What only a restart cures: a queue or a watch that stands still."""
        found = [f"the watch of {resource} stands still" for resource in self._sweep.stalled]
        if self._barrier_since is not None:
            if time.monotonic() - self._barrier_since > BARRIER_SECONDS:
                found.append("the watches do not bring what the API server lists")
        elif min(self.queue.oldest_wait, self._runner.quiet_for) > STILL_SECONDS:
            found.append("the queue stands still")
        return found

    async def _until_served(self) -> None:
        while True:
            try:
                return await self._sweep.served()
            except KeelwayError as error:
                _log.warning("not all kinds can be watched yet", error=str(error))
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _barrier(self) -> None:
        """Contract rule 1: no pass, prune or delete before every watched kind is in the cache."""
        while True:
            try:
                await self._sweep.barrier()
                break
            except KeelwayError as error:
                _log.warning("lists not read yet", error=str(error))
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        self._barrier_since = None
        _log.info("cache complete", objects=len(self._cache), ready=self.queue.depth)

    async def _sweeps(self) -> None:
        """Orphans at once, for owners that went while nobody led; the whole sweep every interval."""
        await _guarded(self._sweep.remove_orphans)
        while True:
            await asyncio.sleep(self._ground.sweep_seconds * (1 + random.random() * 0.1))
            await _guarded(self._sweep.run_once)

    async def _repeat(self, chore: Chore) -> None:
        while True:
            again = await _guarded(chore)
            await asyncio.sleep(again.total_seconds() if again is not None else _CHORE_AGAIN_SECONDS)

    def _counted(self, resource: Resource, changed: bool) -> None:
        self._ground.metrics.events.labels(str(resource), "yes" if changed else "no").inc()

    def _missed(self, resource: Resource, count: int) -> None:
        self._ground.metrics.missed.labels(str(resource)).inc(count)


@asynccontextmanager
async def opened(ground: Ground, assemble: Assemble) -> AsyncIterator[Term]:
    """A term with its parts, which are closed when the block ends."""
    # The rest goes on where one namespace's passes all hang, at a git server that never answers say.
    cache, queue = Cache(), WorkQueue(of_one=max(1, ground.workers * 3 // 4))
    router = Router(cache, queue, ground.metrics)
    cluster = Cluster(ground.connection, cache, ground.gate, router)
    async with assemble(cluster, queue.add) as parts:
        yield Term(ground, cluster, queue, router, parts)


async def _guarded(work: Callable[[], Awaitable[Any]]) -> Any:
    """A chore that fails is logged and comes again; it never ends the term."""
    try:
        return await work()
    except KeelwayError as error:
        _log.warning("chore failed", error=str(error))
    except Exception:
        _log.exception("chore failed")
    return None
