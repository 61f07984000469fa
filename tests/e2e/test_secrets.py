"""No value of a Secret gets into a log, an Event, a status, a Job's spec or an image: planted, and searched for."""

import base64
import json
from contextlib import ExitStack
from typing import Any

import pytest

from devcluster.settings import Registry
from tests.e2e.canaries import (
    Canaries,
    Following,
    api_objects,
    buildkit_databases,
    canary,
    image_parts,
    pod_logs,
)
from tests.e2e.commons import Forge, Web
from tests.e2e.disturbance import BUILDKIT, SYSTEM
from tests.e2e.tenant import BUILDS_NAMESPACE, Tenant
from tests.kubectl import JsonObject, Kubectl

# The operator's registry by another name: to the operator, somebody else's.
ELSEWHERE = "registry.keelway-registry.svc:5000"


def secret(name: str, type_: str = "Opaque", **data: str) -> JsonObject:
    metadata = {"name": name.replace("_", "-")}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "stringData": data}


def login(name: str, host: str, password: str) -> JsonObject:
    """A dockerconfigjson."""
    config = json.dumps({"auths": {host: {"username": "someone", "password": password}}})
    return secret(name, "kubernetes.io/dockerconfigjson", **{".dockerconfigjson": config})


def image(name: str, source: JsonObject, **spec: Any) -> JsonObject:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": name},
        "spec": {"source": source, **spec},
    }


def app(web: Web, **spec: Any) -> JsonObject:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {"image": {"reference": web.tagged}, "ports": [{"name": "http", "port": 8080}], **spec},
    }


QUIET = "RUN --mount=type=secret,id=quiet sleep 8 && test -s /run/secrets/quiet"
LOUD = (
    "RUN --mount=type=secret,id=loud sleep 8 && echo it is $(cat /run/secrets/loud) && base64 /run/secrets/loud"
    " && cat /run/secrets/loud >&2 && sleep 1 && exit 3"
)


@pytest.mark.long
def test_secret_values_are_nowhere_but_in_secrets(tenant: Tenant, forge: Forge, web: Web, kubectl: Kubectl) -> None:
    kinds = ("token", "password", "refused", "quiet", "loud", "push", "broken", "pull", "env", "all-env")
    canaries = Canaries({kind: canary() for kind in kinds} | _of_the_operator(kubectl))
    value = canaries.values
    forge.admit(value["token"])
    forge.admit(value["password"])
    repository = forge.repository(tenant.namespace)
    repository.commit(
        {
            "quiet/Dockerfile": tenant.dockerfile(QUIET, "USER 1000"),
            "loud/Dockerfile": tenant.dockerfile(LOUD, "USER 1000"),
        }
    )

    def private(path: str, of: str) -> JsonObject:
        return {"git": {"url": repository.private_url, "subPath": path, "secretRef": {"name": of}}}

    def given(id: str) -> JsonObject:
        return {"secrets": [{"id": id, "secretRef": {"name": "build", "key": id}}]}

    inline = {"inline": {"files": [{"name": "Dockerfile", "content": "FROM scratch\n"}]}}
    tenant.apply(
        secret("token", token=value["token"]),
        secret("login", username="someone", password=value["password"]),
        secret("refused", token=value["refused"]),
        secret("build", quiet=value["quiet"], loud=value["loud"]),
        login("push", ELSEWHERE, value["push"]),
        secret("broken", **{".dockerconfigjson": f"no json, but {value['broken']}"}),
        login("pull", Registry().host, value["pull"]),
        secret("env", ONE=value["env"]),
        secret("all-env", ALL=value["all-env"]),
    )
    tenant.apply(
        image("quiet", private("quiet", "token"), build=given("quiet")),
        image("loud", private("loud", "login"), build=given("loud")),
        image("refused", private("quiet", "refused")),
        image("push", inline, repository=f"{ELSEWHERE}/x/y", pushSecretRef={"name": "push"}),
        image("broken", inline, repository=f"{ELSEWHERE}/x/z", pushSecretRef={"name": "broken"}),
        app(
            web,
            pullSecrets=[{"name": "pull"}],
            env=[{"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "env", "key": "ONE"}}}],
            envFrom=[{"secretRef": {"name": "all-env"}}],
        ),
    )
    with ExitStack() as running:
        logs = {name: running.enter_context(_following(tenant, f"{name}-1")) for name in ("quiet", "loud")}
        # While both are at work: Jobs and their pods.
        places = {"objects while they build": api_objects(kubectl)}
        tenant.wait("image/quiet")
        tenant.wait_for_reason("image/loud", "BuildFailed")
        places |= {f"log of build {name}": following.all() for name, following in logs.items()}
    tenant.wait_for_reason("image/refused", "Unauthorized")
    tenant.wait_for_reason("image/push", "TlsFailed")
    tenant.wait_for_reason("image/broken", "InvalidSecret")
    tenant.wait("app/web")

    places |= {"objects": api_objects(kubectl)}
    places |= dict(pod_logs(kubectl, SYSTEM, BUILDKIT, BUILDS_NAMESPACE, tenant.namespace))
    places |= dict(image_parts(f"{tenant.namespace}/quiet"))
    leaks = {place: leaked for place, text in places.items() if (leaked := canaries.found_in(text))}
    assert leaks == {}
    # What a step printed is in BuildKit's own history, which no tenant reaches, and nothing else is.
    assert canaries.found_in(buildkit_databases()) <= {"loud"}

    # The search can find: the values are where they belong, and the failed step's words were told without them.
    secrets = kubectl.run("get", "secrets", "--all-namespaces", "--output=json").stdout.encode()
    assert canaries.found_in(secrets) == set(value)
    assert b"it is ***" in places["log of build loud"]
    assert "it is ***" in tenant.get("build/loud-1")["status"]["message"]


def _of_the_operator(kubectl: Kubectl) -> dict[str, str]:
    """The keys of the build CA and of buildkitd, and the registry's credential, as they are."""
    found = {"registry credential": Registry().token}
    for namespace, name in ((SYSTEM, "keelway-ca"), (BUILDKIT, "buildkitd-tls")):
        data = kubectl.json("get", "secret", name, "-n", namespace)["data"]
        # A line out of the middle of the PEM.
        found[f"key of {name}"] = base64.b64decode(data["tls.key"]).decode().splitlines()[1]
    return found


def _following(tenant: Tenant, build: str) -> Following:
    tenant.wait(f"build/{build}", "create")
    job = tenant.job_of(build)
    selector = f"batch.kubernetes.io/job-name={job}"
    (pod,) = tenant.kubectl.json("get", "pods", "-n", BUILDS_NAMESPACE, "-l", selector)["items"]
    return Following(tenant.kubectl, BUILDS_NAMESPACE, pod["metadata"]["name"])
