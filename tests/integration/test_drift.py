"""Hand edits on a real API server are healed, and the same field can still be changed afterwards (rules 8 and 9)."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from keelway.api.resources import DEPLOYMENTS, SERVICES
from tests.integration.settling import SELECTOR, Settling, deployment, hpa, service, settling
from tests.kubectl import Kubectl

CONTAINERS = "/spec/template/spec/containers"


@pytest.fixture
async def here(kubectl: Kubectl, namespace: str) -> AsyncIterator[Settling]:
    async with settling(kubectl.kubeconfig, namespace) as one:
        yield one


class Hand:
    """Somebody with kubectl."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = namespace

    def change(self, what: str, op: str, path: str, value: Any) -> None:
        patch = json.dumps([{"op": op, "path": path, "value": value}])
        self._kubectl.run("patch", what, "--type=json", f"--patch={patch}", f"--namespace={self._namespace}")


@pytest.fixture
def hand(kubectl: Kubectl, namespace: str) -> Hand:
    return Hand(kubectl, namespace)


@pytest.mark.parametrize(
    ("op", "path", "value"),
    [
        ("replace", "/spec/ports/0/port", 8888),
        ("replace", "/spec/ports/0/targetPort", 9999),
        ("add", "/spec/ports/-", {"name": "more", "port": 90}),
        ("replace", "/spec/selector/app", "other"),
        ("add", "/spec/selector/tier", "added"),
    ],
)
async def test_a_service_is_put_right(here: Settling, hand: Hand, op: str, path: str, value: Any) -> None:
    await here.settle(service())
    hand.change("service/web", op, path, value)
    await here.look(SERVICES)
    settled = await here.settle(service())
    assert settled.problem is None
    live = (await here.look(SERVICES))["spec"]
    assert [(one["port"], one["targetPort"]) for one in live["ports"]] == [(80, "http")]
    assert live["selector"] == SELECTOR
    await here.settle(service())
    assert here.writes == []


async def test_a_port_that_was_put_right_can_still_be_changed(here: Settling, hand: Hand) -> None:
    await here.settle(service())
    hand.change("service/web", "replace", "/spec/ports/0/port", 8888)
    await here.look(SERVICES)
    await here.settle(service())
    settled = await here.settle(service(port=81))
    assert here.writes == ["PATCH 200"]
    assert settled.problem is None
    assert [one["port"] for one in (await here.look(SERVICES))["spec"]["ports"]] == [81]


async def test_a_change_of_the_wish_over_a_hand_edit_works_too(here: Settling, hand: Hand) -> None:
    await here.settle(service())
    hand.change("service/web", "replace", "/spec/ports/0/port", 8888)
    await here.look(SERVICES)
    settled = await here.settle(service(port=81))
    assert settled.problem is None
    assert [one["port"] for one in (await here.look(SERVICES))["spec"]["ports"]] == [81]


@pytest.mark.parametrize(
    ("op", "path", "value"),
    [
        ("replace", f"{CONTAINERS}/0/image", "registry.invalid/other:1"),
        ("replace", f"{CONTAINERS}/0/ports/0/containerPort", 9090),
        ("add", f"{CONTAINERS}/0/ports/-", {"name": "more", "containerPort": 7000}),
        ("add", f"{CONTAINERS}/-", {"name": "added", "image": "registry.invalid/added:1"}),
        ("add", f"{CONTAINERS}/0/env/-", {"name": "ADDED", "value": "x"}),
        ("replace", f"{CONTAINERS}/0/env/0/value", "2"),
        ("remove", f"{CONTAINERS}/0/env/0", None),
        ("replace", f"{CONTAINERS}/0/resources/requests/cpu", "2"),
    ],
)
async def test_a_deployment_is_put_right(here: Settling, hand: Hand, op: str, path: str, value: Any) -> None:
    await here.settle(deployment=deployment())
    hand.change("deployment/web", op, path, value)
    await here.look(DEPLOYMENTS)
    settled = await here.settle(deployment=deployment())
    assert settled.problem is None
    (container,) = (await here.look(DEPLOYMENTS))["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.invalid/app@")
    assert [one["containerPort"] for one in container["ports"]] == [8080]
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "EMPTY"}]
    assert container["resources"]["requests"]["cpu"] == "100m"
    settled = await here.settle(deployment=deployment())
    assert here.writes == []
    here.owner["metadata"]["generation"], here.owner["spec"] = 2, {"port": 8081}
    settled = await here.settle(deployment=deployment(port=8081))
    assert settled.problem is None
    (container,) = (await here.look(DEPLOYMENTS))["spec"]["template"]["spec"]["containers"]
    assert [one["containerPort"] for one in container["ports"]] == [8081]


async def test_healing_under_an_hpa_leaves_its_replicas(here: Settling, hand: Hand, kubectl: Kubectl) -> None:
    await here.settle(deployment=deployment(None), hpa=hpa())
    kubectl.run("scale", "deployment/web", "--replicas=4", f"--namespace={here.namespace}")
    hand.change("deployment/web", "add", f"{CONTAINERS}/-", {"name": "added", "image": "registry.invalid/added:1"})
    await here.look(DEPLOYMENTS)
    settled = await here.settle(deployment=deployment(None), hpa=hpa())
    assert settled.problem is None
    live = await here.look(DEPLOYMENTS)
    assert live["spec"]["replicas"] == 4
    assert [one["name"] for one in live["spec"]["template"]["spec"]["containers"]] == ["app"]


async def test_a_deleted_child_is_made_again(here: Settling, kubectl: Kubectl) -> None:
    await here.settle(service())
    kubectl.run("delete", "service", "web", f"--namespace={here.namespace}")
    here.cluster.cache.remove(SERVICES, next(here.cluster.cache.list(SERVICES)) | {})
    await here.settle(service())
    assert not await here.gone(SERVICES)


async def test_a_label_that_was_taken_away_comes_back(here: Settling, kubectl: Kubectl) -> None:
    await here.settle(service())
    kubectl.run("label", "service/web", "app.kubernetes.io/managed-by-", f"--namespace={here.namespace}")
    await here.look(SERVICES)
    settled = await here.settle(service())
    assert settled.problem is None
    assert (await here.look(SERVICES))["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "keelway"
