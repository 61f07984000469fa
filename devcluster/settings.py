"""Where everything is and what it is called. Made once in `__main__` and passed on.

The cluster's name is no option of the command line: whatever touches a cluster names `context` and `kubeconfig`
from here, so nothing can reach a cluster of somebody else.
"""

import base64
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).parent
REPOSITORY = PACKAGE.parent

# The names by which Go and OCI know an architecture.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Registry:
    """The registry that `manifests/dev` deploys, as the nodes and this machine see it."""

    host: str = "registry.keelway-registry:5000"
    node_port: int = 30500
    username: str = "keelway"
    password: str = "keelway-dev"

    @property
    def local_address(self) -> str:
        """The NodePort: on each node, and by kind's port mapping on this machine."""
        return f"127.0.0.1:{self.node_port}"

    @property
    def token(self) -> str:
        """The credential of an HTTP `Authorization: Basic` header (RFC 7617)."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Settings:
    cache: Path
    state: Path
    cluster: str = "keelway"
    registry: Registry = field(default_factory=Registry)

    @property
    def context(self) -> str:
        return f"kind-{self.cluster}"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def bin(self) -> Path:
        """Where `kind` and `kubectl` are to be found, whichever way they came."""
        return self.state / "bin"

    @property
    def logs(self) -> Path:
        return self.cache / "logs"


def from_environment() -> Settings:
    """The cache is shared by all checkouts of one user; the state belongs to this checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Settings(cache=Path(base) / "keelway-devcluster", state=REPOSITORY / ".keelway")


def architecture() -> str:
    machine = platform.machine().lower()
    return ARCHITECTURES.get(machine, machine)
