"""What somebody changes by hand is put right within two seconds, and the user's own next change still works."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.client import Client
from tests.e2e.commons import SMALL, Web
from tests.e2e.disturbance import Peace
from tests.e2e.tenant import Tenant
from tests.e2e.watching import Seen

HEALED_SECONDS = 2.0

Healthy = Callable[[dict[str, Any]], bool]


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


EDITS: dict[str, tuple[str, list[dict[str, Any]], Healthy]] = {
    "service-port": (
        "service/web",
        [{"op": "replace", "path": "/spec/ports/0/port", "value": 81}],
        lambda service: [one["port"] for one in service["spec"]["ports"]] == [8080],
    ),
    "service-target-port": (
        "service/web",
        [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9}],
        lambda service: [one["targetPort"] for one in service["spec"]["ports"]] == ["http"],
    ),
    "service-port-added": (
        "service/web",
        [{"op": "add", "path": "/spec/ports/-", "value": {"name": "more", "port": 82}}],
        lambda service: len(service["spec"]["ports"]) == 1,
    ),
    "selector-key-added": (
        "service/web",
        [{"op": "add", "path": "/spec/selector/nobody", "value": "has-this"}],
        lambda service: "nobody" not in service["spec"]["selector"],
    ),
    "selector-value": (
        "service/web",
        [{"op": "replace", "path": "/spec/selector/keelway.dev~1app", "value": "other"}],
        lambda service: service["spec"]["selector"]["keelway.dev/app"] == "web",
    ),
    "container-port": (
        "deployment/web",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/ports/0/containerPort", "value": 81}],
        lambda deployment: [one["containerPort"] for one in _container(deployment)["ports"]] == [8080],
    ),
    "container-added": (
        "deployment/web",
        [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "more", "image": "more"}}],
        lambda deployment: len(deployment["spec"]["template"]["spec"]["containers"]) == 1,
    ),
    "env-added": (
        "deployment/web",
        [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": {"name": "MORE", "value": "1"}}],
        lambda deployment: [one["name"] for one in _container(deployment)["env"]] == ["ANSWER"],
    ),
    "replicas": (
        "deployment/web",
        [{"op": "replace", "path": "/spec/replicas", "value": 0}],
        lambda deployment: deployment["spec"]["replicas"] == 1,
    ),
}


@pytest.fixture
def app(tenant: Tenant, web: Web) -> Tenant:
    """A tenant whose App `web` is ready."""
    tenant.apply(_app(web.reference))
    tenant.wait("app/web")
    return tenant


def test_every_edit_of_a_child_is_undone(app: Tenant, peace: Peace) -> None:
    took = {}
    with peace.undisturbed(), app.watching("service/web") as service, app.watching("deployment/web") as deployment:
        for name, (what, patch, healthy) in EDITS.items():
            watched = service if what.startswith("service") else deployment
            seen = len(watched.events)
            app.patch(what, json.dumps(patch))
            took[name] = watched.healing(lambda one: healthy(one.object), since=seen)  # noqa: B023, called right here

    assert {name: seconds for name, seconds in took.items() if seconds > HEALED_SECONDS} == {}
    app.wait("app/web")
    assert app.condition("app/web", "Stalled")["status"] == "False"


def test_a_deleted_child_comes_back(tenant: Tenant, web: Web, peace: Peace) -> None:
    tenant.apply(_app(web.reference, autoscale={"maxReplicas": 2}))
    tenant.wait("app/web")

    def there(seen: Seen) -> bool:
        return seen.type != "DELETED"

    took = {}
    with peace.undisturbed():
        for kind in ("service", "hpa", "deployment"):
            with tenant.watching(f"{kind}/web") as watched:
                seen = len(watched.events)
                tenant.run("delete", f"{kind}/web", "--wait=false")
                took[kind] = watched.healing(there, since=seen)
    assert {kind: seconds for kind, seconds in took.items() if seconds > HEALED_SECONDS} == {}
    tenant.wait("app/web")


def test_a_copy_of_a_child_that_still_says_whose_it_is_is_removed(app: Tenant) -> None:
    """As `kubectl get -o yaml`, another name and `kubectl apply` make one."""
    deployment = app.get("deployment/web")
    metadata = {name: deployment["metadata"][name] for name in ("labels", "ownerReferences")}
    template = deployment["spec"]["template"]
    spec = {"replicas": 0, "selector": deployment["spec"]["selector"], "template": template}
    app.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**metadata, "name": "copy"}, "spec": spec})

    app.wait("deployment/copy", "delete", 60)
    assert app.exists("deployment/web")


def test_the_users_own_change_of_a_healed_port_still_works(app: Tenant, client: Client, web: Web) -> None:
    app.patch("service/web", '[{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]')
    app.wait("service/web", "jsonpath={.spec.ports[0].port}=8080", 30)
    ports = "/spec/template/spec/containers/0/ports/0/containerPort"
    app.patch("deployment/web", f'[{{"op": "replace", "path": "{ports}", "value": 81}}]')
    path = "jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}"
    app.wait("deployment/web", f"{path}=8080", 30)

    app.apply(
        _app(
            web.reference,
            ports=[{"name": "http", "port": 9090, "servicePort": 90}],
            env=[{"name": "PORT", "value": "9090"}],
        )
    )

    app.wait("deployment/web", f"{path}=9090", 30)
    app.wait("app/web")
    assert client.get("http://web:90/").text == "web"


def _app(reference: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": "web"},
        "spec": {
            "image": {"reference": reference},
            "env": [{"name": "ANSWER", "value": "web"}],
            "ports": [{"name": "http", "port": 8080}],
            "resources": SMALL,
            **spec,
        },
    }
