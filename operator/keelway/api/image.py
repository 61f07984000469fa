"""Image: what to build, from which source, and how to test it before it counts as a version.

Neighbours: `source.py` says where from, `buildoptions.py` how, `test.py` what must hold then; `build.py` is the record
of one build, `app.py` runs the latest version.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import Field

from keelway.api.buildoptions import BuildOptions
from keelway.api.meta import NAME_RULES, Condition, KeelwayObject, LocalRef, Model
from keelway.api.options import Output
from keelway.api.quarantine import MAX_QUARANTINED, QuarantinedBuild
from keelway.api.schema import MergeKey, Rule, Unique
from keelway.api.source import Source
from keelway.api.test import TestSpec
from keelway.api.types import AnnotationValue, Observed, Repository, Timestamp
from keelway.api.version import Tag, TagStatus, Version, Versioning

Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), MergeKey("type")]

MAX_BASE_IMAGES: Final = 64
"""So many base images of a Build are looked at, the first ones."""


class Poll(Model):
    """How often to look for a new revision."""

    interval_seconds: Annotated[
        int,
        Field(ge=0, le=86400),
        Rule("self == 0 || self >= 10", "must be 0 (look only when asked) or at least 10"),
    ] = 60
    """Seconds between two looks at the git repository or ConfigMap, 10 to 86400. 0: look only when asked, by a webhook
    or by the annotation keelway.dev/check-requested, and when the operator starts. Default: 60."""
    base_images_interval_seconds: Annotated[
        int,
        Field(ge=0, le=2592000),
        Rule("self == 0 || self >= 60", "must be 0 (never look) or at least 60"),
    ] = 3600
    """Seconds between two looks at the base images that the last Build used, 60 to 2592000 (30 days). Where a
    tag names another image than the Build used, a new one starts. 0: never look, not even when asked. Default: 3600
    (1 hour)."""


class History(Model):
    """How many records to keep."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    """Builds kept, 1 to 100; the latest good one, the pinned one and those in quarantine (at most 20) are always
    kept. Default: 10."""


Tests = Annotated[tuple[TestSpec, ...], Field(max_length=20), MergeKey("name")]


class ImageSpec(Model):
    """What to build."""

    rules = (
        Rule(
            "!has(self.pin) || !has(self.tags) || !(self.pin in self.tags)",
            "pin names one of tags, which move: name a version",
        ),
        Rule(
            "!has(self.version) || self.version.scheme != 'CalVer' || !has(self.tags) "
            "|| self.tags.all(tag, !tag.matches('^[0-9]'))",
            "with scheme CalVer tags must not begin with a digit: they could be taken for versions",
        ),
    )

    source: Source
    """Where the files come from: exactly one of inline, configMap, git and http."""
    build: BuildOptions = BuildOptions()
    """How to build."""
    output: Output = Output()
    """What the image looks like in the registry."""
    tests: Tests = ()
    """Tests of the built image, each a pod in this namespace. All must pass before a version is made."""
    repository: Repository | None = None
    """Where to push, e.g. ghcr.io/owner/name, without a tag. In the operator's own registry only repositories
    below this namespace's name are allowed; anywhere else pushSecretRef is needed. Default: <operator's
    registry>/<namespace>/<name>."""
    push_secret_ref: LocalRef | None = None
    """Secret of type kubernetes.io/dockerconfigjson to push with. Default: the operator's own credentials,
    for its own registry only."""
    version: Versioning = Versioning()
    """Which versions builds get. A change counts from the next build on."""
    tags: Annotated[tuple[Tag, ...], Field(max_length=20), Unique()] = ()
    """Extra tags in the repository, e.g. stable. They follow status.latest: forward once a build has passed its
    tests, and back with pin. One that is taken out of this list stays in the registry as it is."""
    pin: Version | None = None
    """A version to stay at, e.g. v12: status.latest and tags go there, and Apps with them. Builds of what is new go
    on; without pin the newest good version counts again, at once."""
    poll: Poll = Poll()
    """How often to look for something new: in a git source, in base images."""
    suspend: bool = False
    """true: start no builds. What runs goes on. Default: false."""
    history: History = History()
    """How many Builds to keep."""


# Nobody has built a hundred million times: what looks so was put there by hand.
_SEQUENTIAL: Final = re.compile(r"v([1-9][0-9]{0,7})")
_BUILD_NAME: Final = re.compile(r".*-([1-9][0-9]{0,7})")


class LatestImage(Model):
    """The version that counts: what Apps run."""

    version: Observed
    """The version, e.g. v7."""
    reference: Observed
    """repository@sha256:..., the image by its digest."""
    revision: Observed
    """The source's revision: the git commit, or sha256:... of the content. Empty where nobody knows it any more."""
    build: Observed | None = None
    """Name of the Build that made it. Absent: it was found in the registry, by its version."""
    built_at: Timestamp
    """When the version was finished."""
    user: Observed | None = None
    """The user in the image's configuration, as the Dockerfile has it. Absent: none is set, so root."""
    run_as_user: Annotated[int, Field(ge=0, le=4294967295)] | None = None
    """The numeric user that the image runs as. Absent: it cannot be known from the image."""

    @property
    def number(self) -> int:
        """The build's number; 0 where it is not known. Older operators did not name the build: it was the version's."""
        return _number(_BUILD_NAME, self.build) if self.build else _number(_SEQUENTIAL, self.version)

    @property
    def repository(self) -> str:
        """Where the image is, without its digest."""
        return self.reference.partition("@")[0]

    @property
    def digest(self) -> str:
        """sha256:..."""
        return self.reference.partition("@")[2]


class ImageStatus(Model):
    """What is so, as the operator saw it last."""

    conditions: Conditions = ()
    """Ready sums up; SourceReady, Built and Tested are the steps; BaseImagesChecked: whether the registries
    told what the base images are now; Reconciling: work goes on; Stalled: only a change of this object
    helps."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status speaks of."""
    latest: LatestImage | None = None
    """The newest good version, or the one that pin names. A failed build or test leaves it as it is."""
    latest_build: Observed | None = None
    """Name of the newest Build, good or not."""
    observed_build_request: AnnotationValue | None = None
    """The value of the annotation keelway.dev/build-requested that was acted on last."""
    observed_quarantine_release: AnnotationValue | None = None
    """The value of the annotation keelway.dev/release-quarantine that was acted on last."""
    observed_check_request: AnnotationValue | None = None
    """The value of the annotation keelway.dev/check-requested that was acted on last."""
    last_delivery: Observed | None = None
    """The webhook's delivery that named this Image last, as whichever replica took it wrote it here."""
    observed_delivery: Observed | None = None
    """The delivery that was acted on last: with it, source and base images were looked at."""
    next_check_time: Timestamp | None = None
    """When the source or a base image is looked at next. Absent: only when asked, or there is nothing to look at."""
    base_images: Annotated[tuple[Observed, ...], Field(max_length=MAX_BASE_IMAGES)] | None = None
    """The base images that are looked at, as registries know them."""
    tags: Annotated[tuple[TagStatus, ...], Field(max_length=20), MergeKey("name")] | None = None
    """The tags of spec.tags as they were made last."""
    quarantine: Annotated[tuple[QuarantinedBuild, ...], Field(max_length=MAX_QUARANTINED), MergeKey("build")] | None = (
        None
    )
    """Builds that turned out bad and are not chosen again, the newest 20. The annotation keelway.dev/release-quarantine
    with a Build's name, a digest or all lets them out."""

    @property
    def latest_number(self) -> int:
        """Number of the newest Build; 0 where there is none, or its name is none of ours."""
        return _number(_BUILD_NAME, self.latest_build or "")


def _number(pattern: re.Pattern[str], name: str) -> int:
    """7 of `v7` or of `hello-7`. Whoever may write a status may write anything there: 0 of that."""
    match = pattern.fullmatch(name)
    return int(match[1]) if match else 0


class Image(KeelwayObject):
    """An Image says what to build: a source with a Dockerfile, and tests. Keelway builds and tests it, gives
    each good build a version (v1, v2, ... by default) and pushes it. Apps that follow the Image then run the new
    version."""

    rules = NAME_RULES
    status_is_a_view = True

    kind: Literal["Image"] = "Image"
    spec: ImageSpec
    """What to build."""
    status: ImageStatus = ImageStatus()
    """What is so, as the operator saw it last."""
