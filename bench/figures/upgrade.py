"""A newer operator, whose builder adds a field to the pods: those that run must not be restarted by it."""

import asyncio
from typing import Any, Final

from bench import cold, kwok, newer_operator, objects
from bench.errors import BenchError
from bench.ground import Ground
from bench.kube import create_all, until
from bench.newer_operator import ANNOTATION, HISTORY
from bench.results import Figure
from bench.world import World, stop
from keelway.api.resources import APPS, DEPLOYMENTS, PODS

APPS_COUNT: Final = 100
NAMESPACE: Final = "bench-upgrade"
_SERVING_SECONDS: Final = 180.0
# The Deployment controller makes the pods of a new template at once.
_ROLL_SECONDS: Final = 5.0


async def measure(ground: Ground) -> list[Figure]:
    """Pods whose uid is another after the newer operator has settled all Apps."""
    await ground.namespace(NAMESPACE, pods=True)
    async with kwok.nodes(ground):
        await create_all(ground.kube, APPS, map(_app, objects.app_names(APPS_COUNT)))
        operator = ground.operator()
        world = World(ground, APPS_COUNT, operator, await cold.run(ground, operator, NAMESPACE))
        try:
            await until("a pod of each App serves", lambda: _all_serve(ground), _SERVING_SECONDS)
            before = await _pods(ground)
            await world.restart(program=newer_operator.PROGRAM)
            await until("all Deployments of the newer builder", lambda: _all_newer(ground), _SERVING_SECONDS)
            await asyncio.sleep(_ROLL_SECONDS)
            restarted = len(before - await _pods(ground))
            await _check_that_it_would_roll(ground)
        finally:
            stop(world.operator)
            await ground.clear()
    return [
        Figure(f"operator upgraded over {APPS_COUNT} Apps, pods restarted", restarted, limit=0),
        Figure("pods before the upgrade", len(before)),
    ]


async def _check_that_it_would_roll(ground: Ground) -> None:
    """An App's own next release takes the new field: so the builder of before the upgrade is not simply still there."""
    name = objects.app_names(1)[0]
    await ground.kube.patch(APPS, NAMESPACE, name, objects.edited("after the upgrade"))

    async def has_field() -> bool:
        deployment = await ground.kube.get(DEPLOYMENTS, NAMESPACE, name)
        return ANNOTATION in (deployment["spec"]["template"]["metadata"].get("annotations") or {})

    await until("the new field in an App's own next release", has_field, _SERVING_SECONDS)


async def _all_serve(ground: Ground) -> bool:
    found = await ground.kube.list_all(DEPLOYMENTS, NAMESPACE)
    serving = [one for one in found if one.get("status", {}).get("availableReplicas") == 1]
    return len(serving) == APPS_COUNT


async def _all_newer(ground: Ground) -> bool:
    found = await ground.kube.list_all(DEPLOYMENTS, NAMESPACE)
    return all(one["spec"]["revisionHistoryLimit"] == HISTORY for one in found)


async def _pods(ground: Ground) -> set[str]:
    """uids of the pods that run and are not about to go."""
    pods = await ground.kube.list_all(PODS, NAMESPACE)
    found = {one["metadata"]["uid"] for one in pods if "deletionTimestamp" not in one["metadata"]}
    if len(found) < APPS_COUNT:
        raise BenchError(f"{len(found)} pods for {APPS_COUNT} Apps")
    return found


def _app(name: str) -> dict[str, Any]:
    """One pod, and no autoscaler."""
    app = objects.app(NAMESPACE, name)
    spec = {key: value for key, value in app["spec"].items() if key != "autoscale"}
    return {**app, "spec": {**spec, "replicas": 1}}
