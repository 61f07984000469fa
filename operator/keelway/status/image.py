"""PURE: an Image's status: a view of its Builds (contract.md rule 5), computed once at the end of every pass.

Neighbours: `conditions.py` merges; `build.py` writes the records that are looked at here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from keelway.api.build import Build
from keelway.api.image import Image, ImageStatus, LatestImage
from keelway.errors import KeelwayError, Terminal
from keelway.status.build import BUILT, TESTED, Inputs, failed, failure, retryable, succeeded, superseded
from keelway.status.conditions import FALSE, TRUE, UNKNOWN, Fact, Progress, find, merge, summary
from keelway.status.diagnosis import Finding

SOURCE_READY = "SourceReady"
BASE_IMAGES_CHECKED = "BaseImagesChecked"


class Stage(Enum):
    """How far a build that has not ended is; the value is the reason in conditions."""

    QUEUED = "Queued"
    BUILDING = "Building"
    TESTING = "Testing"


@dataclass(frozen=True)
class BaseCheck:
    """How it went to look at so many base images; `problem` is what kept a registry from telling."""

    watched: int
    problem: KeelwayError | None = None


@dataclass(frozen=True)
class ImageObserved:
    """What a pass saw.

    `builds` are the Image's records by number, of which the newest has `started` when it has a Job; `revision` is that
    of the source, and `inputs` are what should be built, both None where that could not be resolved (`source_problem`);
    `problem` is anything that ended the pass early, that included; `bases` are the base images that were looked at,
    and `upstream_by` is until when to wait for the Images above, which are about to change;
    `stage` is set while the newest build has not ended, with `place`, how many are before it in the queue, and
    `finding`, what keeps its pods from starting.
    """

    builds: tuple[Build, ...]
    inputs: Inputs | None = None
    revision: str | None = None
    bases: BaseCheck | None = None
    upstream_by: datetime | None = None
    source_problem: KeelwayError | None = None
    problem: KeelwayError | None = None
    stage: Stage | None = None
    place: int | None = None
    finding: Finding | None = None
    next_check: datetime | None = None
    started: bool = True

    @property
    def newest(self) -> Build | None:
        """The record of the highest number."""
        return self.builds[-1] if self.builds else None

    @property
    def last(self) -> Build | None:
        """The newest record that was not superseded: the last word on what was asked."""
        return next((build for build in reversed(self.builds) if not superseded(build)), None)

    @property
    def latest_good(self) -> Build | None:
        """The newest record that became a version."""
        return next((build for build in reversed(self.builds) if succeeded(build)), None)


def image_status(image: Image, observed: ImageObserved, now: datetime) -> ImageStatus:
    """The whole status."""
    facts = [_source_ready(image, observed), *_bases_checked(observed), *_steps(observed), *_summary(observed)]
    newest = observed.newest
    return ImageStatus(
        conditions=merge(image.status.conditions, facts, image.metadata.generation, now),
        observed_generation=image.metadata.generation,
        latest=_latest(image, observed),
        latest_build=newest.metadata.name if newest else image.status.latest_build,
        observed_build_request=_observed_request(image, observed),
        next_check_time=observed.next_check,
    )


def suspended_status(image: Image, observed: ImageObserved, now: datetime) -> ImageStatus:
    """As last, with reason Suspended; nothing begins, so nothing is reconciling or stalled."""
    last = find(image.status.conditions, "Ready")
    ready = last.status if last else UNKNOWN
    if ready is UNKNOWN and observed.newest is not None and succeeded(observed.newest):
        ready = TRUE  # the build that ran when it was suspended ended well
    kept = [
        Fact(one.type, one.status, one.reason, one.message)
        for one in image.status.conditions
        if one.type in (SOURCE_READY, BASE_IMAGES_CHECKED, BUILT, TESTED)
    ]
    message = "spec.suspend is true: no build starts until it is false again."
    facts = [*kept, *summary(ready, Progress.SETTLED, "Suspended", message)]
    conditions = merge(image.status.conditions, facts, image.metadata.generation, now)
    changes = {
        "conditions": conditions,
        "observed_generation": image.metadata.generation,
        "latest": _latest(image, observed),
        "latest_build": observed.newest.metadata.name if observed.newest else image.status.latest_build,
        "next_check_time": None,
    }
    return image.status.model_copy(update=changes)


def _source_ready(image: Image, observed: ImageObserved) -> Fact:
    if observed.source_problem is not None:
        return Fact(SOURCE_READY, FALSE, observed.source_problem.reason, observed.source_problem.message)
    revision = observed.inputs.revision if observed.inputs is not None else observed.revision
    if revision is not None:
        return Fact(SOURCE_READY, TRUE, "Resolved", f"The source is at {revision}.")
    last = find(image.status.conditions, SOURCE_READY)
    if last is not None and observed.problem is None:
        return Fact(SOURCE_READY, last.status, last.reason, last.message)  # it was not its turn to be asked
    return Fact(SOURCE_READY, UNKNOWN, "NotResolved")


def _bases_checked(observed: ImageObserved) -> list[Fact]:
    """Nothing where there are none to look at; what cannot be looked at changes nothing else."""
    check = observed.bases
    if check is None:
        return []
    if check.problem is not None:
        return [Fact(BASE_IMAGES_CHECKED, FALSE, check.problem.reason, check.problem.message)]
    return [Fact(BASE_IMAGES_CHECKED, TRUE, "Checked", f"Base images that are looked at: {check.watched}.")]


def _steps(observed: ImageObserved) -> list[Fact]:
    """Built and Tested, as the build of today's inputs has them; Unknown before there is one."""
    build = _current(observed)
    known = {one.type: one for one in build.status.conditions} if build else {}
    return [
        Fact(type_, one.status, one.reason, one.message)
        if (one := known.get(type_)) is not None
        else _not_known(type_, build, observed)
        for type_ in (BUILT, TESTED)
    ]


def _not_known(step: str, build: Build | None, observed: ImageObserved) -> Fact:
    """Why a step of the build has no result."""
    if observed.stage is not None:
        return Fact(step, UNKNOWN, observed.stage.value)
    if build is None:
        return Fact(step, UNKNOWN, "NoBuild")
    if failed(build):
        return Fact(step, UNKNOWN, "NotReached", f"{build.metadata.name} failed before.")
    if observed.problem is not None:
        return Fact(step, UNKNOWN, observed.problem.reason)
    return Fact(step, UNKNOWN, Stage.QUEUED.value)


def _current(observed: ImageObserved) -> Build | None:
    """The build of today's inputs; while they are not known, the newest."""
    if observed.stage is not None:
        return observed.newest
    last, good = observed.last, observed.latest_good
    if last is None or observed.inputs is None or observed.inputs.made(last):
        return last
    return good if good is not None and observed.inputs.made(good) else last


def _summary(observed: ImageObserved) -> list[Fact]:
    if observed.problem is not None:
        progress = Progress.STALLED if isinstance(observed.problem, Terminal) else Progress.RECONCILING
        return summary(FALSE, progress, observed.problem.reason, observed.problem.message)
    build = _current(observed)
    if build is None:
        return summary(UNKNOWN, Progress.RECONCILING, "Queued", "The first build is about to start.")
    if observed.stage is not None:
        text = _told(_stage(build, observed), observed.finding)
        return summary(UNKNOWN, Progress.RECONCILING, observed.stage.value, text)
    if succeeded(build):
        return summary(TRUE, Progress.SETTLED, "VersionReady", f"{build.status.version} is {build.status.reference}.")
    if failed(build):
        progress = Progress.RECONCILING if retryable(build) else Progress.STALLED
        told = failure(build)
        return summary(FALSE, progress, told.reason, told.message)
    return summary(UNKNOWN, Progress.RECONCILING, "Queued", f"{build.metadata.name} is about to start.")


def _told(text: str, finding: Finding | None) -> str:
    return f"{text} {finding.message}" if finding is not None else text


def _stage(build: Build, observed: ImageObserved) -> str:
    name = build.metadata.name
    match observed.stage:
        case Stage.BUILDING:
            return f"{name} builds {build.spec.revision}."
        case Stage.TESTING:
            return f"{name} is built; its tests run."
    waits = f"{name} waits for its turn: builds of all namespaces share the build service."
    return f"{waits} {_place(observed.place)}" if observed.place is not None else waits


def _place(place: int) -> str:
    match place:
        case 0:
            return "It is next."
        case 1:
            return "1 build is before it."
        case 2 | 3 | 4:
            return f"{place} builds are before it."
    return f"About {place} builds are before it."


def _latest(image: Image, observed: ImageObserved) -> LatestImage | None:
    """The newest good record's version; what status says is kept where its record is gone."""
    build = observed.latest_good
    known = image.status.latest
    if build is None or build.status.version is None or build.status.reference is None:
        return known
    if known is not None and known.number > build.spec.number:
        return known
    return LatestImage(
        version=build.status.version,
        reference=build.status.reference,
        revision=build.spec.revision,
        built_at=build.status.finished_at or build.metadata.creation_timestamp,
        user=build.status.user,
        run_as_user=build.status.run_as_user,
    )


def _observed_request(image: Image, observed: ImageObserved) -> str | None:
    """The newest request that a record shows; what status says is kept where its record is gone.

    Only records made since status was last written count: an old good one outlives those of later requests.
    """
    seen = image.status.latest_number
    newer = [build.spec.requested for build in observed.builds if build.spec.number > seen]
    return next((one for one in reversed(newer) if one is not None), image.status.observed_build_request)
