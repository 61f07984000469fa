"""`python -m bench [NAME...]`: all measurements, or the named ones.

On the cluster keelway-bench; those of real builds on the dev cluster. In a run on both, the other one is paused.

All of them write bench/results.json, the table of bench/README.md and its picture; some only print.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from pathlib import Path

from bench import dev, plot, table
from bench.aside import aside
from bench.ground import Ground, prepared
from bench.measurements import ALL, Alone, InWorld, Measurement, OnDev
from bench.results import Figure
from bench.world import settled
from devcluster import settings
from devcluster.settings import Settings

_SECONDS_EACH = 900.0
_HERE = Path(__file__).parent


def run(chosen: Sequence[Measurement], apps: int | None) -> list[Figure]:
    """What they measure, in order. One that fails is a figure that is not ok, and the others go on."""
    ours, theirs = settings.from_environment("bench"), settings.from_environment()
    built = [one for one in chosen if isinstance(one, OnDev)]
    others = [one for one in chosen if not isinstance(one, OnDev)]
    both = bool(built and others)
    figures: list[Figure] = []
    if built:
        with aside(ours) if both else nullcontext():
            figures += asyncio.run(_on_dev(theirs, built))
    if others:
        with aside(theirs) if both else nullcontext():
            figures += asyncio.run(_on_ground(ours, others, apps))
    return figures


async def _on_dev(here: Settings, chosen: Sequence[OnDev]) -> list[Figure]:
    figures: list[Figure] = []
    try:
        async with dev.opened(here) as opened:
            for one in chosen:
                figures += await _guarded(one.name, one.measure(opened))
    except Exception:
        traceback.print_exc()
        figures.append(_failed("real builds"))
    return figures


async def _on_ground(here: Settings, chosen: Sequence[Alone | InWorld], apps: int | None) -> list[Figure]:
    figures: list[Figure] = []
    async with prepared(here, here.state / "bench") as ground:
        for world_apps, group in itertools.groupby(chosen, key=_apps_of):
            if world_apps is None:
                for one in group:
                    assert isinstance(one, Alone)
                    figures += await _guarded(one.name, one.measure(ground))
            else:
                figures += await _in_world(ground, apps if apps and world_apps else world_apps, list(group))
    return figures


def _apps_of(measurement: Alone | InWorld) -> int | None:
    return measurement.apps if isinstance(measurement, InWorld) else None


async def _in_world(ground: Ground, apps: int, group: Sequence[Alone | InWorld]) -> list[Figure]:
    figures: list[Figure] = []
    try:
        async with settled(ground, apps) as world:
            for one in group:
                assert isinstance(one, InWorld)
                figures += await _guarded(one.name, one.measure(world))
    except Exception:
        traceback.print_exc()
        figures.append(_failed(f"{apps} Apps"))
    return figures


async def _guarded(name: str, measuring: Awaitable[list[Figure]]) -> list[Figure]:
    begun = time.monotonic()
    print(f"-- {name} ...", flush=True)
    try:
        figures = await asyncio.wait_for(measuring, _SECONDS_EACH)
    except Exception:
        traceback.print_exc()
        figures = [_failed(name)]
    print(f"-- {name}: {time.monotonic() - begun:.0f} s", *map(str, figures), sep="\n   ", flush=True)
    return figures


def _failed(name: str) -> Figure:
    return Figure(f"{name}: could not be measured", float("inf"), limit=0)


def publish(figures: Sequence[Figure]) -> None:
    """Write results.json, the table of README.md and its picture."""
    results = [one.to_dict() for one in figures]
    (_HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    readme = _HERE / "README.md"
    readme.write_text(table.replaced(readme.read_text(), table.table(figures)))
    plot.draw(figures, _HERE / "apps.png")


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 where a figure is not ok."""
    names = [one.name for one in ALL]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the operator.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; without any, all")
    parser.add_argument("--apps", type=int, help="another number of Apps for measurements over settled ones")
    parser.add_argument("--publish", action="store_true", help="write what was measured as a full run would")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(names))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(names)}")
    chosen = [one for one in ALL if not given.names or one.name in given.names]
    figures = run(chosen, given.apps)
    if given.publish or not (given.names or given.apps):
        publish(figures)
    print("", *figures, sep="\n")
    return 0 if all(one.ok for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
