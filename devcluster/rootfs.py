"""Debian root file systems by mmdebstrap: the lowest layer of the images that need more than one program."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path

from devcluster import engine, layers, shell, store
from devcluster.catalogue import Root
from devcluster.errors import DevclusterError
from devcluster.layers import Layer
from devcluster.progress import Progress
from devcluster.settings import Settings, architecture

# mmdebstrap itself knows where a stable release, its updates and its security fixes are.
SUITE = "bookworm"
# What no container reads.
SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/doc/*/copyright",
)
NO_MMDEBSTRAP = (
    "no image can be pulled here, and making them needs root on a Debian machine with mmdebstrap. Either run this "
    "there, or let this machine reach the image registries."
)


def build(settings: Settings, progress: Progress, root: Root) -> Layer:
    name = f"{root.name}-{store.key(asdict(root), SUITE, SLIM, architecture())}"

    def make(directory: Path) -> None:
        need_mmdebstrap(progress)
        with progress.step(f"make the root file system {root.name}") as step:
            command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(root.packages)}"]
            command += [f"--dpkgopt={option}" for option in SLIM]
            command += [f"--customize-hook={hook}" for hook in root.hooks]
            shell.run([*command, SUITE, directory / "layer.tar"], step.log)
            layers.seal(directory)

    return Layer(store.product(settings.cache / "roots", name, make))


def need_mmdebstrap(progress: Progress) -> None:
    if shutil.which("mmdebstrap") and os.geteuid() == 0:
        return
    if not engine.can_start():
        raise DevclusterError(NO_MMDEBSTRAP)
    engine.install(progress, ("mmdebstrap",))
