"""The kind cluster: created, found healthy or not, deleted. Always the one of `settings`, never another."""

import json
import time
from pathlib import Path

from devcluster import control_plane, shell
from devcluster.errors import DevclusterError
from devcluster.progress import Progress, Step
from devcluster.settings import Settings

# How long an API server may take to answer on a node that was started again.
REVIVAL_SECONDS = 60
READY_SECONDS = 180
# What `control_plane.py` wrote for the control plane, on the node.
CONTROL_PLANE = "/kind/keelway"
HOST_RESOLV_CONF = "/kind/resolv.conf"
# systemd-resolved keeps the addresses behind its local stub here (systemd-resolved.service(8)).
RESOLVED = Path("/run/systemd/resolve/resolv.conf")


def kubectl(settings: Settings, *arguments: str) -> list[str]:
    """A kubectl command bound to this cluster: every call of kubectl goes through here."""
    return [
        str(settings.bin / "kubectl"),
        f"--kubeconfig={settings.kubeconfig}",
        f"--context={settings.context}",
        *arguments,
    ]


def run_kubectl(settings: Settings, log: Path, *arguments: str) -> str:
    return shell.run(kubectl(settings, *arguments), log)


def nodes(settings: Settings, log: Path) -> list[str]:
    """The node containers of this cluster, running or not."""
    label = f"label=io.x-k8s.kind.cluster={settings.cluster}"
    listed = shell.run(["docker", "ps", "--all", "--filter", label, "--format", "{{.Names}}"], log)
    return sorted(listed.split())


def complete(settings: Settings, log: Path) -> bool:
    """Whether the cluster is one that `create` finished, of today's control plane. An interrupted one may answer, and
    lack its addons."""
    marker = completion_marker(settings)
    return marker.exists() and marker.read_text() == completion(settings, log)


def completion(settings: Settings, log: Path) -> str:
    return f"{control_plane.version(settings)} {container_ids(settings, log)}"


def container_ids(settings: Settings, log: Path) -> str:
    return shell.run(["docker", "inspect", "--format", "{{.Id}}", *nodes(settings, log)], log)


def completion_marker(settings: Settings) -> Path:
    return settings.cache / f"complete-{settings.cluster}"


def healthy(settings: Settings, log: Path) -> bool:
    """Whether the API server answers, and as the cluster that our kubeconfig knows."""
    if not settings.kubeconfig.exists():
        return False
    return shell.succeeds(kubectl(settings, "get", "--raw=/readyz", "--request-timeout=5s"), log, timeout=15)


def revive(settings: Settings, progress: Progress, step: Step) -> bool:
    """Start the nodes of a cluster that was stopped (with its dockerd, say) or paused. Whether it is healthy then."""
    names = nodes(settings, step.log)
    shell.succeeds(["docker", "unpause", *names], step.log, timeout=60)
    if not shell.succeeds(["docker", "start", *names], step.log, timeout=60):
        return False
    export_kubeconfig(settings, step.log)
    progress.say(f"the cluster is there and does not answer: waiting up to {REVIVAL_SECONDS} s for it")
    deadline = time.monotonic() + REVIVAL_SECONDS
    while time.monotonic() < deadline:
        if healthy(settings, step.log):
            return True
        time.sleep(1)
    return False


def pause(settings: Settings, log: Path) -> bool:
    """Freeze the nodes until `revive`, which `up` does too. Whether they are frozen."""
    names = nodes(settings, log)
    return bool(names) and shell.succeeds(["docker", "pause", *names], log, timeout=60)


def export_kubeconfig(settings: Settings, log: Path) -> None:
    """The API server's port on the host changes when a node is started again."""
    command = ["export", "kubeconfig", f"--name={settings.cluster}", f"--kubeconfig={settings.kubeconfig}"]
    shell.succeeds([settings.bin / "kind", *command], log)


def create(settings: Settings, image: str | None, configuration: str, log: Path) -> None:
    """`image` None takes the node image that this release of kind names."""
    delete(settings, log)
    settings.state.mkdir(parents=True, exist_ok=True)
    control_plane.write(settings)
    command = ["create", "cluster", f"--name={settings.cluster}", f"--kubeconfig={settings.kubeconfig}"]
    command += ["--config=-", *([f"--image={image}"] if image else [])]
    shell.run([settings.bin / "kind", *command], log, text=configuration)
    if not healthy(settings, log):
        raise DevclusterError("kind made the cluster, but its API server does not answer.")
    completion_marker(settings).write_text(completion(settings, log))


def delete(settings: Settings, log: Path) -> None:
    command = ["delete", "cluster", f"--name={settings.cluster}", f"--kubeconfig={settings.kubeconfig}"]
    shell.run([settings.bin / "kind", *command], log)


def configuration(settings: Settings, *, built: bool, resolv_conf: Path | None) -> str:
    """The configuration of `kind create cluster`, as JSON (which is YAML). `built`: the node image is ours."""
    kubeadm = {"kind": "InitConfiguration", "patches": {"directory": f"{CONTROL_PLANE}/patches"}}
    mounts: list[dict[str, object]] = [mount(control_plane.directory(settings), CONTROL_PLANE)]
    kubelet: dict[str, object] = {"kind": "KubeletConfiguration", "failCgroupV1": False}
    node: dict[str, object] = {
        "role": "control-plane",
        "extraPortMappings": [
            {
                "containerPort": settings.registry.node_port,
                "hostPort": settings.registry.host_port,
                "listenAddress": "127.0.0.1",
            }
        ],
        "extraMounts": mounts,
    }
    if built:
        kubelet["cgroupDriver"] = "cgroupfs"
    if built and resolv_conf is not None:
        kubelet["resolvConf"] = HOST_RESOLV_CONF
        mounts.append(mount(resolv_conf, HOST_RESOLV_CONF))
    return json.dumps(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"disableDefaultCNI": built, "kubeProxyMode": "iptables"},
            "nodes": [node],
            "kubeadmConfigPatches": [json.dumps(kubeadm), json.dumps(kubelet)],
        },
        indent=2,
    )


def mount(here: Path, there: str) -> dict[str, object]:
    return {"hostPath": str(here), "containerPath": there, "readOnly": True}


def usable_resolv_conf(candidates: dict[Path, str]) -> Path | None:
    """The first of these files that names a server which a pod can reach: not this machine's loopback.

    CoreDNS forwards to it. Docker's own 127.0.0.11 would send CoreDNS's questions back to CoreDNS.
    """
    for path, text in candidates.items():
        servers = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver ")]
        if servers and not any(server.startswith("127.") or server == "::1" for server in servers):
            return path
    return None


def host_resolv_conf() -> Path | None:
    files = [path for path in (Path("/etc/resolv.conf"), RESOLVED) if path.is_file()]
    return usable_resolv_conf({path: path.read_text() for path in files})


def wait_until_ready(settings: Settings, log: Path) -> None:
    """Returns when the nodes are Ready and what `up` deployed serves."""
    wait = f"--timeout={READY_SECONDS}s"
    shell.run(kubectl(settings, "wait", "--for=condition=Ready", "nodes", "--all", wait), log)
    for deployment in ("deployment/coredns", "deployment/metrics-server"):
        try:
            shell.run(kubectl(settings, "-n", "kube-system", "rollout", "status", deployment, wait), log)
        except DevclusterError:
            shell.succeeds(kubectl(settings, "-n", "kube-system", "describe", "pods"), log)
            raise
    # `kubectl top` answers when the aggregated API does.
    api = "apiservice/v1beta1.metrics.k8s.io"
    shell.run(kubectl(settings, "wait", "--for=condition=Available", api, wait), log)
