"""A restart over Apps that are as they should be: how long until all were looked at, and that nothing is written."""

import time
from typing import Final

from bench import audit, cold
from bench.cold import barrier
from bench.kube import until
from bench.results import Figure
from bench.world import World, stop

MOST_SECONDS: Final = 20.0
_WITHIN_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.1


async def measure(world: World) -> list[Figure]:
    """From the process's start until as many passes have ended as there are Apps, and none waits."""
    ground = world.ground
    stop(world.operator)
    await ground.quiet()
    mark = ground.audit.mark()
    world.operator = ground.operator()
    begun = time.time()
    world.operator.start()
    complete = await barrier(world.operator)

    async def all_checked() -> bool:
        depth = world.operator.metrics().get("keelway_queue_depth")
        return depth == 0.0 and world.passes() >= world.apps

    await until(f"{world.apps} Apps checked", all_checked, _WITHIN_SECONDS, every=_POLL_SECONDS)
    seconds, cpu = time.time() - begun, world.operator.cpu()
    await cold.at_rest(ground, world.operator)
    asked = ground.audit.since(mark, cold.AGENT)
    what = f"restart with {world.apps} converged Apps"
    return [
        Figure(f"{what}, until all are checked", seconds, "s", MOST_SECONDS),
        Figure(f"{what}, writes", len(audit.writes(asked)), limit=0),
        Figure(f"{what}, until the cache is complete", complete - begun, "s"),
        Figure(f"{what}, CPU", cpu, "s"),
        Figure(f"{what}, reads of single objects and pages of lists", len(audit.reads(asked))),
    ]
