"""A number of Apps that the operator has settled, and the operator that runs: what most measurements begin with."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bench import cold
from bench.cold import Cold
from bench.ground import KEELWAY, Ground
from devcluster.outside import Operator

NAMESPACE: Final = "bench-apps"
_MIB: Final = 1024 * 1024
_SETTLE_SECONDS: Final = 5.0


@dataclass
class World:
    """`apps` Apps in NAMESPACE; `cold` is how the operator came to them."""

    ground: Ground
    apps: int
    operator: Operator
    cold: Cold

    async def restart(self, environment: Mapping[str, str] | None = None, program: tuple[str, ...] = KEELWAY) -> None:
        """Another process over the same Apps, and wait until it is at rest."""
        stop(self.operator)
        self.operator = self.ground.operator(environment, program)
        self.operator.start()
        await cold.barrier(self.operator)
        await cold.at_rest(self.ground, self.operator)

    async def memory(self) -> float:
        """Its resident memory in MiB, some seconds after it came to rest."""
        await asyncio.sleep(_SETTLE_SECONDS)
        return self.operator.memory() / _MIB

    def passes(self) -> float:
        """How many passes over Apps have ended since the process began."""
        samples = self.operator.metrics().items()
        return sum(value for name, value in samples if name.startswith('keelway_reconciles_total{kind="App"'))


@asynccontextmanager
async def settled(ground: Ground, apps: int) -> AsyncIterator[World]:
    """The world of so many Apps; nothing of it is left afterwards."""
    await ground.namespace(NAMESPACE)
    await ground.apps(NAMESPACE, apps)
    await ground.quiet()
    operator = ground.operator()
    world = None
    try:
        world = World(ground, apps, operator, await cold.run(ground, operator, NAMESPACE))
        yield world
    finally:
        stop(world.operator if world else operator)
        await ground.clear()


def stop(operator: Operator) -> None:
    """End it well, or else at once."""
    if not operator.running:
        return
    try:
        operator.stop()
    except subprocess.TimeoutExpired:
        operator.kill()
