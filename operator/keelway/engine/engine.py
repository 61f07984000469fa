"""The operator as a process: probes from the first moment, election, one `term.py` after another, a clean end.

A leadership that is lost ends the term and not the process: it stands for election again with an empty cache. That is
as safe as an exit (the gate is shut, everything is made anew) and spares the kubelet's growing restart delays.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from keelway.api.resources import Resource
from keelway.cluster.connection import Connection
from keelway.cluster.gate import WriteGate
from keelway.cluster.watched import WATCHED
from keelway.engine.health import HealthServer
from keelway.engine.leader import Elector, Timing
from keelway.engine.metrics import Metrics
from keelway.engine.queue import Backoff
from keelway.engine.term import Assemble, Ground, Term, opened

# Terms that end by themselves, such as while a CRD is gone, follow each other ever more slowly.
_BETWEEN_TERMS: Final = Backoff(first=0.5, longest=30)
_A_GOOD_TERM: Final = 60.0
# An election that has tried nothing for that long hangs; every call in it ends within 6 s.
_ELECTION_STILL_SECONDS: Final = 60.0
_UNHEARD_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Options:
    """`identity` must differ between replicas: the pod's name. `drain_seconds` is for passes under way at the end."""

    namespace: str
    identity: str
    port: int = 8080
    workers: int = 32
    sweep_seconds: float = 300.0
    drain_seconds: float = 20.0
    timing: Timing = field(default_factory=Timing)


class Engine:
    """`await Engine(...).run()` until SIGTERM, SIGINT or `stop()`."""

    def __init__(self, connection: Connection, metrics: Metrics, assemble: Assemble, options: Options) -> None:
        self._assemble = assemble
        self._options = options
        gate = WriteGate()
        self._ground = Ground(connection, gate, metrics, options.workers, options.sweep_seconds)
        self._elector = Elector(connection, gate, options.namespace, options.identity, options.timing)
        self._health = HealthServer(options.port, self._not_live, self._not_ready, metrics.registry)
        self._term: Term | None = None
        self._stopping = asyncio.Event()
        metrics.leader.set_function(lambda: float(self._elector.leads))
        metrics.watch_queue(lambda: self._of_term(lambda t: t.queue.depth), lambda: self._of_term(_oldest))
        metrics.watch_age({one.resource: self._age_of(one.resource) for one in WATCHED})

    async def run(self) -> None:
        """Serve, stand for election, lead. Raises OSError where the port is taken."""
        port = await self._health.start()
        _log.info("started", port=port, identity=self._options.identity)
        self._take_signals()
        short_terms = 0
        try:
            while not await self._stops_before(self._elector.acquire()):
                begun = time.monotonic()
                await self._lead()
                short_terms = short_terms + 1 if time.monotonic() - begun < _A_GOOD_TERM else 0
                await self._stops_before(asyncio.sleep(_BETWEEN_TERMS.delay(short_terms) if short_terms else 0))
        finally:
            await self._elector.release()
            await self._health.stop()
            _log.info("stopped")

    def stop(self) -> None:
        """End well: no new passes, those under way end, the lease is given back."""
        self._stopping.set()

    async def _lead(self) -> None:
        async with opened(self._ground, self._assemble) as term:
            self._term = term
            hold = asyncio.create_task(self._elector.hold(), name="lease")
            work = asyncio.create_task(term.run(), name="term")
            stop = asyncio.create_task(self._stopping.wait(), name="stop")
            try:
                await asyncio.wait({hold, work, stop}, return_when=asyncio.FIRST_COMPLETED)
                if work.done() and (error := work.exception()) is not None:
                    _log.error("term ended", exc_info=error)
            finally:
                # With the lease still held, passes under way may write their status; without it they could not.
                await term.end(self._options.drain_seconds if not hold.done() else 0)
                await _cancel(work, stop, hold)
                await self._elector.release()
                self._term = None

    async def _stops_before(self, work: Coroutine[Any, Any, None]) -> bool:
        """Wait for `work`, or for the stop: True then, and `work` is cancelled."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stopping = not task.done()
        await _cancel(stop)
        if not stopping:
            task.result()
        await _cancel(task)
        return self._stopping.is_set()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    def _not_live(self) -> list[str]:
        if self._elector.idle_for > _ELECTION_STILL_SECONDS and not self._stopping.is_set():
            return ["the election stands still"]
        return self._term.troubles() if self._term is not None else []

    def _not_ready(self) -> list[str]:
        unheard = self._elector.unheard_for
        if unheard is None or unheard > _UNHEARD_SECONDS:
            return ["the API server does not answer about the Lease, so this replica cannot stand for election"]
        return []

    def _of_term(self, value: Callable[[Term], float]) -> float:
        return float(value(self._term)) if self._term is not None else 0.0

    def _age_of(self, resource: Resource) -> Callable[[], float]:
        return lambda: self._of_term(lambda term: term.watches.age(resource))


def _oldest(term: Term) -> float:
    return term.queue.oldest_wait


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
