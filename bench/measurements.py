"""All measurements by name, in the order in which they run. Those of one number of Apps share one world, and those on
the dev cluster come first."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bench.dev import Dev
from bench.figures import (
    builds,
    edits,
    idle,
    images,
    many_builds,
    neighbours,
    ratio,
    restart,
    size,
    sweeps,
    unrelated,
    upgrade,
    writes,
)
from bench.ground import Ground
from bench.results import Figure
from bench.world import World


@dataclass(frozen=True)
class Alone:
    """A measurement that begins with an empty cluster."""

    name: str
    measure: Callable[[Ground], Awaitable[list[Figure]]]


@dataclass(frozen=True)
class InWorld:
    """A measurement over so many settled Apps, which it leaves as they were."""

    name: str
    apps: int
    measure: Callable[[World], Awaitable[list[Figure]]]


@dataclass(frozen=True)
class OnDev:
    """A measurement of real builds, on the dev cluster."""

    name: str
    measure: Callable[[Dev], Awaitable[list[Figure]]]


Measurement = Alone | InWorld | OnDev

ALL: Final[tuple[Measurement, ...]] = (
    OnDev("builds", builds.measure),
    OnDev("many-builds", many_builds.measure),
    Alone("ratio", ratio.measure),
    InWorld("size-0", 0, size.measure),
    InWorld("size-1000", 1000, size.measure),
    InWorld("writes", 1000, writes.measure),
    InWorld("edits", 1000, edits.measure),
    InWorld("sweeps", 1000, sweeps.measure),
    InWorld("unrelated", 1000, unrelated.measure),
    InWorld("size-3000", 3000, size.measure),
    InWorld("restart", 3000, restart.measure),
    InWorld("idle", 3000, idle.measure),
    Alone("neighbours", neighbours.measure),
    Alone("images", images.measure),
    Alone("upgrade", upgrade.measure),
)
