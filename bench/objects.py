"""PURE: the objects that are measured with, and the children that the operator would write for them."""

from collections.abc import Mapping
from typing import Any, Final

from keelway.api.app import App
from keelway.api.image import Image
from keelway.api.meta import API_VERSION
from keelway.api.resources import Resource
from keelway.children import APP_CHILDREN
from keelway.children.base import KEEP
from keelway.children.context import AppContext, RunImage
from keelway.reconcile.children import complete

Object = dict[str, Any]

IMAGE: Final = "web"
OURS: Final = "keelway-bench"
"""Label of the bench's namespaces."""
NO_PODS: Final = "keelway-bench-no-pods"
"""Name of the admission policy, and label of the namespaces that it holds for."""


def namespace(name: str, pods: bool = False) -> Object:
    """A namespace; without `pods` its Deployments are made with 0 replicas, whoever makes them."""
    labels = {OURS: "true"} if pods else {OURS: "true", NO_PODS: "true"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def no_pods() -> list[Object]:
    """The admission policy: an App with `autoscale` names no replicas, and the API server would make that 1."""
    admission = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    policy = {
        "apiVersion": admission,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NO_PODS},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {NO_PODS: "true"}},
                "resourceRules": [rule],
            },
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {"expression": '[JSONPatch{op: "add", path: "/spec/replicas", value: 0}]'},
                }
            ],
        },
    }
    binding = {
        "apiVersion": admission,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": NO_PODS},
        "spec": {"policyName": NO_PODS},
    }
    return [policy, binding]


def image(namespace: str, name: str = IMAGE) -> Object:
    """An Image that builds nothing; `image_status` gives it a version."""
    files = [{"name": "Dockerfile", "content": "FROM scratch\n"}]
    return {
        "apiVersion": API_VERSION,
        "kind": "Image",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"suspend": True, "source": {"inline": {"files": files}}},
    }


def image_status(namespace: str, name: str = IMAGE) -> Object:
    """The body of a merge patch of its status: the version that Apps run."""
    latest = {
        "version": "v1",
        "reference": f"registry.keelway-registry:5000/{namespace}/{name}@sha256:{'a' * 64}",
        "revision": f"sha256:{'b' * 64}",
        "builtAt": "2026-01-01T00:00:00Z",
        "user": "1000",
        "runAsUser": 1000,
    }
    return {"status": {"latest": latest}}


def app(namespace: str, name: str) -> Object:
    """An App with three children: Deployment, Service, HPA."""
    return {
        "apiVersion": API_VERSION,
        "kind": "App",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "image": {"name": IMAGE},
            "ports": [{"name": "http", "port": 8080, "servicePort": 80}],
            "env": [{"name": "GREETING", "value": "hello"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "autoscale": {"minReplicas": 1, "maxReplicas": 5, "cpuPercent": 70},
        },
    }


def edited(value: str) -> Object:
    """The body of a merge patch that gives an App's pods another environment: its Deployment must change."""
    return {"spec": {"env": [{"name": "GREETING", "value": value}]}}


def app_names(count: int) -> list[str]:
    """app-0000, app-0001, ..."""
    return [f"app-{number:04}" for number in range(count)]


def children(raw_app: Mapping[str, Any], raw_image: Mapping[str, Any]) -> list[tuple[Resource, Object]]:
    """What the operator applies for a new App that follows the Image, to the byte, in its order."""
    latest = Image.parse(raw_image).status.latest
    assert latest is not None
    run = RunImage(latest.reference, asked=raw_image["metadata"]["name"], version=latest.version)
    context = AppContext(App.parse(raw_app), run)
    built = [(kind, kind.build(context)) for kind in APP_CHILDREN]
    return [
        (kind.resource, complete(raw_app, kind, child, None))
        for kind, child in built
        if child is not None and child is not KEEP
    ]
