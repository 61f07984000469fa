"""One namespace whose 2,000 Apps change all the time, and another with one App: how long that one waits."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench import objects
from bench.changes import watching
from bench.ground import Ground
from bench.results import Figure, percentile
from bench.world import NAMESPACE, settled
from keelway.api.resources import APPS

BUSY: Final = 2000
OTHER: Final = "bench-other"
EDITS: Final = 100
P99_MS: Final = 500.0
EDITORS: Final = 4
_WARM_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1


@dataclass
class Busy:
    """What the editors have done."""

    edits: int = 0


async def measure(ground: Ground, busy: int = BUSY) -> list[Figure]:
    """p99 of the one, while the others are edited in turn without pause."""
    await ground.namespace(OTHER)
    await ground.apps(OTHER, 1)
    [name] = objects.app_names(1)
    seconds: list[float] = []
    depths: list[float] = []
    async with settled(ground, busy) as world, _editing(ground, busy) as edited:
        await asyncio.sleep(_WARM_SECONDS)
        begun, before = time.monotonic(), edited.edits
        async with watching(ground, OTHER) as changes:
            for number in range(EDITS):
                seconds.append(await changes.edit(name, f"edit {number}"))
                depths.append(world.operator.metrics().get("keelway_queue_depth", 0.0))
                await asyncio.sleep(_PAUSE_SECONDS)
        rate = (edited.edits - before) / (time.monotonic() - begun)
    what = f"edit of one App beside {busy} that change all the time, until its Deployment changed"
    return [
        Figure(f"{what}, p99", percentile(seconds, 99) * 1000, "ms", P99_MS),
        Figure(f"{what}, p50", percentile(seconds, 50) * 1000, "ms"),
        Figure("edits of the others a second", rate, "1/s"),
        Figure("Apps that wait in the queue meanwhile, p50", percentile(depths, 50)),
    ]


@asynccontextmanager
async def _editing(ground: Ground, busy: int) -> AsyncIterator[Busy]:
    """Editors that never rest while the block lasts."""
    done = Busy()
    names = itertools.cycle(objects.app_names(busy))

    async def edit() -> None:
        for name in names:
            await ground.kube.patch(APPS, NAMESPACE, name, objects.edited(f"busy {done.edits}"))
            done.edits += 1

    editors = [asyncio.create_task(edit()) for _ in range(EDITORS)]
    try:
        yield done
    finally:
        for editor in editors:
            editor.cancel()
        await asyncio.gather(*editors, return_exceptions=True)
