"""When a Service gave an answer first: a pod beside it asks without pause (`incluster/asker.py`)."""

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import web
from bench.background import background
from bench.dev import Dev, Tenant, ended
from bench.errors import BenchError
from bench.kube import until

_SCRIPT: Final = Path(__file__).parent / "incluster" / "asker.py"
_POD: Final = "asker"
_ANSWER_SECONDS: Final = 180.0
_LOOK_SECONDS: Final = 0.02


@dataclass
class Heard:
    """Each answer's first time by the pod's clock, which is this machine's: seconds since the epoch."""

    first: dict[str, float] = field(default_factory=dict)

    async def at(self, answer: str) -> float:
        """When it was heard first; waits for it."""

        async def is_heard() -> bool:
            return answer in self.first

        await until(f"the answer {answer!r}", is_heard, _ANSWER_SECONDS, _LOOK_SECONDS)
        return self.first[answer]

    def take(self, line: bytes) -> None:
        """A line of the pod's log."""
        told = json.loads(line)
        self.first.setdefault(told["answer"], told["time"])

    async def follow(self, dev: Dev, namespace: str) -> None:
        """Read the pod's log until cancelled."""
        process = await asyncio.create_subprocess_exec(
            *dev.kubectl("logs", "--follow", _POD, f"--namespace={namespace}"), stdin=DEVNULL, stdout=PIPE
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                self.take(line)
        finally:
            await ended(process)
        raise BenchError("the log of the pod that asks has ended")


@asynccontextmanager
async def asking(tenant: Tenant, url: str) -> AsyncIterator[Heard]:
    """What `url` answers while the block lasts."""
    heard = Heard()
    command = ["python", "-c", _SCRIPT.read_text(), url]
    # The image has Python, and the node has the image already.
    asker = web.pod(tenant.name, _POD, tenant.dev.deployed.image, command)
    async with tenant.dev.pod(asker), background(heard.follow(tenant.dev, tenant.name)):
        yield heard
