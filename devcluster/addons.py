"""What `up` changes in the cluster itself.

metrics-server, for `kubectl top` and HorizontalPodAutoscalers; and one CoreDNS, for two on one node share its fate
and ask for twice the CPU.
"""

from pathlib import Path

from devcluster import shell
from devcluster.kind import kubectl
from devcluster.settings import PACKAGE, Settings


def apply(settings: Settings, log: Path) -> None:
    manifest = PACKAGE / "manifests" / "metrics-server.yaml"
    command = ["apply", "--server-side", "--force-conflicts", "--field-manager=devcluster", "-f", str(manifest)]
    shell.run(kubectl(settings, *command), log)
    shell.run(kubectl(settings, "-n", "kube-system", "scale", "deployment/coredns", "--replicas=1"), log)
