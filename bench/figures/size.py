"""What a number of Apps costs: seconds from cold, memory; and whether the last of them come as fast as the first."""

from collections.abc import Sequence
from typing import Final

from bench import audit
from bench.results import Figure
from bench.world import World

MEMORY_MIB: Final = {0: 100.0, 1000: 150.0, 3000: 250.0}
GROUP: Final = 100
FLATNESS: Final = 1.3
_FLATNESS_AT: Final = 1000


def seconds_name(apps: int) -> str:
    """The figure of seconds from cold; `plot.py` finds it by this."""
    return f"operator, {apps} Apps"


def memory_name(apps: int) -> str:
    """The figure of resident memory."""
    return f"memory with {apps} Apps"


async def measure(world: World) -> list[Figure]:
    """The figures of the world's number of Apps."""
    apps, cold = world.apps, world.cold
    figures = [Figure(memory_name(apps), await world.memory(), "MiB", MEMORY_MIB.get(apps))]
    if apps == 0:
        return figures
    figures += [
        Figure(seconds_name(apps), cold.seconds, "s"),
        Figure(f"operator, {apps} Apps, Apps a second", apps / cold.seconds, "1/s"),
        Figure(f"operator, {apps} Apps, CPU", cold.cpu, "s"),
        Figure(f"operator, {apps} Apps, process start until cache complete", cold.started, "s"),
        Figure(f"operator, {apps} Apps, process start until done", cold.started + cold.seconds, "s"),
        Figure(f"operator, {apps} Apps, writes an App", len(audit.writes(cold.asked)) / apps),
    ]
    if apps >= 2 * GROUP:
        limit = FLATNESS if apps == _FLATNESS_AT else None
        figures.append(Figure(f"last {GROUP} of {apps} Apps / first {GROUP}", flatness(cold.completed), limit=limit))
    return figures


def flatness(completed: Sequence[float]) -> float:
    """How much longer the last GROUP took than the first: both timed from their first App's end to their last's.

    What lies before the first end (the first passes, all under way at once) belongs to no group.
    """
    first = completed[GROUP - 1] - completed[0]
    last = completed[-1] - completed[-GROUP]
    return last / first
