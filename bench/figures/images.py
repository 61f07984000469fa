"""200 Images at once in namespaces of unequal size: the cap, fair turns, and what an Image costs the API server.

Their build Jobs are real, but no container runs: kwok ends each pod with the report of a build whose image is already
in the registry. Operator, Jobs, Job controller and registry are what they always are.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bench import admissions, audit, cold, kwok, registry
from bench.admissions import JobSeen
from bench.background import background
from bench.ground import BUILDS_NAMESPACE, Ground
from bench.kube import create_all, until
from bench.registry import Pushed
from bench.results import Figure
from bench.world import stop
from devcluster.outside import Operator
from keelway.api.buildrequest import BuildReport, Step
from keelway.api.meta import API_VERSION
from keelway.api.resources import BUILDS, IMAGES, JOBS

CAP: Final = 4
"""KEELWAY_MAX_BUILDS."""
MOST_WRITES: Final = 8
# Places that become free together may go to one namespace each before the others' next turn.
MOST_LEAD: Final = CAP
SIZES: Final = {"bench-images-large": 110, **{f"bench-images-{number}": 10 for number in range(9)}}
TESTED: Final = {"bench-images-tested": 20}
_READY_SECONDS: Final = 600.0


@dataclass
class Told:
    """What the watches told, in order."""

    jobs: list[JobSeen] = field(default_factory=list)
    builds: dict[str, float] = field(default_factory=dict)
    ready: set[tuple[str, str]] = field(default_factory=set)


async def measure(ground: Ground) -> list[Figure]:
    """First without tests, which has the limits; then some Images with one test each, shown beside."""
    every = {**SIZES, **TESTED}
    repositories = [f"{namespace}/{name}" for namespace, count in every.items() for name in _names(count)]
    for namespace in every:
        await ground.bare_namespace(namespace)
    async with registry.holding(ground, repositories) as pushed, kwok.nodes(ground, _report(pushed)):
        operator = ground.operator(
            {"KEELWAY_REGISTRY_ENDPOINT": pushed.address, "KEELWAY_MAX_BUILDS": str(CAP)},
        )
        operator.start()
        try:
            await cold.barrier(operator)
            await cold.at_rest(ground, operator)
            figures = await _build_all(ground, operator, SIZES, tested=False)
            figures += await _build_all(ground, operator, TESTED, tested=True)
        finally:
            stop(operator)
            await ground.clear()
    return figures


async def _build_all(ground: Ground, operator: Operator, sizes: dict[str, int], tested: bool) -> list[Figure]:
    total = sum(sizes.values())
    images = [_image(namespace, name, tested) for namespace, count in sizes.items() for name in _names(count)]
    mark = ground.audit.mark()
    async with _following(ground) as told:
        await create_all(ground.kube, IMAGES, images)

        async def all_ready() -> bool:
            return len(told.ready) >= total

        await until(f"a version of each of {total} Images", all_ready, _READY_SECONDS)
        await cold.at_rest(ground, operator)
    asked = ground.audit.since(mark, cold.AGENT)
    written = audit.writes(asked)
    what = f"{total} Images{' with a test' if tested else ''}"
    tally = {key: round(count / total, 2) for key, count in audit.tally(written).items()}
    print(f"  {what}, writes an Image: {tally}", flush=True)
    figures = [
        Figure(f"{what}, writes an Image", len(written) / total, limit=None if tested else MOST_WRITES),
        Figure(f"{what}, Events an Image", len(audit.events(asked)) / total),
        Figure(f"{what}, builds at once", admissions.most_at_once(told.jobs), limit=CAP),
    ]
    return figures if tested else [*figures, *_fairness(told, sizes)]


def _fairness(told: Told, sizes: dict[str, int]) -> list[Figure]:
    """From when all Builds wait: those that were made before had no rivals."""
    turns = admissions.admitted(told.jobs)
    begun = max(told.builds.values())
    late = [job.namespace for job in turns if job.time > begun]
    waiting = Counter(late)
    small = [place for place, namespace in enumerate(late) if sizes[namespace] < max(sizes.values())]
    before_last_small = late[: small[-1]] if small else []
    return [
        Figure(
            "largest lead of a namespace over one that waits, turns",
            admissions.largest_lead(late, waiting),
            limit=MOST_LEAD,
        ),
        Figure(
            "builds of the large namespace before the last of the small ones", len(before_last_small) - len(small) + 1
        ),
        Figure("builds of a small namespace", min(sizes.values())),
        Figure("all of them", turns[-1].time - turns[0].time, "s"),
    ]


@asynccontextmanager
async def _following(ground: Ground) -> AsyncIterator[Told]:
    told, since = Told(), await ground.kube.revision()

    async def jobs() -> None:
        async for one in ground.kube.watch(JOBS, BUILDS_NAMESPACE, since):
            told.jobs.append(admissions.seen(one.type, one.obj, one.time))

    async def builds() -> None:
        async for one in ground.kube.watch(BUILDS, None, since):
            told.builds.setdefault(one.obj["metadata"]["uid"], one.time)

    async def images() -> None:
        async for one in ground.kube.watch(IMAGES, None, since):
            metadata = one.obj["metadata"]
            if one.obj.get("status", {}).get("latest"):
                told.ready.add((metadata["namespace"], metadata["name"]))

    async with background(jobs(), builds(), images()):
        yield told


def _names(count: int) -> list[str]:
    return [f"image-{number:03}" for number in range(count)]


def _image(namespace: str, name: str, tested: bool) -> dict[str, Any]:
    files = [{"name": "Dockerfile", "content": f"FROM scratch\nUSER {registry.USER}\n"}]
    spec: dict[str, Any] = {"source": {"inline": {"files": files}}}
    if tested:
        spec["tests"] = [{"name": "starts", "command": ["/app", "--version"]}]
    return {
        "apiVersion": API_VERSION,
        "kind": "Image",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _report(pushed: Pushed) -> str:
    """What a build Job's pod ends with."""
    report = BuildReport(
        ok=True,
        step=Step.PUSH,
        reason="Pushed",
        digest=pushed.digest,
        user=str(registry.USER),
        run_as_user=registry.USER,
    )
    return report.encode().decode()
