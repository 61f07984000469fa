"""Runs `buildctl` against the daemon: the arguments are pure, the process and its files are here.

Used by `build.py` with what `imagesolve.py` makes, and by `user.py`.
"""

import asyncio
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keelway.api.buildrequest import (
    DOCKER_CONFIG_FILE,
    TLS_CA_FILE,
    TLS_CERT_FILE,
    TLS_KEY_FILE,
    BuildRequest,
)
from keelway.builder.policy import source_policy
from keelway.builder.progress import Progress

# One event may list all steps of a Dockerfile of the largest size that BuildKit reads (2 MiB).
_LINE_BYTES = 16 * 1024 * 1024
_CONNECT_SECONDS = 20
_END_SECONDS = 10


@dataclass(frozen=True)
class Paths:
    """`request` holds request.json and the credentials, `context` the source; `scratch` is ours to write."""

    request: Path
    context: Path
    scratch: Path

    @property
    def policy(self) -> Path:
        return self.scratch / "source-policy.json"

    @property
    def metadata(self) -> Path:
        return self.scratch / "metadata.json"

    @property
    def docker_config(self) -> Path:
        return self.scratch / "docker"


@dataclass(frozen=True)
class Solve:
    """One solve: the context's directory, frontend options, the output, secrets (id=...,src=...), caches to write and
    to begin from."""

    context: Path
    options: Sequence[str]
    output: str
    secrets: Sequence[str] = ()
    exports: Sequence[str] = ()
    imports: Sequence[str] = ()


def arguments(solve: Solve, request: BuildRequest, paths: Paths) -> list[str]:
    """buildctl's command line."""
    arguments = [
        *("buildctl", "--addr", request.buildkit.address, "--timeout", str(_CONNECT_SECONDS)),
        *_tls(request, paths.request),
        *("build", "--frontend", "dockerfile.v0", "--progress", "rawjson"),
        *("--local", f"context={solve.context}", "--local", f"dockerfile={solve.context}"),
        *("--source-policy-file", str(paths.policy), "--metadata-file", str(paths.metadata)),
        *("--output", solve.output),
    ]
    repeated = (
        ("--opt", solve.options),
        ("--secret", solve.secrets),
        ("--export-cache", solve.exports),
        ("--import-cache", solve.imports),
    )
    return [*arguments, *(part for flag, values in repeated for value in values for part in (flag, value))]


def prepare(request: BuildRequest, paths: Paths) -> None:
    """Writes the source policy and the Docker configuration that buildctl reads."""
    paths.docker_config.mkdir(parents=True, exist_ok=True)
    paths.policy.write_text(json.dumps(source_policy(request.policy, request.bases)))
    given = paths.request / DOCKER_CONFIG_FILE
    auths = json.loads(given.read_text()).get("auths", {}) if given.is_file() else {}
    # Nothing but auths: credsStore and credHelpers would name programs to run.
    (paths.docker_config / "config.json").write_text(json.dumps({"auths": auths}))


async def run(solve: Solve, request: BuildRequest, paths: Paths, progress: Progress) -> int:
    """buildctl's exit code; fed to `progress` while it runs. Cancelled: ends buildctl first."""
    environment = os.environ | {"DOCKER_CONFIG": str(paths.docker_config), "HOME": str(paths.scratch)}
    process = await asyncio.create_subprocess_exec(
        *arguments(solve, request, paths), stdin=DEVNULL, stderr=PIPE, env=environment, limit=_LINE_BYTES
    )
    try:
        await _follow(process, progress)
        return await process.wait()
    finally:
        await _end(process)


def image_digest(paths: Paths) -> str | None:
    """The digest of what was pushed, out of the metadata file."""
    try:
        digest = json.loads(paths.metadata.read_text())["containerimage.digest"]
    except (OSError, ValueError, KeyError):
        return None
    return str(digest)


def _tls(request: BuildRequest, directory: Path) -> list[str]:
    # A socket of this machine speaks no TLS; everything else does, and only mutual TLS.
    if request.buildkit.address.startswith("unix://"):
        return []
    files = {"--tlscacert": TLS_CA_FILE, "--tlscert": TLS_CERT_FILE, "--tlskey": TLS_KEY_FILE}
    paths = [part for flag, name in files.items() for part in (flag, str(directory / name))]
    return ["--tlsservername", request.buildkit.server_name, *paths]


async def _follow(process: Process, progress: Progress) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        progress.feed(line.decode(errors="replace").rstrip("\n"))


async def _end(process: Process) -> None:
    """SIGTERM makes buildctl cancel the solve in the daemon; SIGKILL comes after, if it must."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
