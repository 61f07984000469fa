"""One Image whose inline file changes: how much longer than buildctl alone until its digest, and until its new pod
serves; and that the same inputs make no Job. On the dev cluster."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench import buildctl, web
from bench.asker import Heard, asking
from bench.buildctl import Buildctl
from bench.building import Told, following
from bench.dev import Dev, Tenant
from bench.errors import BenchError
from bench.kube import quiet, until
from bench.results import Figure, median
from keelway.api.options import Priority
from keelway.api.resources import APPS, IMAGES, PODS
from keelway.children import names

ROUNDS: Final = 7
DIGEST_SECONDS: Final = 2.0
SERVES_SECONDS: Final = 4.0
_IMAGE: Final = web.APP
# No input of a build (keelway/api/buildoptions.py).
_ELSE: Final = {"priority": Priority.HIGH.value}
_REST_SECONDS: Final = 180.0


@dataclass(frozen=True)
class Round:
    """Seconds: buildctl's own, and from the change until digest, ready pod and answer."""

    own: float
    digest: float
    ready: float
    serves: float


@dataclass(frozen=True)
class _Place:
    tenant: Tenant
    told: Told
    heard: Heard
    rival: Buildctl


async def measure(dev: Dev) -> list[Figure]:
    """The operator's rounds and buildctl's in turn; the first of each is not counted."""
    async with dev.tenant() as tenant, buildctl.beside(dev) as rival, following(tenant) as told:
        await tenant.apply(APPS, web.app(tenant.name))
        await tenant.apply(IMAGES, web.image(tenant.name, _IMAGE, "first"))
        await told.after(_IMAGE, None)
        async with asking(tenant, web.url(tenant.name)) as heard:
            place = _Place(tenant, told, heard, rival)
            await heard.at("first")
            rounds = [await _round(place, number) for number in range(ROUNDS + 1)]
            jobs = await _jobs_of_the_same(place)
    return [*figures(rounds[1:]), Figure("the same inputs applied again, Jobs", jobs, limit=0)]


async def _round(place: _Place, number: int) -> Round:
    tenant, told = place.tenant, place.told
    await _at_rest(tenant)
    answer, before, begun = f"operator-{number}", told.latest(_IMAGE), time.time()
    await tenant.apply(IMAGES, web.image(tenant.name, _IMAGE, answer))
    reference, digest = await told.after(_IMAGE, before)
    serves = await place.heard.at(answer)
    await _at_rest(tenant)
    [own] = await place.rival.seconds([buildctl.changed(told.given[_IMAGE], f"buildctl-{number}")])
    one = Round(own, digest - begun, told.ready[reference] - begun, serves - begun)
    print(f"  {one}", flush=True)
    return one


def figures(rounds: Sequence[Round]) -> list[Figure]:
    """PURE: the differences are taken round by round, for what disturbs one side of a round disturbs the other, too."""
    what = "inline file changed until"
    digest = median([one.digest - one.own for one in rounds])
    serves = median([one.serves - one.own for one in rounds])
    return [
        Figure(f"{what} its digest is in status, more than buildctl takes", digest, "s", DIGEST_SECONDS),
        Figure(f"{what} the new pod serves, more than buildctl takes", serves, "s", SERVES_SECONDS),
        Figure("buildctl alone for that build", median([one.own for one in rounds]), "s"),
        Figure(f"{what} its digest is in status", median([one.digest for one in rounds]), "s"),
        Figure(f"{what} the new pod is ready", median([one.ready for one in rounds]), "s"),
        Figure(f"{what} the new pod serves", median([one.serves for one in rounds]), "s"),
    ]


async def _jobs_of_the_same(place: _Place) -> int:
    """Jobs that are made for an Image which is annotated, applied again, and changed where no build looks.

    That all three were looked at is told by a status of the last change's generation. That the watch has brought all
    Jobs until then is told by the Job of one more change, which it brings after them.
    """
    tenant, told = place.tenant, place.told
    await _at_rest(tenant)
    before, image = set(told.jobs), web.image(tenant.name, _IMAGE, f"operator-{ROUNDS}")
    annotated = {"metadata": {"annotations": {"example.com/touched": "yes"}}}
    await tenant.dev.kube.patch(IMAGES, tenant.name, _IMAGE, annotated)
    await tenant.apply(IMAGES, image)
    await tenant.apply(IMAGES, {**image, "spec": {**image["spec"], "build": _ELSE}})
    changed = await tenant.dev.kube.get(IMAGES, tenant.name, _IMAGE)
    await told.observes(_IMAGE, changed["metadata"]["generation"])
    latest = told.latest(_IMAGE)
    await tenant.apply(IMAGES, web.image(tenant.name, _IMAGE, "last", build=_ELSE))
    await told.after(_IMAGE, latest)
    made = told.jobs - before
    if not made:
        raise BenchError("a change of the file has made no Job, so that the watch of Jobs tells nothing")
    return len(made) - 1


async def _at_rest(tenant: Tenant) -> None:
    """The App's old pod is gone, and nobody writes much."""
    labels = names.app_selector(web.APP)
    selector = ",".join(f"{key}={value}" for key, value in labels.items())

    async def is_one() -> bool:
        pods: list[dict[str, Any]] = await tenant.dev.kube.list_all(PODS, tenant.name, selector)
        return len(pods) == 1 and web.is_ready(pods[0])

    await until("one pod of the App", is_one, _REST_SECONDS)
    await quiet(tenant.dev.kube)
