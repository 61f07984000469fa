"""An object that is absurd fails alone and says why: its neighbour lives, and it can be deleted."""

import time
from uuid import uuid4

import pytest

from devcluster.outside import Operator
from keelway.api.resources import APPS, CONFIG_MAPS, DEPLOYMENTS, EVENTS
from keelway.errors import Invalid
from tests.faults.generated import health
from tests.faults.generated.changes import manifest
from tests.faults.generated.crowd import Crowd
from tests.faults.generated.fields import Spec
from tests.faults.generated.poison import KIB, POISONS, app, env
from tests.faults.generated.state import Seen
from tests.faults.proxy import Proxy

USUAL_SECONDS = 15.0
"""For an App without pods to be rolled out; it takes one or two where nothing else happens."""
SECONDS = 60.0


@pytest.mark.parametrize("what", POISONS)
async def test_a_poisoned_app_fails_alone_if_at_all(crowd: Crowd, operator: Operator, proxy: Proxy, what: str) -> None:
    poison = POISONS[what]
    made = await crowd.create("apps", poison.name, poison.spec, **poison.metadata)
    assert made is not None, "the API server refuses it"
    await _neighbour_is_well(crowd)
    found = (await crowd.settled("apps", [poison.name], SECONDS))[poison.name]
    _says(found, poison.reason, poison.says, stalled=poison.stalls)
    await health.falls_quiet(proxy, crowd.namespace)
    health.is_unharmed(operator)
    health.has_no_hot_loop(proxy, crowd.namespace, changes=1)
    await _can_be_deleted(crowd, poison.name)


@pytest.mark.subset
async def test_an_app_with_an_emoji_runs(crowd: Crowd, operator: Operator) -> None:
    """A server-side apply is read as YAML, whose escapes know no surrogate pairs."""
    await crowd.create("apps", "ship", app(env=[{"name": "A", "value": "🚢"}]))
    _says((await crowd.settled("apps", ["ship"], SECONDS))["ship"], "RolledOut", (), stalled=False)


async def test_more_than_the_schema_bounds_is_refused_by_the_api_server(crowd: Crowd) -> None:
    """10,000 variables, say, never reach the operator."""
    with pytest.raises(Invalid, match="must have at most 200 items"):
        await crowd.send("POST", APPS.path(crowd.namespace), manifest("apps", "poison", app(env=env(10_000, 1))))


async def test_the_largest_app_that_etcd_takes_harms_nobody(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    """There is no room for a status any more: an Event says so."""
    size = await _largest(crowd, "poison")
    assert size > 1024 * KIB
    await _neighbour_is_well(crowd)
    await health.falls_quiet(proxy, crowd.namespace)
    told = {(one["involvedObject"]["name"], one["reason"]): one["message"] for one in await crowd.all_of(EVENTS)}
    assert "too large" in told["poison", "StatusRefused"], told
    health.is_unharmed(operator)
    health.has_no_hot_loop(proxy, crowd.namespace, changes=1)
    await _can_be_deleted(crowd, "poison")


async def test_an_app_that_a_foreign_finalizer_holds_is_left_alone_and_goes_in_the_end(
    crowd: Crowd, operator: Operator, proxy: Proxy
) -> None:
    await crowd.create("apps", "poison", app(), finalizers=["example.com/stuck"])
    await crowd.settled("apps", ["poison"], SECONDS)
    await crowd.send("DELETE", APPS.path(crowd.namespace, "poison"))
    stuck = await crowd.get(APPS, "poison")
    assert "deletionTimestamp" in stuck["metadata"]
    await crowd.replace("apps", "poison", app(command=["late"]))
    await _neighbour_is_well(crowd)
    await health.falls_quiet(proxy, crowd.namespace)
    await crowd.send("PATCH", APPS.path(crowd.namespace, "poison"), {"metadata": {"finalizers": []}})
    await crowd.gone(APPS, "poison", SECONDS)
    await crowd.gone(DEPLOYMENTS, "poison", SECONDS)
    health.is_unharmed(operator)


async def test_a_child_that_a_foreign_finalizer_holds_is_made_anew_once_it_is_gone(
    crowd: Crowd, operator: Operator, proxy: Proxy
) -> None:
    await crowd.create("apps", "poison", app())
    await crowd.settled("apps", ["poison"], SECONDS)
    path = DEPLOYMENTS.path(crowd.namespace, "poison")
    await crowd.send("PATCH", path, {"metadata": {"finalizers": ["example.com/stuck"]}})
    first = await crowd.send("DELETE", path)
    await _neighbour_is_well(crowd)
    await health.falls_quiet(proxy, crowd.namespace)
    await crowd.send("PATCH", path, {"metadata": {"finalizers": []}})
    uid = first["metadata"]["uid"]
    await crowd.until("made anew", lambda one: one["metadata"]["uid"] != uid, DEPLOYMENTS, "poison", SECONDS)
    health.is_unharmed(operator)


async def test_an_app_whose_owner_never_was_goes_with_all_its_children(crowd: Crowd, operator: Operator) -> None:
    """Kubernetes' garbage collector deletes it, whenever it comes to it."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "never", "uid": str(uuid4())}
    await crowd.create("apps", "poison", app(), ownerReferences=[owner])
    await _neighbour_is_well(crowd)
    await crowd.gone(APPS, "poison", SECONDS)
    await crowd.gone(DEPLOYMENTS, "poison", SECONDS)
    health.is_unharmed(operator)


async def test_a_child_that_got_a_second_owner_keeps_the_first(crowd: Crowd, operator: Operator, proxy: Proxy) -> None:
    await crowd.create("apps", "poison", app())
    await crowd.settled("apps", ["poison"], SECONDS)
    other = await crowd.send("POST", CONFIG_MAPS.path(crowd.namespace), {"metadata": {"name": "other"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": other["metadata"]["uid"]}
    live = await crowd.get(DEPLOYMENTS, "poison")
    owners = [*live["metadata"]["ownerReferences"], reference]
    path = DEPLOYMENTS.path(crowd.namespace, "poison")
    await crowd.send("PATCH", path, {"metadata": {"ownerReferences": owners}})
    await crowd.replace("apps", "poison", app(command=["new"]))
    await crowd.settled("apps", ["poison"], SECONDS)
    live = await crowd.get(DEPLOYMENTS, "poison")
    assert live["spec"]["template"]["spec"]["containers"][0]["command"] == ["new"]
    assert [one["name"] for one in live["metadata"]["ownerReferences"] if one.get("controller")] == ["poison"]
    await health.falls_quiet(proxy, crowd.namespace)
    health.is_unharmed(operator)


async def _neighbour_is_well(crowd: Crowd, name: str = "neighbour") -> None:
    """An App as any other, made after the poisoned one."""
    begun = time.monotonic()
    await crowd.create("apps", name, app(ports=[{"name": "http", "port": 80}]))
    found = (await crowd.settled("apps", [name], USUAL_SECONDS))[name]
    assert found.reason == "RolledOut", f"after {time.monotonic() - begun:.0f} s: {found.owner.get('status')}"


async def _can_be_deleted(crowd: Crowd, name: str) -> None:
    await crowd.send("DELETE", APPS.path(crowd.namespace, name))
    await crowd.gone(APPS, name, SECONDS)
    await crowd.gone(DEPLOYMENTS, name, SECONDS)


def _says(found: Seen, reason: str, words: tuple[str, ...], stalled: bool) -> None:
    conditions = {one["type"]: one for one in found.owner.get("status", {}).get("conditions", ())}
    ready = conditions["Ready"]
    assert ready["reason"] == reason, ready
    assert (conditions["Stalled"]["status"] == "True") == stalled, conditions
    assert all(word in ready["message"] for word in words), ready


async def _largest(crowd: Crowd, name: str) -> int:
    """Create the largest App that etcd takes, to within 64 bytes: its characters."""
    fits, too_large = 1024 * KIB, 1536 * KIB
    while too_large - fits > 64:
        tried = (fits + too_large) // 2
        made = await crowd.create("apps", "probe", _of_size(tried))
        if made is None:
            too_large = tried
        else:
            fits = tried
            await crowd.send("DELETE", APPS.path(crowd.namespace, "probe"))
            await crowd.gone(APPS, "probe", SECONDS)
    assert await crowd.create("apps", name, _of_size(fits)) is not None
    return fits


def _of_size(characters: int) -> Spec:
    whole, rest = divmod(characters, 50)
    values = env(50, whole)
    values[0]["value"] += "x" * rest
    return app(env=values)
