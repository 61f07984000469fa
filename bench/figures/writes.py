"""What one App costs the API server, by its own audit log: a new one, and one for which nothing is to be done."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from bench import audit, cold, objects
from bench.audit import Asked
from bench.errors import BenchError
from bench.kube import at_once, create_all, until
from bench.results import Figure
from bench.world import NAMESPACE, World
from keelway.api.resources import APPS

NEW: Final = 10
TOUCHED: Final = 100
MOST_WRITES: Final = 5
MOST_EVENTS: Final = 2
_PASS_SECONDS: Final = 30.0


async def measure(world: World) -> list[Figure]:
    """Both; the new Apps are gone afterwards."""
    return [*await _new(world), await _idle_passes(world)]


async def _new(world: World) -> list[Figure]:
    ground, names = world.ground, [f"new-{number}" for number in range(NEW)]
    mark = ground.audit.mark()
    await create_all(ground.kube, APPS, (objects.app(NAMESPACE, name) for name in names))

    async def all_done() -> bool:
        found = await ground.kube.list_all(APPS, NAMESPACE)
        return all(cold.is_done(one) for one in found if one["metadata"]["name"] in names)

    await until("the new Apps done", all_done, _PASS_SECONDS)
    await cold.at_rest(ground, world.operator)
    asked = ground.audit.since(mark, cold.AGENT)
    await at_once(lambda name: ground.kube.delete(APPS, NAMESPACE, name), names)
    await cold.at_rest(ground, world.operator)
    per_app = by_name(audit.writes(asked), names)
    print("  a new App asks for:", {what: n / NEW for what, n in audit.tally(asked).items() if n >= NEW}, flush=True)
    return [
        Figure("writes for one new App with three children", max(per_app.values()), limit=MOST_WRITES),
        # An Event's name is not in the log when it is created, so these are a mean.
        Figure("Events for one new App", len(audit.events(asked)) / NEW, limit=MOST_EVENTS),
        Figure("reads before the first apply for one new App", max(first_reads(asked, names).values())),
    ]


async def _idle_passes(world: World) -> Figure:
    """An annotation is seen, so there is a pass; it asks for nothing."""
    ground, names = world.ground, objects.app_names(world.apps)[:TOUCHED]
    mark, before = ground.audit.mark(), world.passes()
    touch = {"metadata": {"annotations": {"example.com/touched": "yes"}}}
    await at_once(lambda name: ground.kube.patch(APPS, NAMESPACE, name, touch), names)

    async def looked_at() -> bool:
        return world.passes() - before >= len(names)

    await until("a pass over each touched App", looked_at, _PASS_SECONDS)
    await cold.at_rest(ground, world.operator)
    asked = ground.audit.since(mark, cold.AGENT)
    if not asked:
        raise BenchError("the audit log knows nothing of the operator, not even its lease")
    writes = audit.writes(asked)
    return Figure(f"writes for {len(names)} passes with nothing to do", len(writes), limit=0)


def by_name(asked: Iterable[Asked], names: Sequence[str]) -> Counter[str]:
    """How many requests name each App: its children are called as it is. Raises BenchError where one has none."""
    counts = Counter(one.name for one in asked if one.name in names)
    if len(counts) < len(names):
        raise BenchError(f"the audit log knows {len(counts)} of {len(names)} new Apps")
    return counts


def first_reads(asked: Sequence[Asked], names: Iterable[str]) -> dict[str, int]:
    """How many reads name each App before its first write is answered."""
    found = {}
    for name in names:
        own = [one for one in asked if one.name == name]
        first = min((one.answered for one in own if one.is_write), default=0.0)
        found[name] = sum(one.is_read and one.answered <= first for one in own)
    return found
