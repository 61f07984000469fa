"""The operator as a process of this machine, with the rights of its own service account: `make bench`, `make faults`.

It runs what is checked out, may be killed at any moment, and may be shown another API server than the real one (a
proxy). The cluster has everything that `manifests/` installs but the operator's own pods.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devcluster import shell
from devcluster.errors import DevclusterError
from devcluster.kind import kubectl, run_kubectl
from devcluster.settings import REPOSITORY, Settings

SYSTEM = "keelway-system"
CONTEXT = "outside"
TOKEN_HOURS = 8
START_SECONDS = 60
# No proxy of the environment is asked for 127.0.0.1.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def install(settings: Settings, log: Path, manifests: str = "outside") -> None:
    """Put manifests/<manifests> into the cluster, but run no operator there."""
    source = str(REPOSITORY / "manifests" / manifests)
    run_kubectl(settings, log, "apply", "--server-side", "--force-conflicts", "-k", source)
    run_kubectl(settings, log, "-n", SYSTEM, "scale", "deployment/keelway", "--replicas=0")
    run_kubectl(settings, log, "-n", SYSTEM, "wait", "pods", "--all", "--for=delete", "--timeout=60s")


def write_kubeconfig(settings: Settings, path: Path, log: Path, server: str | None = None) -> None:
    """A kubeconfig of the operator's service account, at `path`; `server` is a URL in the real API server's place."""
    account = ["-n", SYSTEM, "create", "token", "keelway", f"--duration={TOKEN_HOURS}h"]
    token = shell.run(kubectl(settings, *account), log).strip()
    shown = shell.run(kubectl(settings, "config", "view", "--raw", "--minify", "-o", "json"), log)
    cluster = json.loads(shown)["clusters"][0]["cluster"]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server} if server else cluster}],
        "users": [{"name": CONTEXT, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    }
    path.write_text(json.dumps(document))
    path.chmod(0o600)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Operator:
    """One replica: `start`, then `stop`, `kill` or `freeze`. Its output goes to `log`; `port` serves its probes."""

    settings: Settings
    kubeconfig: Path
    log: Path
    identity: str = "outside-0"
    environment: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (sys.executable, "-m", "keelway")
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns at once. `wait_until_leading` waits."""
        if self.running:
            raise DevclusterError(f"the operator {self.identity} runs already, as process {self.pid}.")
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.program, env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def _environment(self) -> dict[str, str]:
        registry = self.settings.registry
        ours = {
            "KEELWAY_CONTEXT": CONTEXT,
            "KEELWAY_KUBECONFIG": str(self.kubeconfig),
            "KEELWAY_POD_NAME": self.identity,
            "KEELWAY_PORT": str(self.port),
            "KEELWAY_REGISTRY": registry.host,
            "KEELWAY_REGISTRY_INSECURE": "true",
            "KEELWAY_REGISTRY_ENDPOINT": registry.local_address,
            "KEELWAY_REGISTRY_CONFIG": str(REPOSITORY / "manifests" / "dev" / "registry-credential.json"),
            "KEELWAY_ALLOWED_NETWORKS": "10.244.0.0/16,10.96.0.0/12",
            "KEELWAY_REGISTRY_MIRRORS": f"docker.io={registry.host}/docker.io",
        }
        return {**os.environ, **ours, **self.environment}

    @property
    def pid(self) -> int:
        """Its process id. Raises DevclusterError where it was never started."""
        if self._process is None:
            raise DevclusterError(f"the operator {self.identity} was not started.")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, seconds: float = 30) -> int:
        """Ask it to end, and wait for that: its exit status. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop its clockwork; `thaw` lets it go on."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def metrics(self) -> dict[str, float]:
        """What /metrics says, by the sample's text (`keelway_leader`); empty where it does not answer."""
        try:
            with _DIRECT.open(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except (urllib.error.URLError, OSError):
            return {}
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def wait_until_leading(self, seconds: float = START_SECONDS) -> None:
        """Raises DevclusterError where it ends, or does not lead in time."""
        deadline = time.monotonic() + seconds
        while self.metrics().get("keelway_leader") != 1.0:
            if not self.running:
                raise DevclusterError(f"the operator {self.identity} ended. Its log says why.", self.log)
            if time.monotonic() > deadline:
                raise DevclusterError(f"the operator {self.identity} does not lead after {seconds} s.", self.log)
            time.sleep(0.05)

    def memory(self) -> int:
        """Its resident memory in bytes (proc(5), VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(one for one in status.splitlines() if one.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def cpu(self) -> float:
        """Seconds of CPU that it has used (proc(5), utime and stime)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
