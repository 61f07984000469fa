"""PURE: an Image's status: a view of its Builds (contract.md rule 5), computed once at the end of every pass.

Neighbours: `observed.py` is what it is computed from; `conditions.py` merges; `build.py` writes the records.
"""

from datetime import datetime

from keelway.api.build import Build
from keelway.api.image import Image, ImageStatus, LatestImage
from keelway.api.labels import CHECK_REQUESTED
from keelway.errors import KeelwayError, Terminal
from keelway.status import quarantine
from keelway.status.build import BUILT, TESTED, failed, failure, retryable, succeeded, warned
from keelway.status.conditions import FALSE, TRUE, UNKNOWN, Fact, Progress, find, merge, summary
from keelway.status.diagnosis import Finding
from keelway.status.observed import ImageObserved, Stage

SOURCE_READY = "SourceReady"
BASE_IMAGES_CHECKED = "BaseImagesChecked"


def image_status(image: Image, observed: ImageObserved, now: datetime) -> ImageStatus:
    """The whole status."""
    facts = [_source_ready(image, observed), *_bases_checked(image, observed), *_steps(observed)]
    facts += _summary(image, observed)
    newest = observed.newest
    return ImageStatus(
        conditions=merge(image.status.conditions, facts, image.metadata.generation, now),
        observed_generation=image.metadata.generation,
        latest=latest_image(image, observed),
        latest_build=newest.metadata.name if newest else image.status.latest_build,
        observed_build_request=_observed_request(image, observed),
        observed_quarantine_release=(
            image.status.observed_quarantine_release if observed.release is None else observed.release or None
        ),
        observed_check_request=_observed_check(image, observed),
        last_delivery=image.status.last_delivery,
        observed_delivery=image.status.last_delivery if observed.checked else image.status.observed_delivery,
        next_check_time=observed.next_check,
        base_images=_base_images(image, observed),
        tags=observed.tags or None,
        quarantine=quarantine.entries(observed.builds) or None,
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
    if observed.serving_problem is not None:
        message = f"{message} {observed.serving_problem.message}"
    facts = [*kept, *summary(ready, Progress.SETTLED, "Suspended", message)]
    conditions = merge(image.status.conditions, facts, image.metadata.generation, now)
    changes = {
        "conditions": conditions,
        "observed_generation": image.metadata.generation,
        "latest": latest_image(image, observed),
        "latest_build": observed.newest.metadata.name if observed.newest else image.status.latest_build,
        "next_check_time": None,
        "tags": observed.tags or None,
        "quarantine": quarantine.entries(observed.builds) or None,
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


def _bases_checked(image: Image, observed: ImageObserved) -> list[Fact]:
    """Nothing where there are none to look at; what cannot be looked at changes nothing else."""
    check = observed.bases
    if check is None:
        return []
    if check.problem is not None:
        text = f"{check.problem.message} Meanwhile builds start as ever, but not because a base image has changed."
        return [Fact(BASE_IMAGES_CHECKED, FALSE, check.problem.reason, text)]
    if not check.told:
        last = find(image.status.conditions, BASE_IMAGES_CHECKED)
        return [Fact(last.type, last.status, last.reason, last.message)] if last is not None else []
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
    known_bad = _known_bad(observed)
    if known_bad is not None:
        return known_bad
    last, good = observed.last, observed.latest_good
    if last is None or observed.inputs is None or observed.inputs.made(last):
        return last
    return good if good is not None and observed.inputs.made(good) else last


def _known_bad(observed: ImageObserved) -> Build | None:
    return quarantine.of_inputs(observed.builds, observed.inputs) if observed.inputs is not None else None


def shown_problem(observed: ImageObserved) -> KeelwayError | None:
    """What Ready tells of: a pinned version stays, whatever befalls its source or its newest build."""
    return observed.serving_problem or (observed.problem if observed.pinned is None else None)


def _summary(image: Image, observed: ImageObserved) -> list[Fact]:
    problem = shown_problem(observed)
    if problem is not None:
        progress = Progress.STALLED if isinstance(problem, Terminal) else Progress.RECONCILING
        return summary(FALSE, progress, problem.reason, problem.message)
    if observed.pinned is not None:
        return summary(TRUE, Progress.SETTLED, "Pinned", _pinned(observed.pinned, observed))
    build = _current(observed)
    if build is None:
        return summary(UNKNOWN, Progress.RECONCILING, "Queued", "The first build is about to start.")
    if observed.stage is not None:
        text = _told(_stage(build, observed), observed.finding)
        return summary(UNKNOWN, Progress.RECONCILING, observed.stage.value, text)
    if build is _known_bad(observed):
        serving = latest_image(image, observed)
        text = quarantine.told(build, serving.version if serving else None)
        return summary(FALSE, Progress.STALLED, quarantine.QUARANTINED, text)
    if succeeded(build):
        text = f"{build.status.version} is {build.status.reference}.{warned(build, build.status)}"
        return summary(TRUE, Progress.SETTLED, "VersionReady", text)
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


def _pinned(pinned: LatestImage, observed: ImageObserved) -> str:
    good = observed.latest_good
    if good is None or good.status.version == pinned.version:
        newest = "It is the newest good version that is known"
    else:
        newest = f"The newest good version is {good.status.version}"
    trouble = f" Nothing new is built meanwhile: {observed.problem.message}" if observed.problem is not None else ""
    return f"{pinned.version} is pinned by spec.pin. {newest}; without spec.pin that one counts again.{trouble}"


def latest_image(image: Image, observed: ImageObserved) -> LatestImage | None:
    """The pinned version, else the newest good record's; what status says is kept where its record is gone."""
    known = image.status.latest
    if observed.pinned is not None:
        return observed.pinned
    build = observed.latest_good
    found = of_record(build) if build is not None else None
    if build is None or found is None:
        return known
    if known is None:
        return found if image.spec.pin is None else None
    keeps = image.spec.pin is not None or known.number > build.spec.number
    return known if keeps and not _turned_out_bad(known, observed) else found


def _turned_out_bad(known: LatestImage, observed: ImageObserved) -> bool:
    return quarantine.of_digest(observed.builds, known.digest) is not None


def of_record(build: Build) -> LatestImage | None:
    """What a record that became a version says of it."""
    if build.status.version is None or build.status.reference is None:
        return None
    return LatestImage(
        version=build.status.version,
        reference=build.status.reference,
        revision=build.spec.revision,
        build=build.metadata.name,
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


def _observed_check(image: Image, observed: ImageObserved) -> str | None:
    """Without the annotation none, so that the same value asks anew when it comes back."""
    asked = image.metadata.annotations.get(CHECK_REQUESTED) or None
    return asked if observed.checked or not asked else image.status.observed_check_request


def _base_images(image: Image, observed: ImageObserved) -> tuple[str, ...] | None:
    """As last, where nothing was looked at now."""
    if observed.inputs is None:
        return image.status.base_images
    return (observed.bases.references if observed.bases is not None else ()) or None
