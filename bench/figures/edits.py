"""How long after an edit of one App among many its Deployment has changed."""

import asyncio
from typing import Final

from bench import objects
from bench.changes import watching
from bench.results import Figure, percentile
from bench.world import NAMESPACE, World

EDITS: Final = 200
P50_MS: Final = 50.0
P99_MS: Final = 250.0
# Between edits, so that the pass after the one is not the work of the next.
_PAUSE_SECONDS: Final = 0.05


async def measure(world: World) -> list[Figure]:
    """Edits one after another, each of another App."""
    names = objects.app_names(world.apps)
    chosen = names[:: max(1, len(names) // EDITS)][:EDITS]
    seconds = []
    async with watching(world.ground, NAMESPACE) as changes:
        for number, name in enumerate(chosen):
            seconds.append(await changes.edit(name, f"edit {number}"))
            await asyncio.sleep(_PAUSE_SECONDS)
    what = f"edit of one App among {world.apps} until its Deployment changed"
    return [
        Figure(f"{what}, p50", percentile(seconds, 50) * 1000, "ms", P50_MS),
        Figure(f"{what}, p99", percentile(seconds, 99) * 1000, "ms", P99_MS),
        Figure(f"{what}, edits", len(seconds)),
    ]
