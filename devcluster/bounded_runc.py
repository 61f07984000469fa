"""runc, but without the capabilities that this machine lacks. `engine` registers it with dockerd as a runtime.

Called by containerd's shim exactly as runc is. The container's wishes are in two files: `config.json` of the bundle
(`create`, `run`) and the one after `--process` (`exec`). Both lose the missing capabilities, then runc takes over.
Stands alone (no import of the package): dockerd starts it from the cache directory, with the capabilities to drop
in KEELWAY_DROP_CAPABILITIES.
"""

import json
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any


def without(process: dict[str, Any], dropped: Collection[str]) -> dict[str, Any]:
    """An OCI `process` object whose capability sets name none of `dropped`."""
    sets = process.get("capabilities") or {}
    kept = {kind: [name for name in names if name not in dropped] for kind, names in sets.items()}
    return {**process, "capabilities": kept}


def value_of(arguments: Sequence[str], *flags: str) -> str | None:
    """The value of a flag, given as `--flag value` or `--flag=value`."""
    for position, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in flags:
            return value if equals else arguments[position + 1]
    return None


def rewrite(arguments: Sequence[str], dropped: Collection[str]) -> None:
    if "create" in arguments or "run" in arguments:
        path = Path(value_of(arguments, "--bundle", "-b") or ".") / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "process": without(config["process"], dropped)}))
        return
    process = value_of(arguments, "--process", "-p") if "exec" in arguments else None
    if process is not None:
        path = Path(process)
        path.write_text(json.dumps(without(json.loads(path.read_text()), dropped)))


if __name__ == "__main__":
    rewrite(sys.argv[1:], os.environ["KEELWAY_DROP_CAPABILITIES"].split(","))
    os.execvp("runc", ["runc", *sys.argv[1:]])
