"""kubectl as tests use it: bound to one cluster of ours, never to the kubeconfig of whoever runs the tests."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTEXT = "kind-keelway"

JsonObject = dict[str, Any]

_API_SERVER_AWAY_SECONDS = 90.0
_API_SERVER_AWAY = re.compile(
    "connection refused|was refused|connection reset|TLS handshake timeout|unexpected EOF|: EOF|client connection lost"
    "|currently unable to handle|i/o timeout|etcdserver|not yet been fully synchronized|context deadline exceeded"
    # A moment after its start the API server has not read its own rules yet.
    '|"kubernetes-admin" cannot|error validating data: unknown'
)


class KubectlError(AssertionError):
    """kubectl failed; the text is what it printed."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the given kubeconfig and context, always: those of a cluster that devcluster made."""

    kubeconfig: Path
    context: str = CONTEXT

    def run(
        self, *args: str, input: str | None = None, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs `kubectl <args>`, `timeout` in seconds. Raises KubectlError where it fails and `check` is set."""
        process = subprocess.run(
            self.command(*args), input=input, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and process.returncode != 0:
            raise KubectlError(f"{_shown(args)}\n{process.stdout}{process.stderr}")
        return process

    def command(self, *args: str) -> list[str]:
        """The whole command line, for a process of the test's own (port-forward, logs -f)."""
        elsewhere = [arg for arg in args if arg.startswith(("--context", "--kubeconfig", "--cluster", "--server="))]
        if elsewhere:
            raise KubectlError(f"{elsewhere}: tests speak to {self.context} only")
        return [self._program(), f"--kubeconfig={self.kubeconfig}", f"--context={self.context}", *args]

    def _program(self) -> str:
        found = shutil.which("kubectl", path=self.kubeconfig.parent / "bin") or shutil.which("kubectl")
        if found is None:
            raise KubectlError("kubectl is not installed. Run `make setup`.")
        return found

    def json(self, *args: str) -> Any:
        """What `kubectl <args> -o json` prints."""
        return json.loads(self.run(*args, "-o", "json").stdout)

    def apply(self, objects: JsonObject | Sequence[JsonObject], namespace: str | None = None) -> None:
        """Server-side apply of one object or several."""
        self._apply("-", namespace, input=_as_list(objects))

    def apply_path(self, path: Path, namespace: str | None = None) -> None:
        """Server-side apply of a file, or of all files of a directory."""
        self._apply(str(path), namespace)

    def must_answer(self) -> None:
        """Raises KubectlError, with the remedy, where the cluster does not answer."""
        if not self.kubeconfig.exists():
            raise KubectlError(f"no cluster: {self.kubeconfig} is not there. Run `make cluster`.")
        self.run("get", "--raw", "/readyz", timeout=30)

    def _apply(self, source: str, namespace: str | None, input: str | None = None) -> None:
        self.run("apply", "--server-side", "--force-conflicts", "-f", source, *_in(namespace), input=input)


@dataclass(frozen=True)
class PatientKubectl(Kubectl):
    """kubectl that asks again while the API server is away; what is asked must bear being done twice."""

    def run(
        self, *args: str, input: str | None = None, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """As Kubectl.run."""
        until = time.monotonic() + _API_SERVER_AWAY_SECONDS
        while True:
            done = super().run(*args, input=input, check=False, timeout=timeout)
            if done.returncode == 0:
                return done
            # `kubectl wait` says nothing at all when its watch breaks off.
            away = _API_SERVER_AWAY.search(done.stderr) or ("wait" in args[:2] and not done.stderr)
            if not away or time.monotonic() > until:
                break
            time.sleep(1)
        if check:
            raise KubectlError(f"{_shown(args)}\n{done.stdout}{done.stderr}")
        return done


def _shown(args: Sequence[str]) -> str:
    """The command line for a message: without the text of whole scripts."""
    return " ".join(["kubectl", *(arg if len(arg) < 200 else f"{arg[:200]!r}..." for arg in args)])


def _in(namespace: str | None) -> list[str]:
    return [f"--namespace={namespace}"] if namespace else []


def _as_list(objects: JsonObject | Sequence[JsonObject]) -> str:
    items = [objects] if isinstance(objects, Mapping) else list(objects)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
