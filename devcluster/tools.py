"""`kind` and `kubectl` in `settings.bin`, whichever way they came."""

import shutil
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
        in_path = None if built else shutil.which(program)
        target = Path(in_path) if in_path else compiled(settings, progress, catalogue, program, made_by)
        store.link(target, settings.bin / program)


def compiled(settings: Settings, progress: Progress, catalogue: Catalogue, program: str, made_by: str) -> Path:
    try:
        return golang.build(settings, progress, catalogue.go[made_by]) / program
    except DevclusterError as error:
        advice = f"Or install {program} so that it is in PATH: {BY_HAND[program]}"
        raise DevclusterError(f"{error.message}\n{advice}", error.log) from error
