"""Twenty Images of one base, changed at once, against buildctl's own times for the same builds. On the dev cluster."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench import buildctl, web
from bench.buildctl import Buildctl
from bench.building import Told, following
from bench.dev import Dev, Tenant
from bench.kube import at_once, quiet
from bench.results import Figure, median
from keelway.api.resources import IMAGES

COUNT: Final = 20
ROUNDS: Final = 3
MOST: Final = 1.3
_NAMES: Final = tuple(f"image-{number:02}" for number in range(COUNT))


@dataclass(frozen=True)
class Round:
    """Seconds: from the first change until the last digest, and what each buildctl took, `parallel` at once."""

    total: float
    own: Sequence[float]
    parallel: int

    @property
    def share(self) -> float:
        """What buildctl alone would take for all, as `parallel` builders that are never idle."""
        return sum(self.own) / self.parallel

    @property
    def ratio(self) -> float:
        """How much longer the operator took."""
        return self.total / self.share


async def measure(dev: Dev) -> list[Figure]:
    """The operator's rounds and buildctl's in turn, after a first build of each Image."""
    async with dev.tenant() as tenant, buildctl.beside(dev) as rival, following(tenant) as told:
        await _change_all(tenant, told, "first")
        rounds = [await _round(tenant, told, rival, number) for number in range(ROUNDS)]
    return figures(rounds)


async def _round(tenant: Tenant, told: Told, rival: Buildctl, number: int) -> Round:
    dev = tenant.dev
    await quiet(dev.kube)
    total = await _change_all(tenant, told, f"operator-{number}")
    await quiet(dev.kube)
    builds = [buildctl.changed(told.given[name], f"buildctl-{number}-{name}") for name in _NAMES]
    parallel = dev.deployed.max_builds
    one = Round(total, await rival.seconds(builds, parallel), parallel)
    print(f"  {COUNT} Images: {one.total:.1f} s; buildctl: {one.share:.1f} s", flush=True)
    return one


async def _change_all(tenant: Tenant, told: Told, answer: str) -> float:
    """Another file in each, which no other has: seconds from the first change until the last digest."""
    before = {name: told.latest(name) for name in _NAMES}
    begun = time.time()

    async def change(name: str) -> None:
        await tenant.apply(IMAGES, web.image(tenant.name, name, f"{answer}-{name}"))

    await at_once(change, _NAMES, COUNT)
    return max([(await told.after(name, before[name]))[1] for name in _NAMES]) - begun


def figures(rounds: Sequence[Round]) -> list[Figure]:
    """PURE."""
    what = f"{COUNT} Images of one base changed at once"
    alone = f"buildctl alone for these {COUNT}, {rounds[0].parallel} at once"
    return [
        Figure(f"{what} / {alone}, median of {len(rounds)}", median([one.ratio for one in rounds]), limit=MOST),
        Figure(f"{what}, until the last digest is in status", median([one.total for one in rounds]), "s"),
        Figure(f"{alone}, sum of their times / {rounds[0].parallel}", median([one.share for one in rounds]), "s"),
    ]
