"""Edits of Apps, and when each has reached its Deployment: by the bench's own watch, as any other client sees it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bench import objects
from bench.background import background
from bench.errors import BenchError
from bench.ground import Ground
from keelway.api.resources import APPS, DEPLOYMENTS

_EDIT_SECONDS: Final = 30.0


@dataclass
class Changes:
    """The Deployments of one namespace. Made by `watching`."""

    ground: Ground
    namespace: str
    _generations: dict[str, int] = field(default_factory=dict)
    _awaited: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    async def edit(self, name: str, value: str) -> float:
        """Change the App's environment: seconds from sending that until the watch brings its changed Deployment."""
        changed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited[name] = changed
        begun = time.time()
        try:
            await self.ground.kube.patch(APPS, self.namespace, name, objects.edited(value))
            return await asyncio.wait_for(changed, _EDIT_SECONDS) - begun
        except TimeoutError as error:
            raise BenchError(f"Deployment {name} has not changed {_EDIT_SECONDS:.0f} s after its App") from error
        finally:
            del self._awaited[name]

    async def follow(self, since: int) -> None:
        """Read the watch until cancelled; a Deployment has changed when its generation has."""
        async for seen in self.ground.kube.watch(DEPLOYMENTS, self.namespace, since):
            metadata = seen.obj["metadata"]
            name, generation = metadata["name"], metadata["generation"]
            if generation > self._generations.get(name, 0):
                self._generations[name] = generation
                awaited = self._awaited.get(name)
                if awaited is not None and not awaited.done():
                    awaited.set_result(seen.time)

    async def learn(self) -> int:
        """Take the generations of now: the revision from which on to watch."""
        since = await self.ground.kube.revision()
        for one in await self.ground.kube.list_all(DEPLOYMENTS, self.namespace):
            self._generations[one["metadata"]["name"]] = one["metadata"]["generation"]
        return since


@asynccontextmanager
async def watching(ground: Ground, namespace: str) -> AsyncIterator[Changes]:
    """`Changes` with a watch behind it."""
    changes = Changes(ground, namespace)
    since = await changes.learn()
    async with background(changes.follow(since)):
        yield changes
