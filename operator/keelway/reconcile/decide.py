"""PURE: what an Image needs next, decided from its records alone; `image.py` does it.

The rules, first match wins: a running build ends, unless its spec was changed under it; one that still waits gives way
to newer inputs; what is in quarantine is not built again, whoever asks; a request is honoured once; the same inputs
are not built again; what was let out of quarantine is; a failure that lies outside is tried again after a pause;
a change of base images waits for the Images above to settle; anything else is a new build.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keelway.api.build import Build, BuildReason
from keelway.api.image import Image
from keelway.children.names import BUILD_REQUESTED
from keelway.status import quarantine
from keelway.status.build import Asked, Inputs, ended, retryable, succeeded
from keelway.status.observed import ImageObserved

RETRY_FIRST: Final = timedelta(seconds=10)
RETRY_MOST: Final = timedelta(minutes=10)
UPSTREAM_AGAIN: Final = timedelta(seconds=30)
"""How soon it is looked again whether the Images above have settled: one that fails wakes nobody."""


@dataclass(frozen=True)
class Attend:
    """The newest build has not ended: see how far it is."""

    build: Build


@dataclass(frozen=True)
class Cancel:
    """The newest build has not ended, but is of a spec that is no longer asked for."""

    build: Build


@dataclass(frozen=True)
class Create:
    """A new build is due."""

    reason: BuildReason
    requested: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class Rest:
    """Nothing to do; `until` is when a failed build is tried again, or Images above are looked at again."""

    until: datetime | None = None


Decision = Attend | Cancel | Create | Rest


def decide(image: Image, observed: ImageObserved, inputs: Inputs, now: datetime) -> Decision:
    """The next step towards a good build of `inputs`."""
    newest = observed.newest
    if newest is not None and not ended(newest):
        return Cancel(newest) if _superseded(newest, observed, inputs) else Attend(newest)
    if quarantine.of_inputs(observed.builds, inputs) is not None:
        return Rest()
    request = open_request(image, observed)
    if request is not None:
        return Create(BuildReason.REQUESTED, request)
    last, good = observed.last, observed.latest_good
    if last is not None and inputs.made(last):
        if succeeded(last):
            return Rest()
        return Create(BuildReason.RELEASED) if quarantine.is_over(last) else _after_failure(last, now)
    if good is not None and inputs.made(good):
        return Rest()
    reason = _reason(last, inputs)
    if reason is BuildReason.BASE_IMAGE_CHANGED and observed.upstream_by is not None and now < observed.upstream_by:
        return Rest(until=min(observed.upstream_by, now + UPSTREAM_AGAIN))
    return Create(reason)


def _reason(last: Build | None, inputs: Inputs) -> BuildReason:
    if last is None or Asked.by_build(last) != inputs.asked:
        return BuildReason.SPEC_CHANGED
    return BuildReason.BASE_IMAGE_CHANGED if inputs.asks(last) else BuildReason.SOURCE_CHANGED


def _superseded(newest: Build, observed: ImageObserved, inputs: Inputs) -> bool:
    """A running build ends although source or bases have moved on, or a busy branch would never get one."""
    if Asked.by_build(newest) != inputs.asked:
        return True
    return not observed.started and not inputs.made(newest)


def open_request(image: Image, observed: ImageObserved) -> str | None:
    """The value of the request annotation, where no record and no status shows that it was acted on."""
    request = image.metadata.annotations.get(BUILD_REQUESTED)
    if not request or request == image.status.observed_build_request:
        return None
    acted_on = {build.spec.requested for build in observed.builds}
    return None if request in acted_on else request


def retry_pause(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts in a row: 10 s, doubling, at most ten minutes."""
    return min(RETRY_FIRST * (1 << min(attempts - 1, 10)), RETRY_MOST)


def _after_failure(last: Build, now: datetime) -> Decision:
    if not retryable(last):
        return Rest()
    at = (last.status.finished_at or now) + retry_pause(last.spec.attempt)
    return Create(BuildReason.RETRIED, attempt=last.spec.attempt + 1) if now >= at else Rest(until=at)
