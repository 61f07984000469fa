"""What the control plane of a cluster is told: kubeadm's patches, and what the API server writes into its audit log.

The files are copied from `controlplane/` to the cache, from where the node mounts them: it outlives this checkout.
"""

import shutil
from pathlib import Path

from devcluster import store
from devcluster.settings import PACKAGE, Settings

AUDIT_LOG = "/var/log/kubernetes/audit.log"
"""On the node: one audit.k8s.io/v1 Event a line, of what the operator's service account asked for."""
_SOURCE = PACKAGE / "controlplane"


def directory(settings: Settings) -> Path:
    return settings.cache / "control-plane" / settings.cluster


def sources(settings: Settings) -> dict[str, Path]:
    """The files by their path below `directory`: those of all clusters, and those of this purpose alone."""
    found = {"audit-policy.yaml": _SOURCE / "audit-policy.yaml"}
    for patches in (_SOURCE / "patches", _SOURCE / f"patches-{settings.purpose}"):
        found |= {f"patches/{file.name}": file for file in sorted(patches.glob("*.yaml"))}
    return found


def version(settings: Settings) -> str:
    """A key over all of it: a cluster of another key is made anew."""
    return store.key({path: file.read_text() for path, file in sources(settings).items()})


def write(settings: Settings) -> None:
    shutil.rmtree(directory(settings), ignore_errors=True)
    for path, file in sources(settings).items():
        target = directory(settings) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
