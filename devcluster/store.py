"""Finished work in the cache, found by what it was made from.

A product is a directory named by a key over all of its inputs. It is made under a temporary name and renamed when
complete, so an interruption at any point leaves either nothing or the whole.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEY_LENGTH = 20


def key(*inputs: Any) -> str:
    """A name for these inputs, which must be JSON or Path (its content counts)."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=content).encode()).hexdigest()[:KEY_LENGTH]


def content(path: Any) -> str:
    return digest(Path(path))


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def product(parent: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The directory parent/name, filled by `make` unless it is there. Leftovers of interrupted runs are removed.

    Of several processes that want it at once, one makes it and the others wait.
    """
    finished = parent / name
    if finished.is_dir():
        return finished
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / f".lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.is_dir():
            _make(finished, make)
    return finished


def _make(finished: Path, make: Callable[[Path], None]) -> None:
    for leftover in finished.parent.glob(f".{finished.name}.*"):
        shutil.rmtree(leftover)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{finished.name}.", dir=finished.parent))
    unfinished.chmod(0o755)
    make(unfinished)
    unfinished.rename(finished)


def link(target: Path, name: Path) -> None:
    """Make `name` a symbolic link to `target`, whatever it was."""
    name.parent.mkdir(parents=True, exist_ok=True)
    temporary = name.with_name(f".{name.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(name)
