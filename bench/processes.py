"""Programs that run beside a measurement, each ended by its own process id."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from devcluster import catalogue, golang
from devcluster.progress import Progress
from devcluster.settings import Settings

_END_SECONDS: Final = 10.0


def program(settings: Settings, name: str) -> Path:
    """The program of that name in devcluster/images.toml, compiled into the cache where it is not there yet."""
    return golang.build(settings, Progress(settings.logs), catalogue.load().go[name]) / name


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, while the block lasts. Its output replaces `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def must_run(process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises BenchError where it has ended."""
    if process.poll() is not None:
        raise BenchError(f"{process.args!r} ended with status {process.returncode}; see {log}")
