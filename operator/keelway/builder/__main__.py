"""`python -m keelway.builder fetch|build`: the containers of a build Job; files in the request need no `fetch`.

Whatever happens, a BuildReport is left as the termination message; the exit code is 0 only if it is ok.
"""

import asyncio
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Coroutine
from pathlib import Path

from keelway.api.buildrequest import (
    REQUEST_DIR,
    REQUEST_FILE,
    WORKSPACE_DIR,
    BuildReport,
    BuildRequest,
    Step,
)
from keelway.builder import report
from keelway.builder.build import build
from keelway.builder.buildkit import Paths
from keelway.builder.fetch import fetch
from keelway.builder.logtext import Redactor
from keelway.errors import KeelwayError

# The least memory limit that the fetch container may have is this and room for Python: 512 MiB. Reaching
# it here ends in a report; reaching the container's limit would end in silence.
_FETCH_MEMORY_BYTES = 400 * 1024 * 1024


def main() -> None:
    """Runs the container that the one argument names; never returns."""
    command = sys.argv[1] if len(sys.argv) == 2 else ""
    if command not in ("fetch", "build"):
        sys.exit("usage: python -m keelway.builder fetch|build")
    step = Step.FETCH if command == "fetch" else Step.BUILD
    request_dir = Path(os.environ.get("KEELWAY_REQUEST_DIR", REQUEST_DIR))
    workspace = Path(os.environ.get("KEELWAY_WORKSPACE_DIR", WORKSPACE_DIR))
    asyncio.run(_to_the_end(_work(step, request_dir, workspace), step, request_dir))


async def _to_the_end(work: Coroutine[None, None, BuildReport], step: Step, request_dir: Path) -> None:
    result = await _reported(work, step, request_dir)
    report.write(result)
    print(f"{result.reason}: {result.message}", flush=True)
    # Not by returning: after SIGTERM a thread may still be unpacking, and asyncio.run would wait for it.
    os._exit(0 if result.ok else 1)


async def _work(step: Step, request_dir: Path, workspace: Path) -> BuildReport:
    request = BuildRequest.model_validate_json((request_dir / REQUEST_FILE).read_bytes())
    context = workspace / "context"
    if step is Step.FETCH:
        resource.setrlimit(resource.RLIMIT_DATA, (_FETCH_MEMORY_BYTES, _FETCH_MEMORY_BYTES))
        await fetch(request, request_dir, context)
        return BuildReport(ok=True, step=step, reason="Fetched")
    if request.source.files is not None:
        try:
            await fetch(request, request_dir, context)
        except KeelwayError as error:
            return report.of_error(error, Step.FETCH, report.redactor(request_dir))
    with tempfile.TemporaryDirectory(prefix="keelway-") as scratch:
        paths = Paths(request_dir, context, Path(scratch))
        return await build(request, paths, report.redactor(request_dir))


async def _reported(work: Coroutine[None, None, BuildReport], step: Step, request_dir: Path) -> BuildReport:
    """The work's report, or the one for how it ended otherwise."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return report.interrupted(step)
    except KeelwayError as error:
        return report.of_error(error, step, _redactor(request_dir))
    except MemoryError:
        return report.out_of_memory(step)
    except Exception as error:
        redact = _redactor(request_dir)
        print(redact(traceback.format_exc()), file=sys.stderr, flush=True)
        return report.unexpected(error, step, redact)


def _redactor(request_dir: Path) -> Redactor:
    """One that knows nothing where the request itself cannot be read."""
    try:
        return report.redactor(request_dir)
    except (KeelwayError, OSError):
        return Redactor()


if __name__ == "__main__":
    main()
