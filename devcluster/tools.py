"""`kind` and `kubectl` in `settings.bin`, whichever way they came."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from devcluster import golang, store
from devcluster.catalogue import Catalogue
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.settings import Settings

# Which entry of [[go]] makes it.
PROGRAMS = {"kind": "kind", "kubectl": "kubernetes"}
BY_HAND = {
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
}


def ensure(settings: Settings, progress: Progress, catalogue: Catalogue, *, built: bool) -> None:
    """`built`: the cluster is made here, and so are its tools, in the same version. Else those in PATH come first.

    Raises DevclusterError where a tool is not there and cannot be built.
    """
    for program, made_by in PROGRAMS.items():
        found = None if built else installed(settings, program)
        if program == "kind" and found is not None and not new_enough(found, catalogue.go[made_by].packages[0]):
            progress.say(f"the kind in PATH is too old for {catalogue.node.reference}: another is compiled")
            found = None
        target = found or compiled(settings, progress, catalogue, program, made_by)
        store.link(target, settings.bin / program)


def installed(settings: Settings, program: str) -> Path | None:
    """The program in PATH, passing over our own link: the Makefile and what `up` prints put that one first."""
    ours = settings.bin.resolve()
    path = os.pathsep.join(entry for entry in os.get_exec_path() if Path(entry).resolve() != ours)
    found = shutil.which(program, path=path)
    return Path(found) if found else None


def new_enough(kind: Path, wanted: str) -> bool:
    """Whether this kind is at least the release `wanted` ("path@version"): an older one may not know newer nodes."""
    said = subprocess.run([kind, "version"], capture_output=True, text=True).stdout
    return release(said) >= release(wanted)


def release(text: str) -> tuple[int, ...]:
    """(0, 33, 0) of "kind v0.33.0 go1.26.6 linux/amd64"; () of a text without a release."""
    match = re.search(r"\bv(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(number) for number in match.groups()) if match else ()


def compiled(settings: Settings, progress: Progress, catalogue: Catalogue, program: str, made_by: str) -> Path:
    try:
        return golang.build(settings, progress, catalogue.go[made_by]) / program
    except DevclusterError as error:
        advice = f"Or install {program} so that it is in PATH: {BY_HAND[program]}"
        raise DevclusterError(f"{error.message}\n{advice}", error.log) from error
