"""The build boundary (manifests/base/buildkit, builder/policy.py): a Dockerfile is hostile code, and gets nowhere.

Each test is a tenant's own Image, and what a step reached is told by the image that came of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.client import SCRIPTS, Client
from tests.e2e.commons import NAMESPACE as NEIGHBOUR
from tests.e2e.commons import REGISTRY
from tests.e2e.tenant import Tenant
from tests.kubectl import JsonObject, Kubectl

PROBE = (SCRIPTS / "probe.py").read_text()
BUILDKIT = "keelway-buildkit"


def image(name: str, dockerfile: str, files: Mapping[str, str] | None = None, **spec: Any) -> JsonObject:
    """An Image of these files."""
    inline = [{"name": "Dockerfile", "content": dockerfile}]
    inline += [{"name": path, "content": text} for path, text in (files or {}).items()]
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": name},
        "spec": {"source": {"inline": {"files": inline}}, **spec},
    }


@dataclass(frozen=True)
class Inside:
    """Addresses that every pod of the cluster reaches, and no build may: "host:port"."""

    api_server: str
    registry_service: str
    registry_pod: str
    node_port: str
    kubelet: str

    @classmethod
    def of(cls, kubectl: Kubectl) -> "Inside":
        service = kubectl.json("get", "service", "registry", "-n", "keelway-registry")
        registry = kubectl.json("get", "pods", "-n", "keelway-registry", "-l", "app.kubernetes.io/name=registry")
        node = kubectl.json("get", "nodes")["items"][0]["status"]["addresses"][0]["address"]
        api = kubectl.json("get", "service", "kubernetes", "-n", "default")
        return cls(
            api_server=f"{api['spec']['clusterIP']}:443",
            registry_service=f"{service['spec']['clusterIP']}:5000",
            registry_pod=f"{registry['items'][0]['status']['podIP']}:5000",
            node_port=f"{node}:{service['spec']['ports'][0]['nodePort']}",
            kubelet=f"{node}:10250",
        )

    def all(self) -> list[str]:
        # By address, and by name.
        return [*vars(self).values(), REGISTRY, "kubernetes.default.svc.cluster.local:443"]


@pytest.fixture
def inside(kubectl: Kubectl) -> Inside:
    return Inside.of(kubectl)


def told(tenant: Tenant, name: str, path: str) -> str:
    """A file of the image that the Image built, as a pod prints it."""
    reference = tenant.get(f"image/{name}")["status"]["latest"]["reference"]
    tenant.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"tell-{name}"},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "tell",
                        "image": reference,
                        "command": ["cat", path],
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        }
    )
    tenant.wait(f"pod/tell-{name}", "jsonpath={.status.phase}=Succeeded")
    return tenant.run("logs", f"tell-{name}")


def in_pod(tenant: Tenant, pod: str, *command: str) -> str:
    """What a command prints in a pod of the tenant's."""
    return tenant.kubectl.run("exec", pod, f"--namespace={tenant.namespace}", "--", *command).stdout


def test_a_run_step_reaches_the_internet_and_nothing_inside(
    tenant: Tenant, client: Client, kubectl: Kubectl, inside: Inside
) -> None:
    daemons = kubectl.json("get", "pods", "-n", BUILDKIT, "-l", "app.kubernetes.io/name=buildkitd")["items"]
    daemon = [f"{pod['status']['podIP']}:1234" for pod in daemons]
    # The bridge's own address, the clouds' metadata service, the step's loopback.
    special = ["198.18.0.1:1234", "169.254.169.254:80", "127.0.0.1:1234"]
    targets = [*inside.all(), *daemon, *special]
    dockerfile = tenant.dockerfile(
        # Outside: a package index, by its ordinary client.
        "RUN pip download --no-cache-dir --no-deps --dest /downloaded six",
        "COPY probe.py /",
        f"RUN python3 /probe.py {' '.join(targets)} > /told",
        "USER 1000",
    )
    tenant.apply(image("probe", dockerfile, {"probe.py": PROBE}))
    tenant.wait("image/probe")

    assert json.loads(told(tenant, "probe", "/told"))["open"] == []
    # The probe can tell: any other pod finds them open.
    said = in_pod(client.commons, "client", "python", "-c", PROBE, *inside.all())
    assert json.loads(said)["shut"] == []


LISTENER = """
import json, socket, time
began = time.time()
server = socket.create_server(("0.0.0.0", 8000))
server.settimeout(0.5)
met = []
while time.time() < began + 20:
    try:
        met.append(server.accept()[1][0])
    except TimeoutError:
        pass
print(json.dumps({"began": began, "ended": time.time(), "met": met}))
"""

CALLER = """
import ipaddress, json, socket, time
from concurrent.futures import ThreadPoolExecutor
began = time.time()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
    way.connect(("192.0.2.1", 9))
    mine = ipaddress.ip_address(way.getsockname()[0])

def answers(address):
    try:
        socket.create_connection((str(address), 8000), 1).close()
        return True
    except OSError:
        return False

# Addresses are given out in order: whoever runs at the same time has one nearby.
steps = ipaddress.ip_network("198.18.0.0/16")
near = [mine + away for away in range(-60, 61) if away and mine + away in steps]
met = set()
with ThreadPoolExecutor(len(near)) as callers:
    while time.time() < began + 15:
        met |= {str(address) for address, found in zip(near, callers.map(answers, near)) if found}
print(json.dumps({"began": began, "ended": time.time(), "met": sorted(met)}))
"""


def test_steps_that_run_at_once_do_not_reach_each_other(tenant: Tenant) -> None:
    # BuildKit runs stages that do not need each other at the same time, as it does the steps of two builds.
    anew = f"RUN echo {tenant.namespace} > /etc/built-for\n"
    dockerfile = (
        f"FROM python:3.11-slim AS listener\n{anew}COPY listener.py /\nRUN python3 /listener.py > /told\n"
        f"FROM python:3.11-slim AS caller\n{anew}COPY caller.py /\nRUN python3 /caller.py > /told\n"
        "FROM python:3.11-slim\nCOPY --from=listener /told /listener\nCOPY --from=caller /told /caller\n"
        "RUN cat /listener /caller > /told\nUSER 1000\n"
    )
    tenant.apply(image("neighbours", dockerfile, {"listener.py": LISTENER, "caller.py": CALLER}))
    tenant.wait("image/neighbours")

    listener, caller = (json.loads(line) for line in told(tenant, "neighbours", "/told").splitlines())
    assert caller["began"] < listener["ended"], "they ran at once"
    assert listener["began"] < caller["ended"], "they ran at once"
    assert (listener["met"], caller["met"]) == ([], [])


# What a Dockerfile may not do, and the reason and words that its Image answers with.
REFUSED = {
    "add-from-the-api-server": (
        "FROM scratch\nADD https://{inside.api_server}/version /\n",
        "PolicyDenied",
        "{inside.api_server}",
    ),
    "add-from-the-registry": (f"FROM scratch\nADD http://{REGISTRY}/v2/ /\n", "PolicyDenied", REGISTRY),
    "add-from-the-metadata-service": (
        "FROM scratch\nADD http://169.254.169.254/latest/meta-data/ /\n",
        "PolicyDenied",
        "169.254.169.254",
    ),
    "from-the-nodes-port": ("FROM {inside.node_port}/{neighbour}/web:v1\n", "PolicyDenied", "{inside.node_port}"),
    "from-a-neighbour": (f"FROM {REGISTRY}/{{neighbour}}/web:v1\n", "PolicyDenied", "{neighbour}/web"),
    "copy-from-a-neighbour": (
        f"FROM scratch\nCOPY --from={REGISTRY}/{{neighbour}}/web:v1 / /\n",
        "PolicyDenied",
        "{neighbour}/web",
    ),
    "mount-from-a-neighbour": (
        f"FROM python:3.11-slim\nRUN --mount=from={REGISTRY}/{{neighbour}}/web:v1,target=/x ls /x\n",
        "PolicyDenied",
        "{neighbour}/web",
    ),
    "from-a-neighbour-through-the-mirror": ("FROM {neighbour}/web:v1\n", "BaseImageNotFound", "{neighbour}/web"),
    "a-foreign-frontend": (f"# syntax={REGISTRY}/{{neighbour}}/web:v1\nFROM scratch\n", "BuildFailed", "gateway"),
    "a-frontend-of-the-api-server": (
        "# syntax={inside.api_server}/front/end\nFROM scratch\n",
        "BuildFailed",
        "gateway",
    ),
    "from-the-api-server": ("FROM {inside.api_server}/x/y\n", "PolicyDenied", "{inside.api_server}"),
    "copy-from-the-metadata-service": (
        "FROM scratch\nCOPY --from=169.254.169.254/x/y / /\n",
        "PolicyDenied",
        "169.254.169.254",
    ),
    "add-a-repository-of-the-node": (
        "FROM scratch\nADD https://{inside.kubelet}/x/y.git /\n",
        "PolicyDenied",
        "{inside.kubelet}",
    ),
    "the-daemons-network": ("FROM python:3.11-slim\nRUN --network=host true\n", "BuildFailed", "network.host"),
    "all-privileges": ("FROM python:3.11-slim\nRUN --security=insecure true\n", "BuildFailed", "security.insecure"),
}


@pytest.mark.usefixtures("web")  # the neighbour's image, which is there to be read
@pytest.mark.parametrize("what", REFUSED)
def test_a_dockerfile_is_refused(what: str, tenant: Tenant, inside: Inside) -> None:
    dockerfile, reason, words = (part.format(inside=inside, neighbour=NEIGHBOUR) for part in REFUSED[what])
    tenant.apply(image("hostile", dockerfile))

    build = tenant.wait_for_build("hostile-1", "condition=Succeeded=False")

    told = {one["type"]: one for one in build["status"]["conditions"]}["Succeeded"]
    assert told["reason"] == reason, told
    assert words in told["message"]


def test_the_daemon_itself_fetches_nothing_from_inside(kubectl: Kubectl, inside: Inside) -> None:
    """Where the source policy sees nothing wrong: a name of the internet, say, that leads to an address inside."""
    # Its words go to the standard output: on the other, "connection refused" would be the API server's (patience.py).
    build = (
        "mkdir -p /tmp/context && cd /tmp/context && cat > Dockerfile && "
        "buildctl build --frontend dockerfile.v0 --local context=. --local dockerfile=. 2>&1"
    )
    api_server = "kubernetes.default.svc:443"
    addresses = [inside.registry_pod, inside.node_port, inside.kubelet, "169.254.169.254:80"]
    for target, address in [*zip(addresses, addresses, strict=True), (api_server, inside.api_server)]:
        done = kubectl.run(
            *("exec", "-i", "-n", BUILDKIT, "buildkitd-0", "-c", "buildkitd", "--", "sh", "-c", build),
            input=f"FROM scratch\nADD http://{target}/v2/ /\n",
            check=False,
        )
        assert done.returncode != 0
        assert f"dial tcp {address}: connect: connection refused" in done.stdout


def test_buildkitd_answers_nobody_without_a_certificate(client: Client, kubectl: Kubectl) -> None:
    handshake = (
        "import socket, ssl, sys\n"
        "context = ssl.create_default_context()\n"
        "context.check_hostname, context.verify_mode = False, ssl.CERT_NONE\n"
        "raw = socket.create_connection((sys.argv[1], 1234), 10)\n"
        "try:\n"
        "    with context.wrap_socket(raw) as tls:\n"
        "        tls.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes(9))\n"
        "        print(len(tls.recv(100)))\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    name = f"buildkitd-0.buildkitd.{BUILDKIT}.svc"
    said = in_pod(client.commons, "client", "python", "-c", handshake, name)
    assert "certificate required" in said.lower()
