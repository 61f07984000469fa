"""What the operator uses while nothing happens: watches that are silent, its lease, and its sweeps."""

import asyncio
import time
from typing import Final

from bench.results import Figure
from bench.world import World

SECONDS: Final = 90.0
MOST_PERCENT: Final = 2.0
# By default it sweeps every 300 s. So, one falls into the time that is measured, and weighs more than it would.
_SWEEP_SECONDS: Final = 75


async def measure(world: World) -> list[Figure]:
    """CPU over SECONDS, in percent of one core."""
    await world.restart({"KEELWAY_SWEEP_SECONDS": str(_SWEEP_SECONDS)})
    begun, used, passes = time.monotonic(), world.operator.cpu(), world.passes()
    await asyncio.sleep(SECONDS)
    percent = (world.operator.cpu() - used) / (time.monotonic() - begun) * 100
    return [
        Figure(f"CPU while idle with {world.apps} Apps", percent, "% of a core", MOST_PERCENT),
        Figure(f"passes in these {SECONDS:.0f} s", world.passes() - passes),
    ]
