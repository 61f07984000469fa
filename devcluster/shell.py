"""Running other programs: their output goes to the step's log, a failure becomes a `DevclusterError`."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster.errors import DevclusterError

TAIL_LINES = 12


def run(
    command: Sequence[str | Path],
    log: Path,
    *,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Run to the end and return standard output. Both streams are also appended to `log`.

    `timeout` is in seconds. Raises DevclusterError where the program is missing, fails or takes longer.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=timeout,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError as error:
        raise DevclusterError(f"{words[0]} was not found. Install it, or put it in PATH.", log) from error
    except subprocess.TimeoutExpired as error:
        raise DevclusterError(f"`{shlex.join(words)}` gave no answer within {timeout:.0f} s.", log) from error
    with log.open("a") as out:
        out.write(f"$ {shlex.join(words)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        raise DevclusterError(failure(words, done.returncode, done.stderr or done.stdout), log)
    return done.stdout


def pipe(producer: Sequence[str | Path], consumer: Sequence[str | Path], log: Path) -> None:
    """`producer | consumer`, where the failure of either is a failure."""
    first, second = [str(word) for word in producer], [str(word) for word in consumer]
    with log.open("a") as out, tempfile.TemporaryFile("w+") as complaints:
        out.write(f"$ {shlex.join(first)} | {shlex.join(second)}\n")
        out.flush()
        with subprocess.Popen(first, stdout=subprocess.PIPE, stderr=complaints) as feeding:
            done = subprocess.run(second, stdin=feeding.stdout, stdout=out, stderr=complaints, text=True)
        complaints.seek(0)
        said = complaints.read()
        out.write(said)
    if feeding.returncode != 0 or done.returncode != 0:
        words, code = (first, feeding.returncode) if feeding.returncode else (second, done.returncode)
        raise DevclusterError(failure(words, code, said), log)


def succeeds(command: Sequence[str | Path], log: Path, timeout: float = 30) -> bool:
    """Whether the program ends well within `timeout` seconds; for questions, where no is an answer."""
    try:
        run(command, log, timeout=timeout)
    except DevclusterError:
        return False
    return True


def failure(words: Sequence[str], code: int, said: str) -> str:
    tail = "\n".join(said.strip().splitlines()[-TAIL_LINES:])
    return f"`{shlex.join(words)}` ended with status {code}:\n{tail}"
