"""PURE: what a pass over an Image saw: its status (`image.py`) and what comes next (`reconcile/decide.py`) follow."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from keelway.api.build import Build
from keelway.api.image import LatestImage
from keelway.api.version import TagStatus
from keelway.errors import KeelwayError
from keelway.status import quarantine
from keelway.status.build import Inputs, succeeded, superseded
from keelway.status.diagnosis import Finding


class Stage(Enum):
    """How far a build that has not ended is; the value is the reason in conditions."""

    QUEUED = "Queued"
    BUILDING = "Building"
    TESTING = "Testing"


@dataclass(frozen=True)
class BaseCheck:
    """How it went to look at so many base images; `problem` is what kept a registry from telling.

    Not `told`: not all registries have answered yet, so nothing new is known of the whole. `references` names them.
    """

    watched: int
    problem: KeelwayError | None = None
    told: bool = True
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageObserved:
    """What a pass saw.

    `builds` are the Image's records by number, of which the newest has `started` when it has a Job; `revision` is that
    of the source, and `inputs` are what should be built, both None where that could not be resolved (`source_problem`);
    `problem` is anything that ended the pass early, that included; `bases` are the base images that were looked at,
    `next_check` is when source or base images are looked at next, as it is told, `bases_again` whether or not it is
    told, and `upstream_by` is until when to wait for the Images above, which are about to change;
    `stage` is set while the newest build has not ended, with `place`, how many are before it in the queue, and
    `finding`, what keeps its pods from starting. `git_tag` is the tag that the source's revision names, `target` the
    repository that the Image may push to. `pinned` is the version of `spec.pin`, `tags` what `spec.tags` point to, and
    `serving_problem` what keeps either from being as asked; `release` is the request to lift quarantines that was acted
    on, empty where there is none; `checked`: what asks for a look now (`reconcile/checks.py`) was acted on.
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
    source_again: datetime | None = None
    bases_again: datetime | None = None
    started: bool = True
    git_tag: str | None = None
    target: str | None = None
    pinned: LatestImage | None = None
    tags: tuple[TagStatus, ...] = ()
    serving_problem: KeelwayError | None = None
    release: str | None = None
    checked: bool = False

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
        """The newest record that became a version, and did not turn out bad since."""
        return next((build for build in reversed(self.builds) if self._is_good(build)), None)

    def _is_good(self, build: Build) -> bool:
        return succeeded(build) and quarantine.of_good(self.builds, build) is None
