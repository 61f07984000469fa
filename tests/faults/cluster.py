"""The kind clusters of `make faults`, with everything but the operator in them. One run of pytest has them at a time.

Most faults are waited for, so two workers of pytest get on nearly twice as fast, each with a cluster of its own.
"""

import base64
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster import settings as devcluster_settings
from devcluster.outside import SYSTEM, Operator, write_kubeconfig
from devcluster.settings import REPOSITORY, Settings
from tests.faults.api import Api
from tests.faults.proxy import Proxy, Upstream
from tests.kubectl import Kubectl, PatientKubectl

_CLUSTERS = {"gw1": "faults-2"}
"""The second worker's; the first, and a pytest without workers, have `faults`."""
IDENTITY = "faults-0"
BUILDKIT = "keelway-buildkit"


@dataclass(frozen=True)
class Cluster:
    """The cluster, and `directory` for kubeconfigs and logs of this run."""

    settings: Settings
    kubectl: Kubectl
    api: Api
    directory: Path

    def proxy(self) -> Proxy:
        """A new way to the API server, to be started."""
        return Proxy(Upstream(self.api.url, self.api.tls_as_anybody))

    def operator(
        self, proxy: Proxy, identity: str = IDENTITY, wrapper: Sequence[str] = (), **environment: str
    ) -> Operator:
        """An operator behind that proxy, to be started; its log is `<identity>.log`. `wrapper`: a program of this
        directory, with its arguments, that runs it."""
        kubeconfig = self.directory / f"kubeconfig-{identity}"
        write_kubeconfig(self.settings, kubeconfig, self.directory / "kubectl.log", proxy.url)
        operator = Operator(self.settings, kubeconfig, self.directory / f"{identity}.log", identity, environment)
        if wrapper:
            script, *arguments = wrapper
            operator.program = (sys.executable, str(Path(__file__).parent / script), *arguments)
        return operator

    def authority(self) -> str:
        """The certificate, PEM, by which the API server is known."""
        shown = json.loads(self.kubectl.run("config", "view", "--raw", "--minify", "-o", "json").stdout)
        return base64.b64decode(shown["clusters"][0]["cluster"]["certificate-authority-data"]).decode()

    def token(self, *arguments: str) -> str:
        """A new token of the operator's service account."""
        return self.kubectl.run("-n", SYSTEM, "create", "token", "keelway", *arguments).stdout.strip()

    def node(self, *command: str, seconds: float = 60, check: bool = True) -> str:
        """What a command on the cluster's node prints."""
        container = f"{self.settings.cluster}-control-plane"
        done = subprocess.run(
            ["docker", "exec", container, *command], capture_output=True, text=True, timeout=seconds, check=False
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def opened(directory: Path, worker: str) -> Iterator[Cluster]:
    """A worker's cluster, up and filled, for this run alone: others wait."""
    settings = devcluster_settings.from_environment(_CLUSTERS.get(worker, "faults"))
    with _alone(settings):
        begun = time.monotonic()
        _devcluster(settings, "up")
        _devcluster(settings, "prepare")
        kubectl = PatientKubectl(settings.kubeconfig, settings.context)
        print(f"\nthe cluster {settings.context} is ready after {time.monotonic() - begun:.0f} s", file=sys.stderr)
        try:
            yield Cluster(settings, kubectl, Api.of(kubectl), directory)
        finally:
            # `make test` goes on with another cluster, which wants the processors.
            _devcluster(settings, "pause")


def _devcluster(settings: Settings, verb: str) -> None:
    command = [sys.executable, "-m", "devcluster", "--cluster", settings.purpose, verb]
    done = subprocess.run(command, cwd=REPOSITORY, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, f"devcluster {verb}: {done.stderr[-4000:]}"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    settings.cache.mkdir(parents=True, exist_ok=True)
    with (settings.cache / f"{settings.purpose}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
