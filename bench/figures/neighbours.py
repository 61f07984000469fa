"""One namespace whose 2,000 Apps change all the time, and another with one App: how long that one waits."""

import asyncio
import time
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from bench import objects
from bench.background import background
from bench.changes import watching
from bench.figures import size
from bench.ground import Ground
from bench.results import Figure, percentile
from bench.world import NAMESPACE, World, settled
from keelway.api.resources import APPS

BUSY: Final = 2000
OTHER: Final = "bench-other"
EDITS: Final = 100
P99_MS: Final = 500.0
EDITORS: Final = 4
_WARM_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1


@dataclass
class Editors:
    """They change the Apps of NAMESPACE in turn, and never rest. What changes is the most pods of each autoscaler:
    a new pod template would be work for Kubernetes' controllers rather than for the operator."""

    ground: Ground
    apps: int
    edits: int = 0

    async def run(self) -> None:
        """Edit until cancelled."""
        names = cycle(objects.app_names(self.apps))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(EDITORS):
                tasks.create_task(self._edit(names))

    async def _edit(self, names: "cycle[str]") -> None:
        for name in names:
            most = 5 + self.edits // self.apps % 2 + 1
            await self.ground.kube.patch(APPS, NAMESPACE, name, {"spec": {"autoscale": {"maxReplicas": most}}})
            self.edits += 1


async def measure(ground: Ground, busy: int = BUSY) -> list[Figure]:
    """p99 of the one, while the others are edited."""
    await ground.namespace(OTHER)
    await ground.apps(OTHER, 1)
    async with settled(ground, busy) as world:
        # The seconds and the memory of so many Apps come with them.
        sizes = await size.measure(world)
        return [*await _edits(world), *sizes]


async def _edits(world: World) -> list[Figure]:
    [name] = objects.app_names(1)
    seconds: list[float] = []
    depths: list[float] = []
    editors = Editors(world.ground, world.apps)
    async with background(editors.run()), watching(world.ground, OTHER) as changes:
        await asyncio.sleep(_WARM_SECONDS)
        begun, before = time.monotonic(), editors.edits
        for number in range(EDITS):
            seconds.append(await changes.edit(name, f"edit {number}"))
            depths.append(world.operator.metrics().get("keelway_queue_depth", 0.0))
            await asyncio.sleep(_PAUSE_SECONDS)
        rate = (editors.edits - before) / (time.monotonic() - begun)
    what = f"edit of one App beside {world.apps} that change all the time, until its Deployment changed"
    return [
        Figure(f"{what}, p99", percentile(seconds, 99) * 1000, "ms", P99_MS),
        Figure(f"{what}, p50", percentile(seconds, 50) * 1000, "ms"),
        Figure("edits of the others a second", rate, "1/s"),
        Figure("Apps that wait in the queue meanwhile, p50", percentile(depths, 50)),
    ]
