"""Runs builds as their Jobs would, and prints as JSON the seconds that buildctl took for each.

Runs in a pod of the operator's image, whose builder lays out the context and makes buildctl's command line. Standard
input: {"atOnce": n, "builds": [{file: base64}]}, of each build the files of its Job's Secret. Timed is the process
alone, from its start until it was waited for; all is laid out before the first one starts.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from keelway.api.buildrequest import REQUEST_FILE, BuildRequest
from keelway.builder import buildkit, sourcetime
from keelway.builder.buildkit import Paths
from keelway.builder.fetch import fetch
from keelway.builder.imagesolve import Moment, image_build

_TOLD_CHARACTERS = 2000


@dataclass(frozen=True)
class Prepared:
    """A build that lacks nothing but its start; `log` takes its output."""

    command: list[str]
    environment: Mapping[str, str]
    log: Path


def prepared(files: Mapping[str, str], place: Path) -> Prepared:
    """As the container `build` does it (keelway/builder/build.py), below the new directory `place`."""
    paths = Paths(place / "request", place / "workspace" / "context", place / "scratch")
    for directory in (paths.request, paths.scratch):
        directory.mkdir(parents=True)
    for name, content in files.items():
        (paths.request / name).write_bytes(base64.b64decode(content))
    request = BuildRequest.model_validate_json((paths.request / REQUEST_FILE).read_bytes())
    asyncio.run(fetch(request, paths.request, paths.context))
    buildkit.prepare(request, paths)
    asked_for = sourcetime.is_asked_for(paths.context / request.dockerfile)
    moment = Moment.of(request, sourcetime.find(paths.context), asked_for, datetime.now(UTC))
    command = buildkit.arguments(image_build(request, paths, moment), request, paths)
    return Prepared(command, {"DOCKER_CONFIG": str(paths.docker_config), "HOME": str(paths.scratch)}, place / "log")


def seconds(build: Prepared) -> float:
    """How long it took. Raises RuntimeError with the end of its output where it failed."""
    environment = {**os.environ, **build.environment}
    with build.log.open("wb") as log:
        begun = time.monotonic()
        done = subprocess.run(
            build.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, check=False
        )
        took = time.monotonic() - begun
    if done.returncode != 0:
        told = build.log.read_text(errors="replace")[-_TOLD_CHARACTERS:]
        raise RuntimeError(f"buildctl ended with status {done.returncode}: {told}")
    return took


def main() -> None:
    """Reads, builds, prints."""
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(asked["atOnce"]) as pool:
        builds = [prepared(files, Path(scratch) / str(number)) for number, files in enumerate(asked["builds"])]
        print(json.dumps(list(pool.map(seconds, builds))))


if __name__ == "__main__":
    main()
