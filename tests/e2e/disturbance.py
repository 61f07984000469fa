"""Tests that break what all tests share, and tests that cannot bear it, kept apart across pytest's processes.

Any number may be `undisturbed` at once; one may be `disturbing`, and then alone. All other tests take no part: their
deadlines outlast a disturbance.
"""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import node
from tests.e2e.patience import eventually
from tests.kubectl import JsonObject, Kubectl

SYSTEM = "keelway-system"
_KILL_OPERATOR = """
for process in $(pgrep -f '^python -m keelway$'); do
  if grep -qz "^KEELWAY_POD_NAME=$0$" "/proc/$process/environ"; then kill -KILL "$process"; exit; fi
done
exit 1
"""
BUILDKIT = "keelway-buildkit"


@dataclass(frozen=True)
class Peace:
    """A readers-writer lock on files, and what there is to disturb."""

    kubectl: Kubectl

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While nobody disturbs; waits for whoever does, or has asked to."""
        with ExitStack() as held:
            # Whoever comes after a waiting disturber waits in the queue behind it: flock itself is not fair.
            with self._locked("queue", fcntl.LOCK_SH):
                held.enter_context(self._locked("peace", fcntl.LOCK_SH))
            yield

    @contextmanager
    def disturbing(self) -> Iterator[None]:
        """While nobody else relies on the operator; at the end all of it is whole again."""
        with self._locked("queue", fcntl.LOCK_EX), self._locked("peace", fcntl.LOCK_EX):
            try:
                yield
            finally:
                self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Until both operator replicas and BuildKit are ready, and one replica leads."""
        self.kubectl.run("scale", "deployment/keelway", "-n", SYSTEM, "--replicas=2")
        self.kubectl.run("rollout", "status", "deployment/keelway", "-n", SYSTEM, "--timeout=120s", timeout=150)
        self.kubectl.run("rollout", "status", "statefulset/buildkitd", "-n", BUILDKIT, "--timeout=120s", timeout=150)
        eventually("a replica of the operator leads", self.leader, 60)

    def leader(self) -> str | None:
        """Name of the operator's pod that holds the lease, if it is alive."""
        holder = self.lease()["spec"].get("holderIdentity") or ""
        return next((name for name in self.operators() if name in holder), None)

    def lease(self) -> JsonObject:
        """The lease of the operator's leader."""
        found: JsonObject = self.kubectl.json("get", "lease/keelway", "-n", SYSTEM)
        return found

    def operators(self) -> list[str]:
        """Names of the operator's pods that are not going away."""
        pods = self.kubectl.json("get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator")["items"]
        return [one["metadata"]["name"] for one in pods if "deletionTimestamp" not in one["metadata"]]

    def kill_operator(self, pod: str) -> None:
        """As when its node is lost: no signal that could be heard, and the pod does not come back by its name."""
        node.run("sh", "-c", _KILL_OPERATOR, pod)
        self.kubectl.run("delete", "pod", pod, "-n", SYSTEM, "--grace-period=0", "--force", "--ignore-not-found")

    def kill_buildkitd(self) -> None:
        """As when its memory ran out: the kubelet starts the container again, in the same pod."""
        node.run("sh", "-c", "kill -KILL $(pgrep -x buildkitd)")

    def kill_api_server(self) -> None:
        """The same; the kubelet starts it again."""
        node.run("sh", "-c", "kill -KILL $(pgrep -x kube-apiserver)")

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        # Not in the checkout: there is one dev cluster on a machine, whichever checkout its tests are run from.
        with (Path(tempfile.gettempdir()) / f"keelway-e2e-{name}.lock").open("w") as file:
            fcntl.flock(file, how)
            yield
