"""The workers: take a key, run its reconciler, decide when the key comes back (contract, "Errors").

One poisoned object never stops the others: whatever a pass raises ends that pass only.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from keelway.engine.metrics import Metrics
from keelway.engine.queue import Backoff, WorkQueue
from keelway.errors import KeelwayError, NotLeader, Terminal, Transient, Waiting
from keelway.reconcile.outcome import Key, Outcome

WAITING: Final = Backoff(first=10, longest=300)
"""For what lies outside: nobody may tell when it is there, so it is looked at again by itself."""
TRANSIENT: Final = Backoff(first=0.2, longest=60, jitter=0.5)
"""For faults that pass: soon at first, then ever later, and not all keys at the same moment."""

_log = structlog.get_logger(__name__)


class Reconciler(Protocol):
    """One pass over one object. Raises Terminal, Waiting or Transient after it has written the status."""

    async def __call__(self, key: Key, /) -> Outcome: ...


class Runner:
    """A fixed number of workers on one queue."""

    def __init__(
        self, queue: WorkQueue, reconcilers: Mapping[str, Reconciler], metrics: Metrics, workers: int = 32
    ) -> None:
        self._queue = queue
        self._reconcilers = reconcilers
        self._metrics = metrics
        self._count = workers
        self._taking: set[asyncio.Task[None]] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._last_end = time.monotonic()

    @property
    def quiet_for(self) -> float:
        """Seconds since a pass last ended."""
        return time.monotonic() - self._last_end

    async def run(self) -> None:
        """Work until cancelled; passes under way go on until `drain`."""
        self._taking = {asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._count)}
        try:
            await asyncio.gather(*self._taking)
        finally:
            await self._stop_taking()

    async def drain(self, seconds: float) -> None:
        """Let passes under way end, for at most that long; what is left then is cancelled."""
        await self._stop_taking()
        if self._passing:
            _, late = await asyncio.wait(self._passing, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _stop_taking(self) -> None:
        for task in self._taking:
            task.cancel()
        await asyncio.gather(*self._taking, return_exceptions=True)
        self._taking = set()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            # A task of its own, so that a worker can be stopped without cutting its pass off.
            task = asyncio.create_task(self._pass(key), name=f"pass over {key}")
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
            await asyncio.wait({task})

    async def _pass(self, key: Key) -> None:
        begun = time.monotonic()
        result = "cancelled"
        try:
            result = await self._reconcile(key)
        finally:
            self._queue.done(key)
            self._last_end = time.monotonic()
            self._metrics.duration.labels(key.kind).observe(self._last_end - begun)
            self._metrics.reconciles.labels(key.kind, result).inc()

    async def _reconcile(self, key: Key) -> str:
        """Run the pass and plan the next one; gives the word for the metric."""
        try:
            outcome = await self._reconcilers[key.kind](key)
        except Terminal as error:
            self._queue.forgive(key)
            self._note(key, error, None)
            return "terminal"
        except Waiting as error:
            self._note(key, error, self._wait(key, error))
            return "waiting"
        except NotLeader:
            # The lease may have been renewed late, and the term go on; else the queue ends with it.
            self._queue.retry(key, TRANSIENT)
            return "not_leader"
        except Transient as error:
            self._note(key, error, self._queue.retry(key, TRANSIENT, at_least=error.retry_after or 0.0))
            return "transient"
        except Exception as error:
            delay = self._queue.retry(key, TRANSIENT)
            self._metrics.errors.labels(key.kind, type(error).__name__).inc()
            _log.exception("pass failed", key=str(key), again_in=round(delay, 1))
            return "error"
        self._queue.forgive(key)
        if outcome.requeue_after is not None:
            self._queue.add_after(key, outcome.requeue_after)
        return "ok"

    def _wait(self, key: Key, error: Waiting) -> float:
        # A server that says "now" each time must not keep a worker busy.
        if not error.retry_after:
            return self._queue.retry(key, WAITING)
        self._queue.add_after(key, error.retry_after)
        return error.retry_after

    def _note(self, key: Key, error: KeelwayError, delay: float | None) -> None:
        self._metrics.errors.labels(key.kind, error.reason).inc()
        _log.info(
            "pass ended early",
            key=str(key),
            reason=error.reason,
            message=error.message,
            again_in=round(delay, 1) if delay is not None else None,
        )
