"""An App of an image reference: what runs for it, how it is secured, and what its status says."""

from pathlib import Path
from typing import Any

from devcluster.nodes import hosts_toml, write_file
from devcluster.settings import Registry
from tests.conftest import ROOT
from tests.e2e import node
from tests.e2e.client import Client
from tests.e2e.commons import REGISTRY, SMALL, Web
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant


def test_an_app_runs_its_image_by_digest_behind_a_service(tenant: Tenant, client: Client, web: Web) -> None:
    # The image is of another namespace, whose own the operator's credentials are for: so the App brings its own.
    login = (ROOT / "manifests" / "dev" / "registry-credential.json").read_text()
    tenant.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "pull"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": login},
        },
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "App",
            "metadata": {"name": "web", "labels": {"argocd.argoproj.io/instance": "mine"}},
            "spec": {
                "image": {"reference": web.tagged},
                "pullSecrets": [{"name": "pull"}],
                "args": ["python", "/web.py", "--quiet"],
                "env": [{"name": "ANSWER", "value": "from the environment"}],
                "envFrom": [{"configMapRef": {"name": "web-settings"}}],
                "ports": [{"name": "http", "port": 8080, "servicePort": 80}],
                "replicas": 2,
                "podTemplate": {"labels": {"team": "blue"}, "annotations": {"example.com/note": "hi"}},
            },
        },
    )
    told = tenant.wait_for_reason("app/web", "ContainerConfigError")
    assert "web-settings" in told["message"], "the cause"
    assert "Create the Secret, ConfigMap or key" in told["message"], "the remedy"

    settings = {"COLOR": "red"}
    tenant.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-settings"}, "data": settings})
    tenant.wait("app/web")

    whoami = client.get("http://web/whoami").json()
    assert client.get("http://web/").text == "from the environment"
    assert whoami["env"]["COLOR"] == "red"
    assert whoami["arguments"] == ["--quiet"]
    assert whoami["uid"] == 1000
    assert whoami["token"] is False, "no service account token in the pod"
    status = tenant.get("app/web")["status"]
    assert status["image"] == web.reference, "a tag is resolved to its digest"
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["url"] == f"http://web.{tenant.namespace}.svc"
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Available": "True",
        "ImageReady": "True",
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
    }


def test_children_carry_the_standard_labels_and_their_owner(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app(web.reference, autoscale={"maxReplicas": 2}, labels={"team": "blue"}, resources=None))
    tenant.wait("app/web")

    app = tenant.get("app/web")
    for child in (tenant.get(f"{kind}/web") for kind in ("deployment", "service", "hpa")):
        labels, owner = child["metadata"]["labels"], child["metadata"]["ownerReferences"]
        assert labels["app.kubernetes.io/name"] == "web"
        assert labels["app.kubernetes.io/managed-by"] == "keelway"
        assert "team" not in labels, "the owner's labels are not copied: GitOps tools would claim the child"
        assert [(one["kind"], one["uid"], one["controller"]) for one in owner] == [
            ("App", app["metadata"]["uid"], True)
        ]
    container = tenant.get("deployment/web")["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": "100m", "memory": "128Mi"}
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert container["readinessProbe"]["tcpSocket"] == {"port": "http"}


def test_its_pods_are_restricted_unless_baseline_is_asked_for(tenant: Tenant, client: Client, web: Web) -> None:
    tenant.apply(_app(web.reference))
    tenant.wait("app/web")
    pod = tenant.pods("web")[0]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }

    tenant.apply(_app(web.reference, security="Baseline", securityContext={"runAsUser": 0}))
    told = tenant.wait_for_reason("app/web", "PodsRefused")
    assert "violates PodSecurity" in told["message"]
    assert client.get("http://web:8080/whoami").json()["uid"] == 1000, "what ran before runs on"

    tenant.kubectl.run("label", "ns", tenant.namespace, "pod-security.kubernetes.io/enforce=baseline", "--overwrite")
    tenant.run("rollout", "restart", "deployment/web")
    eventually("it runs as root", lambda: client.get("http://web:8080/whoami").json()["uid"] == 0)


def test_kubectl_scale_sets_the_replicas(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app(web.reference, replicas=1))
    tenant.wait("app/web")

    tenant.run("scale", "app/web", "--replicas=3")

    tenant.wait("app/web", "jsonpath={.status.readyReplicas}=3")
    tenant.wait("app/web")
    assert tenant.get("deployment/web")["spec"]["replicas"] == 3
    tenant.run("scale", "app/web", "--replicas=0")
    tenant.wait("app/web", "jsonpath={.status.replicas}=0")
    tenant.wait("app/web")
    assert tenant.condition("app/web", "Available")["reason"] == "ScaledToZero"


def test_what_is_removed_from_the_spec_is_pruned(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app(web.reference, autoscale={"maxReplicas": 3}))
    tenant.wait("app/web")
    assert tenant.exists("service/web")
    assert tenant.exists("hpa/web")

    tenant.apply(_app(web.reference, ports=None))

    tenant.wait("service/web", "delete", 30)
    tenant.wait("hpa/web", "delete", 30)
    tenant.wait("app/web")
    assert "url" not in tenant.get("app/web")["status"]


def test_a_suspended_app_is_left_as_it_is(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app(web.reference, replicas=1))
    tenant.wait("app/web")

    tenant.apply(_app(web.reference, replicas=2, suspend=True))
    tenant.wait_for_reason("app/web", "Suspended")
    tenant.run("delete", "service/web")

    # The label makes another pass, which could do the suspended work.
    tenant.run("label", "app/web", "touched=yes")
    assert tenant.condition("app/web", "Ready")["status"] == "True"
    assert tenant.get("deployment/web")["spec"]["replicas"] == 1
    assert not tenant.exists("service/web")
    tenant.apply(_app(web.reference, replicas=2))
    tenant.wait("app/web", "jsonpath={.status.readyReplicas}=2")
    assert tenant.exists("service/web")


def test_deleting_an_app_removes_its_children(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app(web.reference, autoscale={"maxReplicas": 2}))
    tenant.wait("app/web")
    selector = tenant.get("app/web")["status"]["selector"]

    tenant.run("delete", "app/web", "--timeout=30s")

    for child in ("deployment/web", "service/web", "hpa/web"):
        tenant.wait(child, "delete", 60)
    eventually("the pods are gone", lambda: not tenant.objects("pods", selector), 90)


def test_an_app_shows_what_its_pods_die_of(tenant: Tenant, web: Web) -> None:
    dying = "import sys; print('no database at db:5432'); sys.exit(3)"

    tenant.apply(_app(web.reference, command=["python", "-c", dying]))

    told = tenant.wait_for_reason("app/web", "CrashLoop")
    assert "exited with code 3" in told["message"]
    assert "no database at db:5432" in told["message"]
    assert "Correct the program" in told["message"]


def test_a_program_without_ports_that_dies_at_once_is_never_ready(tenant: Tenant, web: Web) -> None:
    # A shell starts faster than Python: "at once" is within minReadySeconds, on a busy machine too.
    tenant.apply(_app(web.reference, ports=None, command=["sh", "-c", "exit 4"]))

    assert "exited with code 4" in tenant.wait_for_reason("app/web", "CrashLoop")["message"]
    assert "RolledOut" not in tenant.event_reasons("web")


def test_a_port_that_nothing_listens_on_is_named(tenant: Tenant, web: Web) -> None:
    tenant.apply(_app(web.reference, ports=[{"name": "http", "port": 9999}]))

    told = tenant.wait_for_reason("app/web", "ProbeFailing", seconds=60)
    assert "its readiness probe (TCP port http) does not succeed" in told["message"]
    assert "correct probes.readiness and ports" in told["message"]


def test_an_image_that_cannot_be_found_is_named(tenant: Tenant, web: Web) -> None:
    missing = f"{web.repository}:no-such-tag"

    tenant.apply(_app(missing))

    told = tenant.wait_for_reason("app/web", "ImagePullFailed")
    assert missing in told["message"]
    assert "Check the image's name" in told["message"]
    assert tenant.condition("app/web", "ImageReady")["status"] == "False"
    tenant.apply(_app(web.reference))
    tenant.wait("app/web")


def test_an_image_that_only_the_nodes_can_reach_runs_and_its_digest_is_shown(
    tenant: Tenant, web: Web, tmp_path: Path
) -> None:
    # The node knows the dev registry by this name too, with its credentials; nothing else in the cluster does.
    host = "nodes-only.example:5000"
    hosts = f"/etc/containerd/certs.d/{host}/hosts.toml"
    write_file(node.CONTAINER, hosts, hosts_toml(Registry()), tmp_path / "log")
    theirs = {part: name.replace(REGISTRY, host) for part, name in vars(web).items()}

    tenant.apply(_app(theirs["tagged"]))

    tenant.wait("app/web")
    note = tenant.condition("app/web", "ImageReady")
    assert (note["status"], note["reason"]) == ("True", "DigestNotResolved")
    assert "The registry nodes-only.example:5000 was not found" in note["message"]
    assert tenant.get("app/web")["status"]["image"] == theirs["reference"], "as the pod tells it"


def _app(reference: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """An App of the image `web`; None leaves a field out."""
    wanted = {
        "image": {"reference": reference},
        "ports": [{"name": "http", "port": 8080}],
        "resources": SMALL,
        **spec,
    }
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web", "labels": labels or {}},
        "spec": {name: value for name, value in wanted.items() if value is not None},
    }
