"""What lies in the cluster and is none of Keelway's business must cost it nothing."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from bench import cold
from bench.kube import create_all
from bench.results import Figure, median
from bench.world import World
from keelway.api.resources import CONFIG_MAPS, DEPLOYMENTS, SECRETS, Resource

EACH: Final = 10_000
MOST_PERCENT: Final = 2.0
STARTS: Final = 3
NAMESPACE: Final = "bench-foreign"


async def measure(world: World, each: int = EACH) -> list[Figure]:
    """Growth of an operator that runs meanwhile, and of one that starts among them."""
    alone = await _starts(world)
    await world.ground.bare_namespace(NAMESPACE)
    try:
        for kind, make in FOREIGN:
            await create_all(world.ground.kube, kind, _objects(make, each))
        await cold.at_rest(world.ground, world.operator)
        meanwhile = await world.memory()
        afresh = await _starts(world)
    finally:
        await world.ground.remove((kind, NAMESPACE) for kind, _ in FOREIGN)
        await world.ground.quiet()
    growth = {
        "while it ran": growth_percent(alone[-1], meanwhile),
        "after a restart": growth_percent(median(alone), median(afresh)),
    }
    what = f"memory growth by {len(FOREIGN) * each} unrelated objects"
    return [
        Figure(f"{what}, the worse", max(growth.values()), "%", MOST_PERCENT),
        *(Figure(f"{what}, {when}", percent, "%") for when, percent in growth.items()),
        Figure(f"memory with {world.apps} Apps before them", median(alone), "MiB"),
    ]


async def _starts(world: World) -> list[float]:
    """MiB after each of some starts: one alone may differ from the next by more than is looked for here."""
    found = []
    for _ in range(STARTS):
        await world.restart()
        found.append(await world.memory())
    return found


def growth_percent(before: float, after: float) -> float:
    """By how much of `before` it has grown."""
    return (after / before - 1) * 100


def _objects(make: Callable[[], dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"metadata": {"name": f"foreign-{number:05}", "namespace": NAMESPACE}, **make()}


def _config_map() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": {"settings": "x" * 1024}}


def _secret() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "x" * 1024}}


def _deployment() -> dict[str, Any]:
    """Paused and of no pods: else 10,000 ReplicaSets would come with them."""
    labels = {"app": "foreign"}
    container = {"name": "main", "image": "registry.example.com/foreign:1"}
    spec = {
        "replicas": 0,
        "paused": True,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}


FOREIGN: Final[tuple[tuple[Resource, Callable[[], dict[str, Any]]], ...]] = (
    (CONFIG_MAPS, _config_map),
    (SECRETS, _secret),
    (DEPLOYMENTS, _deployment),
)
