"""The operator from cold: Apps are there, it starts with an empty cache, and writes their children and status.

Its clock begins when its cache is complete ("cache complete" in its log): before that moment no pass may begin
(contract rule 1), so from there on it does what the bare client does. It ends when a watch has brought the status of
every App, which each is written after its children were applied.
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

AGENT: Final = "keelway"
_BARRIER: Final = "cache complete"
_READY_SECONDS: Final = 60.0
_SECONDS_AN_APP: Final = 0.1
_REST_SECONDS: Final = 180.0
# An App's pass may be woken once more by what Kubernetes writes into its Deployment.
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
        return self.completed[-1]


async def run(ground: Ground, operator: Operator, namespace: str) -> Cold:
    """Start the operator over the Apps of `namespace`, and wait until it has done all and is at rest."""
    expected = await ground.kube.count(APPS, namespace)
    mark = ground.audit.mark()
    since = await ground.kube.revision()
    watching = asyncio.create_task(_done_at(ground, namespace, since, expected))
    begun = time.time()
    operator.start()
    try:
        await barrier(operator)
        used = operator.cpu()
        done = await asyncio.wait_for(watching, _READY_SECONDS + _SECONDS_AN_APP * expected)
    except TimeoutError as error:
        raise BenchError(f"not all of {expected} Apps were done in time; see {operator.log}") from error
    finally:
        watching.cancel()
    cpu = operator.cpu() - used
    complete = barrier_time(operator.log)
    assert complete is not None
    await at_rest(ground, operator)
    return Cold(complete - begun, [one - complete for one in done], cpu, ground.audit.since(mark, AGENT))


async def barrier(operator: Operator, seconds: float = _READY_SECONDS) -> float:
    """Wait until the operator's cache is complete: the time of that."""

    async def passed() -> bool:
        if not operator.running:
            raise BenchError(f"the operator ended; see {operator.log}")
        return barrier_time(operator.log) is not None

    await until("the operator's cache complete", passed, seconds, every=0.02)
    found = barrier_time(operator.log)
    assert found is not None
    return found


def barrier_time(log: Path) -> float | None:
    """When its last cache was complete (seconds since the epoch), by the operator's log."""
    lines = [line for line in log.read_text().splitlines() if _BARRIER in line]
    for line in reversed(lines):
        with suppress(ValueError):
            entry = json.loads(line)
            if entry.get("event") == _BARRIER:
                return datetime.fromisoformat(entry["timestamp"]).timestamp()
    return None


async def at_rest(ground: Ground, operator: Operator, seconds: float = _REST_SECONDS) -> None:
    """Wait until its queue has been empty for some seconds, and nobody else writes either."""
    calm_since = time.monotonic()

    async def is_calm() -> bool:
        nonlocal calm_since
        if operator.metrics().get("keelway_queue_depth") != 0.0:
            calm_since = time.monotonic()
        return time.monotonic() - calm_since > _STILL_SECONDS

    await until("an empty queue", is_calm, seconds)
    await ground.quiet()


async def _done_at(ground: Ground, namespace: str, since: int, expected: int) -> list[float]:
    """When each App was first seen done, in order."""
    done: dict[str, float] = {}
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
