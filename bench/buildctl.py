"""What the operator's builds are compared with: buildctl alone, in a pod beside the build Jobs.

It is given what Jobs were given, certificate and credentials included, so that it does what they do: the same daemon,
options and registry. `incluster/buildctl.py` is what runs there.
"""

import base64
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import web
from bench.building import Files
from bench.dev import Dev
from bench.errors import BenchError
from keelway.api.buildrequest import REQUEST_FILE, BuildRequest

_SCRIPT: Final = Path(__file__).parent / "incluster" / "buildctl.py"
_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Buildctl:
    """The pod. Made by `beside`."""

    dev: Dev
    name: str

    async def seconds(self, builds: Sequence[Files], at_once: int = 1) -> list[float]:
        """How long each took, so many of them at once. Raises BenchError where one failed."""
        encoded = [{name: base64.b64encode(data).decode() for name, data in files.items()} for files in builds]
        told = await self.dev.run_kubectl(
            *("exec", "--stdin", self.name, f"--namespace={self.dev.deployed.builds_namespace}"),
            *("--", "python", "-c", _SCRIPT.read_text()),
            text=json.dumps({"atOnce": at_once, "builds": encoded}),
            seconds=_SECONDS,
        )
        return [float(one) for one in json.loads(told)]


@asynccontextmanager
async def beside(dev: Dev) -> AsyncIterator[Buildctl]:
    """The pod, while the block lasts: of the builds' namespace, for from no other is buildkitd reached."""
    name = f"bench-buildctl-{secrets.token_hex(4)}"
    async with dev.pod(web.pod(dev.deployed.builds_namespace, name, dev.deployed.image, ["sleep", "infinity"])):
        yield Buildctl(dev, name)


def changed(given: Files, answer: str) -> dict[str, bytes]:
    """PURE: what a Job would be given whose Image has another answer, pushed under a tag of its own.

    Raises BenchError where no file of the build is that of the answer: all would come out of the cache.
    """
    request = BuildRequest.model_validate_json(given[REQUEST_FILE])
    before = request.source.files or ()
    files = tuple(one.model_copy(update={"content": answer}) if one.name == web.CHANGED else one for one in before)
    if files == before:
        raise BenchError(f"a build whose file {web.CHANGED} is not there, or the same as before")
    source = request.source.model_copy(update={"files": files})
    reference = f"{request.push_reference.rpartition(':')[0]}:{answer}"
    return {**given, REQUEST_FILE: request.model_copy(update={"source": source, "push_reference": reference}).encode()}
