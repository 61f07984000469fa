"""What each node is told after kind made it: its pod network, its way to the registry, its images.

Everything here is compared first, so that it can be done again at any time.
"""

import json
from pathlib import Path

from devcluster import images, shell
from devcluster.errors import DevclusterError
from devcluster.kind import kubectl, nodes
from devcluster.progress import Progress
from devcluster.settings import Registry, Settings

CONFLIST = "/etc/cni/net.d/10-keelway.conflist"
# What is imported carries the id that Docker knows it by, so that an unchanged image is not sent again.
ID_LABEL = "dev.keelway.docker-id"


def configure_network(settings: Settings, log: Path) -> None:
    """Give each node the CNI configuration of the pod range that kube-controller-manager gave it."""
    path = "jsonpath={range .items[*]}{.metadata.name}={.spec.podCIDR}{'\\n'}{end}"
    # A node gets its range a moment after it registered.
    shell.run(kubectl(settings, "wait", "--for=jsonpath={.spec.podCIDR}", "nodes", "--all", "--timeout=60s"), log)
    listed = shell.run(kubectl(settings, "get", "nodes", "-o", path), log)
    for line in listed.split():
        node, _, pod_range = line.partition("=")
        write_file(node, CONFLIST, conflist(pod_range), log)


def conflist(pod_range: str) -> str:
    """A CNI configuration (spec 1.0.0): a veth pair a pod, addresses from the node's own range, host ports."""
    ipam = {"type": "host-local", "dataDir": "/run/cni-ipam-state", "routes": [{"dst": "0.0.0.0/0"}]}
    pod = {"type": "ptp", "ipMasq": True, "ipam": {**ipam, "ranges": [[{"subnet": pod_range}]]}}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "keelway", "plugins": [pod, ports]}, indent=2) + "\n"


def configure_registry(settings: Settings, log: Path) -> None:
    """Let each node's containerd find the in-cluster registry, with its credential, so that pods need no Secret."""
    path = f"/etc/containerd/certs.d/{settings.registry.host}/hosts.toml"
    for node in nodes(settings, log):
        write_file(node, path, hosts_toml(settings.registry), log)


def hosts_toml(registry: Registry) -> str:
    """containerd's hosts.toml: the registry's name is only known in pods, its NodePort also on the node."""
    address = f"http://{registry.node_address}"
    return (
        f'server = "{address}"\n\n'
        f'[host."{address}"]\n'
        '  capabilities = ["pull", "resolve"]\n'
        f'  [host."{address}".header]\n'
        f'    Authorization = "Basic {registry.token}"\n'
    )


def write_file(node: str, path: str, content: str, log: Path) -> None:
    """Put a file on a node, whole or not at all: the CNI directory is watched."""
    script = 'mkdir -p "$(dirname "$1")" && cat > "$1.new" && mv "$1.new" "$1"'
    shell.run(["docker", "exec", "-i", node, "sh", "-c", script, "sh", path], log, text=content)


def load(settings: Settings, progress: Progress, references: list[str]) -> None:
    """Copy images from Docker into every node. Raises DevclusterError for one that Docker does not have."""
    progress.logs.mkdir(parents=True, exist_ok=True)
    log = progress.logs / "nodes.log"
    names = nodes(settings, log)
    if not names:
        raise DevclusterError("there is no cluster to load into. Run `python -m devcluster up`.")
    for node in names:
        there = loaded(node, log)
        for reference in references:
            identity = images.inspect(reference, "{{.Id}}")
            if identity is None:
                raise DevclusterError(f"Docker has no image {reference}. Build or pull it, then load it again.")
            if there.get(full_name(reference)) != identity:
                with progress.step(f"load {reference} into {node}") as step:
                    import_image(node, reference, identity, step.log)


def import_image(node: str, reference: str, identity: str, log: Path) -> None:
    ctr = ["docker", "exec", "-i", node, "ctr", "--namespace=k8s.io", "images"]
    shell.pipe(["docker", "save", reference], [*ctr, "import", "-"], log)
    shell.run([*ctr, "label", full_name(reference), f"{ID_LABEL}={identity}"], log)


def loaded(node: str, log: Path) -> dict[str, str]:
    """The images on a node that `load` brought: full name -> Docker's id of it."""
    listed = shell.run(["docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "ls"], log)
    return parse_images(listed)


def parse_images(listed: str) -> dict[str, str]:
    """From the table of `ctr images ls`: the name is the first column, the labels are the last."""
    found = {}
    for line in listed.splitlines()[1:]:
        name, *_, labels = line.split()
        for label in labels.split(","):
            key, _, value = label.partition("=")
            if key == ID_LABEL:
                found[name] = value
    return found


def full_name(reference: str) -> str:
    """The name containerd gives a reference: `registry:3` -> `docker.io/library/registry:3`."""
    name = reference if ":" in reference.rpartition("/")[2] or "@" in reference else f"{reference}:latest"
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"
