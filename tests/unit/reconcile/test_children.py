"""Settling children against a small API server: writes only where something differs (contract rules 7 to 11)."""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import pytest
from aiohttp import web

from keelway.api.resources import APPS, DEPLOYMENTS, HPAS, SERVICES, Resource
from keelway.children.base import (
    DEPLOYMENT_EXACT,
    HASH_ANNOTATION,
    KEEP,
    POD_TEMPLATE,
    REPLICAS,
    SERVICE_EXACT,
    ChildKind,
    Wanted,
)
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import WriteGate, always_open
from keelway.errors import NotLeader, Terminal, Transient, Waiting
from keelway.reconcile.children import Settled, Settler
from keelway.reconcile.healing import FREE, Healings
from tests.unit.cluster.apiserver import ApiServer, connected, fields_of, refusal

LABELS = {"app.kubernetes.io/managed-by": "keelway"}
SERVICE: ChildKind[Any] = ChildKind("service", SERVICES, lambda _: None, exact=SERVICE_EXACT)
DEPLOYMENT: ChildKind[Any] = ChildKind(
    "deployment",
    DEPLOYMENTS,
    lambda _: None,
    exact=DEPLOYMENT_EXACT,
    template=POD_TEMPLATE,
    unreleased=("replicas", "autoscale"),
    handover=(REPLICAS,),
)
HPA: ChildKind[Any] = ChildKind("hpa", HPAS, lambda _: None)


def a_service(port: int = 80, name: str = "web") -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": port}]}
    return child(SERVICES, name, spec)


def a_deployment(replicas: int | None = 1, image: str = "nginx@sha256:1", **template: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"template": {"spec": {"containers": [{"name": "app", "image": image}]} | template}}
    if replicas is not None:
        spec["replicas"] = replicas
    return child(DEPLOYMENTS, "web", spec)


def child(resource: Resource, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": LABELS}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """An App, its children and a settler that begins with an empty cache."""

    def __init__(self, api: ApiServer, cluster: Cluster) -> None:
        self.api = api
        self.clock = Clock()
        self.cluster = cluster
        self.settler = Settler(cluster, Healings(self.clock))
        self.owner = api.put(
            APPS, {"metadata": {"name": "web", "namespace": "team", "generation": 1}, "spec": {"replicas": 1}}
        )

    async def settle(self, *wanted: tuple[ChildKind[Any], Wanted]) -> Settled:
        self.api.requests.clear()
        return await self.settler.settle(self.owner, wanted)

    def edit(self, resource: Resource, change: dict[str, Any], manager: str = "kubectl-edit") -> None:
        """Somebody changes the spec by hand, and the watch tells of it."""
        obj = deepcopy(self.live(resource))
        obj["spec"] |= change
        entry = {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": fields_of(change)}}
        obj["metadata"]["managedFields"].append(entry)
        self.cluster.cache.put(resource, self.api.put(resource, obj))

    def live(self, resource: Resource, name: str = "web") -> dict[str, Any]:
        return self.api.objects[resource.plural, "team", name]

    def upgrade(self, **spec: Any) -> None:
        """The user changes the App."""
        self.owner = deepcopy(self.owner)
        self.owner["spec"] |= spec
        self.owner["metadata"]["generation"] += 1


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = ApiServer()
    async with connected(api) as connection:
        yield World(api, Cluster(connection, Cache(), always_open()))


async def test_the_first_apply_is_one_request(world: World) -> None:
    settled = await world.settle((SERVICE, a_service()))
    assert world.api.requests == ["PATCH /api/v1/namespaces/team/services/web"]
    assert settled.problem is None
    assert settled.live["service"] == world.live(SERVICES)


async def test_a_child_says_whose_it_is(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    (reference,) = world.live(SERVICES)["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("App", world.owner["metadata"]["uid"])
    assert reference["controller"] is True
    assert reference["blockOwnerDeletion"] is False


async def test_what_is_as_wanted_is_not_touched(world: World) -> None:
    await world.settle((SERVICE, a_service()), (DEPLOYMENT, a_deployment()))
    settled = await world.settle((SERVICE, a_service()), (DEPLOYMENT, a_deployment()))
    assert world.api.requests == []
    assert settled.live.keys() == {"service", "deployment"}


async def test_a_change_of_the_wish_is_one_write(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    await world.settle((SERVICE, a_service(port=81)))
    assert world.api.requests == ["PATCH /api/v1/namespaces/team/services/web"]
    assert world.live(SERVICES)["spec"]["ports"][0]["port"] == 81


async def test_a_foreign_object_of_that_name_is_never_touched(world: World) -> None:
    before = deepcopy(world.api.put(SERVICES, {"metadata": {"name": "web", "namespace": "team"}, "spec": {"a": 1}}))
    settled = await world.settle((SERVICE, a_service()))
    assert isinstance(settled.problem, Waiting)
    assert settled.problem.reason == "NameConflict"
    assert world.live(SERVICES) == before


async def test_the_child_of_another_app_is_never_touched_either(world: World) -> None:
    reference = {"kind": "App", "name": "web", "uid": "predecessor", "controller": True}
    metadata = {"name": "web", "namespace": "team", "labels": LABELS, "ownerReferences": [reference]}
    world.cluster.cache.put(SERVICES, world.api.put(SERVICES, {"metadata": metadata}))
    settled = await world.settle((SERVICE, a_service()))
    assert settled.problem is not None
    assert settled.problem.reason == "NameConflict"
    assert "App web" in settled.problem.message
    assert world.api.writes == []


async def test_our_child_without_its_label_is_taken_back(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    obj = deepcopy(world.live(SERVICES))
    obj["metadata"]["labels"] = {}
    world.cluster.cache.put(SERVICES, world.api.put(SERVICES, obj))
    settled = await world.settle((SERVICE, a_service()))
    assert settled.problem is None
    assert world.live(SERVICES)["metadata"]["labels"] == LABELS


async def test_one_conflict_does_not_keep_the_other_children_back(world: World) -> None:
    world.api.put(SERVICES, {"metadata": {"name": "web", "namespace": "team"}})
    settled = await world.settle((SERVICE, a_service()), (DEPLOYMENT, a_deployment()))
    assert settled.live["deployment"] is not None
    assert settled.live["service"] is None


async def test_drift_is_healed_by_taking_the_fields_over_first(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    world.edit(SERVICES, {"selector": {"app": "web", "tier": "added"}})
    settled = await world.settle((SERVICE, a_service()))
    path = "/api/v1/namespaces/team/services/web"
    assert world.api.requests == [f"GET {path}", f"PATCH {path}", f"PATCH {path}"]
    assert settled.problem is None
    assert [entry["manager"] for entry in world.live(SERVICES)["metadata"]["managedFields"]] == ["keelway"]


async def test_a_fight_becomes_a_conflict_that_names_the_other(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    settled = Settled()
    for _ in range(FREE + 1):
        world.edit(SERVICES, {"ports": [{"name": "http", "port": 99}]}, manager="other-controller")
        settled = await world.settle((SERVICE, a_service()))
    assert isinstance(settled.problem, Waiting)
    assert settled.problem.reason == "ChildConflict"
    assert "other-controller" in settled.problem.message
    assert settled.problem.retry_after is not None
    assert world.api.requests == []  # not even asked, until the pause is over


async def test_after_the_pause_it_is_tried_again(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    for _ in range(FREE + 1):
        world.edit(SERVICES, {"ports": [{"name": "http", "port": 99}]})
        await world.settle((SERVICE, a_service()))
    world.clock.now += 2
    settled = await world.settle((SERVICE, a_service()))
    assert settled.problem is None
    assert world.live(SERVICES)["spec"]["ports"][0]["port"] == 80


async def test_a_refused_child_is_the_specs_fault(world: World) -> None:
    world.api.interfere = lambda request: refusal(422, "Invalid") if request.method == "PATCH" else None
    settled = await world.settle((SERVICE, a_service()))
    assert isinstance(settled.problem, Terminal)
    assert settled.problem.reason == "InvalidService"


async def test_a_change_that_is_refused_is_told_the_same_way_however_often(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    world.api.interfere = lambda request: refusal(422, "Invalid") if request.method == "PATCH" else None
    for _ in range(FREE + 2):
        settled = await world.settle((SERVICE, a_service(port=81)))
        assert isinstance(settled.problem, Terminal)
        assert len(world.api.writes) == 1


async def test_a_busy_api_server_is_nobodys_fault(world: World) -> None:
    world.api.interfere = lambda request: refusal(503, "ServiceUnavailable")
    settled = await world.settle((SERVICE, a_service()))
    assert isinstance(settled.problem, Transient)


async def test_the_graver_problem_is_told(world: World) -> None:
    def refuse(request: web.Request) -> web.Response | None:
        if request.method != "PATCH":
            return None
        return refusal(503, "ServiceUnavailable") if "services" in request.path else refusal(422, "Invalid")

    world.api.interfere = refuse
    settled = await world.settle((SERVICE, a_service()), (DEPLOYMENT, a_deployment()))
    assert isinstance(settled.problem, Terminal)


async def test_a_child_that_was_replaced_behind_our_back_is_read_again(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    world.api.drop(SERVICES, "team", "web", quietly=True)
    settled = await world.settle((SERVICE, a_service(port=81)))
    assert isinstance(settled.problem, Transient)
    settled = await world.settle((SERVICE, a_service(port=81)))
    assert settled.problem is None
    assert world.live(SERVICES)["spec"]["ports"][0]["port"] == 81


async def test_without_the_lease_nothing_is_settled(world: World) -> None:
    cluster = Cluster(world.cluster._connection, Cache(), WriteGate())
    with pytest.raises(NotLeader):
        await Settler(cluster).settle(world.owner, [(SERVICE, a_service())])


async def test_what_is_no_longer_wanted_is_deleted(world: World) -> None:
    await world.settle((HPA, child(HPAS, "web", {})))
    settled = await world.settle((HPA, None))
    assert settled.live["hpa"] is None
    assert [one.partition(" ")[0] for one in world.api.requests] == ["DELETE"]
    assert (await world.settle((HPA, None))).live == {"hpa": None}
    assert world.api.requests == []


async def test_a_child_of_a_former_name_is_deleted(world: World) -> None:
    await world.settle((SERVICE, a_service(name="old")))
    await world.settle((SERVICE, a_service()))
    assert ("services", "team", "old") not in world.api.objects


async def test_only_our_own_children_are_deleted(world: World) -> None:
    metadata = {"name": "web", "namespace": "team", "labels": LABELS}
    world.cluster.cache.put(HPAS, world.api.put(HPAS, {"metadata": metadata}))
    await world.settle((HPA, None))
    assert ("horizontalpodautoscalers", "team", "web") in world.api.objects


async def test_what_claims_to_be_a_child_in_another_namespace_is_none(world: World) -> None:
    reference = {"apiVersion": APPS.api_version, "kind": "App", "name": "web", "uid": world.owner["metadata"]["uid"]}
    foreign = a_deployment(replicas=7)
    foreign["metadata"] |= {"namespace": "elsewhere", "ownerReferences": [{**reference, "controller": True}]}
    world.cluster.cache.put(DEPLOYMENTS, world.api.put(DEPLOYMENTS, foreign))

    assert (await world.settle((DEPLOYMENT, KEEP))).live == {"deployment": None}
    await world.settle((DEPLOYMENT, None))
    assert world.api.writes == []


async def test_keep_leaves_what_is_there(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment()))
    world.edit(DEPLOYMENTS, {"paused": True})
    settled = await world.settle((DEPLOYMENT, KEEP))
    assert world.api.requests == []
    assert settled.live["deployment"]["spec"]["paused"] is True  # type: ignore[index]


async def test_a_child_on_its_way_out_is_waited_for(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    obj = deepcopy(world.live(SERVICES))
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.cluster.cache.put(SERVICES, world.api.put(SERVICES, obj))
    await world.settle((SERVICE, a_service(port=81)))
    assert world.api.requests == []


async def test_replicas_are_handed_over_before_they_are_let_go(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment(replicas=10)))
    await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    assert world.live(DEPLOYMENTS)["spec"]["replicas"] == 10
    managers = [entry["manager"] for entry in world.live(DEPLOYMENTS)["metadata"]["managedFields"]]
    assert set(managers) == {"keelway", "keelway-scale"}


async def test_an_autoscaler_is_handed_at_least_one_pod(world: World) -> None:
    """At 0 it would leave the Deployment alone for ever: Kubernetes takes that for a wish."""
    await world.settle((DEPLOYMENT, a_deployment(replicas=0)))
    await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    assert world.live(DEPLOYMENTS)["spec"]["replicas"] == 1


async def test_a_deployment_that_is_paused_under_its_autoscaler_stays_so(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    world.edit(DEPLOYMENTS, {"replicas": 0})
    await world.settle((DEPLOYMENT, a_deployment(replicas=None, image="nginx@sha256:2")))
    assert world.live(DEPLOYMENTS)["spec"]["replicas"] == 0


async def test_what_an_hpa_scales_is_left_alone(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    world.edit(DEPLOYMENTS, {"replicas": 5}, manager="kube-controller-manager")
    settled = await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    assert world.api.requests == []
    assert settled.live["deployment"]["spec"]["replicas"] == 5  # type: ignore[index]


async def test_healing_leaves_an_hpas_replicas_alone(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    world.edit(DEPLOYMENTS, {"replicas": 5})
    added = {"spec": {"containers": [{"name": "app", "image": "nginx@sha256:1"}, {"name": "miner", "image": "x"}]}}
    world.edit(DEPLOYMENTS, {"template": added})
    settled = await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    assert settled.problem is None
    assert world.live(DEPLOYMENTS)["spec"]["replicas"] == 5


async def test_a_new_builder_alone_rolls_no_pods(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment()))
    settled = await world.settle((DEPLOYMENT, a_deployment(hostUsers=False)))
    assert world.api.requests == []
    assert settled.problem is None


async def test_a_new_builder_rolls_with_the_apps_own_next_release(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment()))
    await world.settle((DEPLOYMENT, a_deployment(image="nginx@sha256:2", hostUsers=False)))
    assert world.live(DEPLOYMENTS)["spec"]["template"]["spec"]["hostUsers"] is False


async def test_drift_in_a_kept_template_is_still_healed(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment()))
    world.edit(DEPLOYMENTS, {"template": {"spec": {"containers": [{"name": "app", "image": "evil"}]}}})
    await world.settle((DEPLOYMENT, a_deployment(hostUsers=False)))
    template = world.live(DEPLOYMENTS)["spec"]["template"]["spec"]
    assert template["containers"][0]["image"] == "nginx@sha256:1"
    assert "hostUsers" not in template


async def test_scaling_is_no_release(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment()))
    world.upgrade(replicas=3)
    await world.settle((DEPLOYMENT, a_deployment(replicas=3, hostUsers=False)))
    assert world.live(DEPLOYMENTS)["spec"]["replicas"] == 3
    assert "hostUsers" not in world.live(DEPLOYMENTS)["spec"]["template"]["spec"]


async def test_the_hash_tells_what_was_last_wanted(world: World) -> None:
    await world.settle((SERVICE, a_service()))
    first = world.live(SERVICES)["metadata"]["annotations"][HASH_ANNOTATION]
    await world.settle((SERVICE, a_service(port=81)))
    assert world.live(SERVICES)["metadata"]["annotations"][HASH_ANNOTATION] != first


async def test_what_was_handed_over_is_not_asked_for_again(world: World) -> None:
    await world.settle((DEPLOYMENT, a_deployment(replicas=None)))
    world.edit(DEPLOYMENTS, {"replicas": 5}, manager="kube-controller-manager")
    world.api.requests.clear()
    await world.settle((DEPLOYMENT, a_deployment(replicas=None, image="nginx@sha256:2")))
    assert [one.partition(" ")[0] for one in world.api.requests] == ["PATCH"]
    assert world.live(DEPLOYMENTS)["spec"]["replicas"] == 5
