"""Side by side: the bare client and the operator write the same children for N Apps, in turn, each from nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench import audit, bare, cold, objects
from bench.bare import Bare
from bench.cold import Cold
from bench.errors import BenchError
from bench.figures import size
from bench.ground import Ground
from bench.results import Figure, median
from bench.world import NAMESPACE, stop
from keelway.api.resources import APPS, DEPLOYMENTS, HPAS, IMAGES, SERVICES
from keelway.children.base import HASH_ANNOTATION

LIMIT: Final = 1.35


@dataclass(frozen=True)
class Pair:
    """One round."""

    bare: Bare
    cold: Cold


def bare_name(apps: int) -> str:
    """The figure of the bare client's seconds."""
    return f"bare client, {apps} Apps"


async def measure(ground: Ground, apps: int = 500, rounds: int = 3) -> list[Figure]:
    """The ratio, of the medians of `rounds`."""
    pairs = []
    for number in range(rounds):
        pair = Pair(await run_bare(ground, apps), await run_cold(ground, apps))
        pairs.append(pair)
        print(f"round {number + 1} of {rounds}, {apps} Apps:", *breakdown(pair, apps), sep="\n  ", flush=True)
    return list(_figures(pairs, apps))


async def run_bare(ground: Ground, apps: int) -> Bare:
    """The bare client, over Apps that no operator looks at. Leaves nothing."""
    await _fresh(ground, apps)
    image = await ground.kube.get(IMAGES, NAMESPACE, objects.IMAGE)
    found = await ground.kube.list_all(APPS, NAMESPACE)
    children = [child for app in found for child in objects.children(app, image)]
    result = await bare.write(ground.kubeconfig, children)
    await _check(ground, apps)
    await ground.clear()
    return result


async def run_cold(ground: Ground, apps: int) -> Cold:
    """The operator. Leaves nothing."""
    await _fresh(ground, apps)
    operator = ground.operator()
    try:
        result = await cold.run(ground, operator, NAMESPACE)
        await _check(ground, apps)
    finally:
        stop(operator)
    await ground.clear()
    return result


async def _fresh(ground: Ground, apps: int) -> None:
    await ground.namespace(NAMESPACE)
    await ground.apps(NAMESPACE, apps)
    await ground.quiet()


async def _check(ground: Ground, apps: int) -> None:
    """All children are there, and to the hash those that the builders make: both sides do the same work."""
    image = await ground.kube.get(IMAGES, NAMESPACE, objects.IMAGE)
    owners = {app["metadata"]["name"]: app for app in await ground.kube.list_all(APPS, NAMESPACE)}
    wanted = {
        (str(resource), name): child["metadata"]["annotations"][HASH_ANNOTATION]
        for name, owner in owners.items()
        for resource, child in objects.children(owner, image)
    }
    found = {
        (str(kind), one["metadata"]["name"]): one["metadata"]["annotations"][HASH_ANNOTATION]
        for kind in (SERVICES, DEPLOYMENTS, HPAS)
        for one in await ground.kube.list_all(kind, NAMESPACE)
    }
    if found != wanted or len(owners) != apps:
        raise BenchError(f"{len(found)} children, of which {len(found.items() & wanted.items())} as wanted")


def breakdown(pair: Pair, apps: int) -> Iterator[str]:
    """Where the time went, as lines to read."""
    bare, cold = pair.bare, pair.cold
    asked = {what: f"{count / apps:.2f}" for what, count in audit.tally(cold.asked).items() if count * 20 >= apps}
    yield f"bare {bare.seconds:.2f} s (CPU {bare.cpu:.2f} s), operator {cold.seconds:.2f} s (CPU {cold.cpu:.2f} s)"
    yield f"ratio {cold.seconds / bare.seconds:.2f}; process start to barrier {cold.started:.2f} s"
    yield f"an App: {len(audit.writes(cold.asked)) / apps:.2f} writes, {len(audit.reads(cold.asked)) / apps:.2f} reads"
    yield f"requests an App: {asked}"


def _figures(pairs: list[Pair], apps: int) -> Iterator[Figure]:
    yield Figure(
        f"operator / bare client, {apps} Apps, median of {len(pairs)}",
        median([one.cold.seconds for one in pairs]) / median([one.bare.seconds for one in pairs]),
        limit=LIMIT,
    )
    yield Figure(bare_name(apps), median([one.bare.seconds for one in pairs]), "s")
    yield Figure(size.seconds_name(apps), median([one.cold.seconds for one in pairs]), "s")
    yield Figure("bare client, CPU", median([one.bare.cpu for one in pairs]), "s")
    yield Figure("operator, CPU", median([one.cold.cpu for one in pairs]), "s")
    yield Figure(f"operator, start until cache complete, {apps} Apps", median([one.cold.started for one in pairs]), "s")
