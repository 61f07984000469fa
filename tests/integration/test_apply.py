"""Children on a real API server: first apply, no write when all is so, prune, replicas handed over (rules 7, 8, 10)."""

from collections.abc import AsyncIterator
from copy import deepcopy

import pytest

from keelway.api.resources import CONFIG_MAPS, DEPLOYMENTS, HPAS, SERVICES
from keelway.errors import Conflict, Terminal, Waiting
from tests.integration.settling import Settling, deployment, hpa, service, settling
from tests.kubectl import Kubectl


@pytest.fixture
async def here(kubectl: Kubectl, namespace: str) -> AsyncIterator[Settling]:
    async with settling(kubectl.kubeconfig, namespace) as one:
        yield one


async def test_three_children_cost_three_writes_and_then_none(here: Settling) -> None:
    await here.settle(service(), deployment(None), hpa())
    assert here.writes == ["PATCH 201"] * 3
    for resource in (SERVICES, DEPLOYMENTS, HPAS):
        await here.look(resource)  # with all that the API server and its controllers have put in
    settled = await here.settle(service(), deployment(None), hpa())
    assert here.writes == []
    assert settled.problem is None


async def test_a_foreign_service_of_that_name_is_not_touched(here: Settling, kubectl: Kubectl) -> None:
    kubectl.run("create", "service", "clusterip", "web", "--tcp=1234", f"--namespace={here.namespace}")
    before = await here.look(SERVICES)
    settled = await here.settle(service())
    assert isinstance(settled.problem, Waiting)
    assert settled.problem.reason == "NameConflict"
    assert await here.look(SERVICES) == before


async def test_a_removed_wish_removes_the_child_and_only_it(here: Settling) -> None:
    await here.settle(service(), deployment(None), hpa())
    await here.settle(None, deployment(None))
    assert await here.gone(SERVICES)
    assert await here.gone(HPAS)
    assert not await here.gone(DEPLOYMENTS)


async def test_switching_autoscale_on_never_drops_the_live_replicas(here: Settling, kubectl: Kubectl) -> None:
    await here.settle(deployment=deployment(10))
    await here.settle(deployment=deployment(None), hpa=hpa())
    live = await here.look(DEPLOYMENTS)
    assert live["spec"]["replicas"] == 10
    kubectl.run("scale", "deployment/web", "--replicas=7", f"--namespace={here.namespace}")
    assert (await here.look(DEPLOYMENTS))["spec"]["replicas"] == 7
    await here.settle(deployment=deployment(None), hpa=hpa())
    assert here.writes == []
    await here.settle(deployment=deployment(None, port=8081), hpa=hpa())
    assert (await here.look(DEPLOYMENTS))["spec"]["replicas"] == 7


async def test_switching_it_off_again_sets_what_is_asked(here: Settling) -> None:
    await here.settle(deployment=deployment(None), hpa=hpa())
    await here.settle(deployment=deployment(3))
    assert (await here.look(DEPLOYMENTS))["spec"]["replicas"] == 3
    assert await here.gone(HPAS)


async def test_an_apply_to_a_successor_of_that_name_is_a_conflict(here: Settling, kubectl: Kubectl) -> None:
    await here.settle(service())
    wanted = deepcopy(await here.look(SERVICES))
    del wanted["metadata"]["managedFields"], wanted["metadata"]["resourceVersion"]
    kubectl.run("delete", "service", "web", f"--namespace={here.namespace}")
    with pytest.raises(Conflict):
        await here.cluster.apply(SERVICES, wanted)
    assert await here.gone(SERVICES)


async def test_a_child_the_api_server_refuses_is_the_specs_fault(here: Settling) -> None:
    settled = await here.settle(service(port=99999))
    assert isinstance(settled.problem, Terminal)
    assert "spec.ports[0].port" in settled.problem.message


async def test_a_new_builder_alone_changes_no_pod_template(here: Settling) -> None:
    await here.settle(deployment=deployment())
    await here.look(DEPLOYMENTS)
    await here.settle(deployment=deployment(enableServiceLinks=False))
    assert here.writes == []
    here.owner["spec"]["env"] = ["changed"]
    here.owner["metadata"]["generation"] = 2
    await here.settle(deployment=deployment(enableServiceLinks=False))
    assert (await here.look(DEPLOYMENTS))["spec"]["template"]["spec"]["enableServiceLinks"] is False


async def test_the_children_go_with_their_owner(here: Settling, kubectl: Kubectl) -> None:
    await here.settle(service())
    await here.cluster.delete_object(CONFIG_MAPS, here.owner)
    kubectl.run("wait", "service/web", "--for=delete", "--timeout=60s", f"--namespace={here.namespace}")
    assert await here.gone(SERVICES)
