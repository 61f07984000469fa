"""The operator from cold: Apps are there, it starts with an empty cache, and writes their children and status.

Its clock begins when its cache is complete ("cache complete" in its log): before that moment no pass may begin
(contract rule 1), so from there on it does what the bare client does. It ends when a watch has brought the status of
every App, each of which is written after its children were applied.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.audit import Asked
from bench.errors import BenchError
from bench.ground import Ground
from bench.kube import Object, until
from devcluster.outside import Operator
from keelway.api.resources import APPS

AGENT: Final = "keelway/"
"""How the operator's User-Agent begins; its version and the replica follow."""
_BARRIER: Final = "cache complete"
_BARRIER_SECONDS: Final = 120.0
_SECONDS_AN_APP: Final = 0.2
_REST_SECONDS: Final = 180.0
# What waits longer than this in the queue waits for a worker.
_NO_WAIT_SECONDS: Final = 0.5
_STILL_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Cold:
    """One run. `completed` are the seconds after the barrier at which each App was done, in order.

    `started` is what the process took from its start until its cache was complete; `cpu` are its CPU seconds from the
    barrier until the last App was done, `asked` all its requests until it was at rest.
    """

    started: float
    completed: Sequence[float]
    cpu: float
    asked: Sequence[Asked]

    @property
    def seconds(self) -> float:
        """From the barrier until the last App was done."""
        return self.completed[-1] if self.completed else 0.0


async def run(ground: Ground, operator: Operator, namespace: str) -> Cold:
    """Start the operator over the Apps of `namespace`, and wait until it has done all and is at rest."""
    expected = len(await ground.kube.names(APPS, namespace))
    mark = ground.audit.mark()
    watching = asyncio.create_task(_done_at(ground, namespace, await ground.kube.revision(), expected))
    begun = time.time()
    operator.start()
    try:
        complete = await barrier(operator)
        used = operator.cpu()
        done = await asyncio.wait_for(watching, _BARRIER_SECONDS + _SECONDS_AN_APP * expected)
    except TimeoutError as error:
        raise BenchError(f"not all of {expected} Apps were done in time; see {operator.log}") from error
    finally:
        watching.cancel()
    cpu = operator.cpu() - used
    await at_rest(ground, operator)
    return Cold(complete - begun, [one - complete for one in done], cpu, ground.audit.since(mark, AGENT))


async def barrier(operator: Operator) -> float:
    """Wait until the operator's cache is complete: the time of that, in seconds since the epoch."""

    async def passed() -> bool:
        if not operator.running:
            raise BenchError(f"the operator ended; see {operator.log}")
        return barrier_time(_text(operator.log)) is not None

    await until("the operator's cache complete", passed, _BARRIER_SECONDS, every=0.02)
    found = barrier_time(_text(operator.log))
    assert found is not None
    return found


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


def barrier_time(log: str) -> float | None:
    """When the last cache was complete, by the operator's log: JSON lines, of which the last may be half written."""
    for line in reversed(log.splitlines()):
        if _BARRIER in line:
            with suppress(ValueError):
                entry = json.loads(line)
                if entry.get("event") == _BARRIER:
                    return datetime.fromisoformat(entry["timestamp"]).timestamp()
    return None


async def at_rest(ground: Ground, operator: Operator) -> None:
    """Wait until nothing has waited in its queue for some seconds, and nobody else writes either."""
    calm_since = time.monotonic()

    async def is_calm() -> bool:
        nonlocal calm_since
        if operator.metrics().get("keelway_queue_oldest_seconds", 1.0) > _NO_WAIT_SECONDS:
            calm_since = time.monotonic()
        return time.monotonic() - calm_since > _STILL_SECONDS

    await until("an empty queue", is_calm, _REST_SECONDS)
    await ground.quiet()


async def _done_at(ground: Ground, namespace: str, since: int, expected: int) -> list[float]:
    """When each App was first seen done, in order."""
    done: dict[str, float] = {}
    if expected == 0:
        return []
    async for seen in ground.kube.watch(APPS, namespace, since):
        name = seen.obj["metadata"]["name"]
        if name not in done and is_done(seen.obj):
            done[name] = seen.time
            if len(done) == expected:
                return sorted(done.values())
    raise AssertionError("a watch does not end")


def is_done(app: Object) -> bool:
    """Whether its status speaks of its present spec, and of children that were applied: all three, without a fault."""
    status: dict[str, Any] = app.get("status") or {}
    if status.get("observedGeneration") != app["metadata"]["generation"]:
        return False
    reason = next((one["reason"] for one in status.get("conditions", ()) if one["type"] == "Ready"), None)
    return "url" in status and reason in ("RollingOut", "RolledOut")
