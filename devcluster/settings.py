"""Where everything is and what it is called. Made once in `__main__` and passed on.

A cluster is one of `PURPOSES`, each with a name of ours: whatever touches a cluster names `context` and `kubeconfig`
from here, so nothing can reach a cluster of somebody else.
"""

import base64
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parent
REPOSITORY = PACKAGE.parent

# What clusters there may be: one to develop and test on, one for `make bench`, two for `make faults`. Each maps its
# registry to a port of its own, so that they can run side by side.
PURPOSES = {"dev": 30500, "bench": 30501, "faults": 30502, "faults-2": 30503}

# The names by which Go and OCI know an architecture.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Registry:
    """The registry that `manifests/dev` deploys, as the nodes and this machine see it."""

    host: str = "registry.keelway-registry:5000"
    node_port: int = 30500
    host_port: int = PURPOSES["dev"]
    username: str = "keelway"
    password: str = "keelway-dev"

    @property
    def node_address(self) -> str:
        """The NodePort, on each node."""
        return f"127.0.0.1:{self.node_port}"

    @property
    def local_address(self) -> str:
        """The same on this machine, by kind's port mapping."""
        return f"127.0.0.1:{self.host_port}"

    @property
    def token(self) -> str:
        """The credential of an HTTP `Authorization: Basic` header (RFC 7617)."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Settings:
    cache: Path
    state: Path
    purpose: str = "dev"
    registry: Registry = field(default_factory=Registry)

    @property
    def cluster(self) -> str:
        return "keelway" if self.purpose == "dev" else f"keelway-{self.purpose}"

    @property
    def context(self) -> str:
        return f"kind-{self.cluster}"

    @property
    def kubeconfig(self) -> Path:
        return self.state / ("kubeconfig" if self.purpose == "dev" else f"kubeconfig-{self.purpose}")

    @property
    def bin(self) -> Path:
        """Where `kind` and `kubectl` are to be found, whichever way they came."""
        return self.state / "bin"

    @property
    def logs(self) -> Path:
        return self.cache / "logs"


def from_environment(purpose: str = "dev") -> Settings:
    """The cache is shared by all checkouts of one user; the state belongs to this checkout.

    Raises KeyError for a purpose that is none of `PURPOSES`.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    registry = Registry(host_port=PURPOSES[purpose])
    return Settings(Path(base) / "keelway-devcluster", REPOSITORY / ".keelway", purpose, registry)


def architecture() -> str:
    machine = platform.machine().lower()
    return ARCHITECTURES.get(machine, machine)
