"""Two images that Apps run here, built by Keelway itself in the namespace `keelway-faults`, once a cluster."""

from dataclasses import dataclass

from tests.e2e.commons import WEB
from tests.e2e.tenant import Tenant
from tests.kubectl import JsonObject, Kubectl

NAMESPACE = "keelway-faults"
FIRST_BUILD_SECONDS = 240.0


@dataclass(frozen=True)
class Commons:
    """References by digest: both answer HTTP on port 8080, and differ."""

    old: str
    new: str


def built(kubectl: Kubectl) -> Commons:
    """Both, ready; an operator must be at work."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    tenant = Tenant(kubectl, NAMESPACE)
    tenant.apply(_image("old"), _image("new"))
    return Commons(_reference(tenant, "old"), _reference(tenant, "new"))


def _image(name: str) -> JsonObject:
    files = [*WEB["spec"]["source"]["inline"]["files"][:2], {"name": "answer", "content": f"{name}\n"}]  # type: ignore[index]
    return {**WEB, "metadata": {"name": name}, "spec": {"source": {"inline": {"files": files}}}}


def _reference(tenant: Tenant, name: str) -> str:
    tenant.wait(f"image/{name}", seconds=FIRST_BUILD_SECONDS)
    return str(tenant.get(f"image/{name}")["status"]["latest"]["reference"])
