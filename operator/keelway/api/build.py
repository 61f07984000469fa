"""Build: the record of one build of an Image. The operator makes it first and acts on it after (contract.md,
rule 5)."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from keelway.api.buildoptions import BuildOptions
from keelway.api.image import Conditions, Tests
from keelway.api.meta import Condition, ConditionStatus, KeelwayObject, LocalRef, Model
from keelway.api.options import Output
from keelway.api.quarantine import Quarantine
from keelway.api.schema import MergeKey, Rule, Unique
from keelway.api.source import Source
from keelway.api.types import AnnotationValue, DnsLabel, Observed, Repository, Timestamp


class BuildReason(StrEnum):
    """Why a build ran."""

    SPEC_CHANGED = "SpecChanged"
    SOURCE_CHANGED = "SourceChanged"
    RETRIED = "Retried"
    REQUESTED = "Requested"
    RELEASED = "Released"
    BASE_IMAGE_CHANGED = "BaseImageChanged"


class PinnedBase(Model):
    """A base image, at the digest that its tag named when the Build was made."""

    reference: Annotated[str, Field(min_length=1, max_length=512)]
    """The image as BuildKit names it in full, with its tag: docker.io/library/python:3.11-slim."""
    digest: Annotated[str, Field(min_length=1, max_length=160)]
    """What is used for it: sha256:..."""


class PinnedImage(Model):
    """An Image that the Dockerfile uses, at the version that was its latest when the Build was made."""

    name: DnsLabel
    """The name that the Dockerfile uses."""
    version: Annotated[str, Field(min_length=1, max_length=128)]
    """The Image's version."""
    reference: Annotated[str, Field(min_length=1, max_length=512)]
    """repository@sha256:..., the version by its digest."""


class BuildSpec(Model):
    """What was asked. It never changes."""

    rules = (Rule("self == oldSelf", "a Build is a record: its spec cannot be changed. Change the Image instead"),)

    image: Annotated[DnsLabel, Field(max_length=40)]
    """Name of the Image, in the same namespace."""
    number: Annotated[int, Field(ge=1, le=999999999)]
    """Number of the build, counted by Image."""
    version: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The version that it becomes once all tests have passed, decided by the Image's spec.version when the build
    was due. Absent in records of older operators: v<number>."""
    reason: BuildReason
    """Why it ran. SpecChanged: the Image's spec is new. SourceChanged: the source is. BaseImageChanged: a base
    image is. Retried: once more after a failure. Requested: by the annotation keelway.dev/build-requested. Released:
    let out of quarantine by the annotation keelway.dev/release-quarantine."""
    attempt: Annotated[int, Field(ge=1, le=999999999)] = 1
    """How many times in a row these same inputs were tried, this one included. Default: 1."""
    revision: Annotated[str, Field(min_length=1, max_length=255)]
    """The source's revision: the git commit, or sha256:... of the content."""
    requested: AnnotationValue | None = None
    """With reason Requested, the value of the Image's annotation keelway.dev/build-requested."""
    source: Source
    """The Image's source, as it was."""
    build: BuildOptions = BuildOptions()
    """How to build, as the Image had it."""
    output: Output = Output()
    """What the image looks like in the registry, as the Image had it."""
    tests: Tests = ()
    """The tests, as the Image had them."""
    repository: Repository
    """Where the image is pushed."""
    push_secret_ref: LocalRef | None = None
    """Secret to push with. Absent: the operator's own credentials."""
    bases: Annotated[tuple[PinnedBase, ...], Field(max_length=64)] = ()
    """Base images at the digests that they had when the Build was made: it uses these whatever the tags name
    meanwhile. Those of the last good Build whose registries answered."""
    images: Annotated[tuple[PinnedImage, ...], Field(max_length=10), MergeKey("name")] = ()
    """The Images of spec.build.images, at their versions."""


class Material(Model):
    """A base image that the build used."""

    reference: Observed
    """The image as the Dockerfile names it, in full; with its digest where the Dockerfile gives that."""
    digest: Observed
    """What it was at the time: sha256:..."""


class BuildWarning(Model):
    """What BuildKit's check of the Dockerfile found."""

    rule: Observed
    """Name of the rule, e.g. UndefinedVar."""
    message: Observed
    """What is against it."""
    line: Annotated[int, Field(ge=1, le=999999999)] | None = None
    """Line of the Dockerfile."""
    url: Observed | None = None
    """Where the rule is explained."""


PENDING = Condition.model_validate(
    {
        "type": "Succeeded",
        "status": ConditionStatus.UNKNOWN,
        "reason": "InProgress",
        "message": "Queued or running: the conditions of the Image tell which.",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
)


class BuildStatus(Model):
    """How it went."""

    conditions: Conditions = (PENDING,)
    """Succeeded sums up: Unknown while it runs; Built and Tested are the steps."""
    version: Observed | None = None
    """The version made, once all tests have passed."""
    digest: Observed | None = None
    """Digest of the image built."""
    reference: Observed | None = None
    """repository@sha256:..., the image by its digest."""
    materials: Annotated[tuple[Material, ...], Field(max_length=256)] = ()
    """The base images used, with their digests."""
    warnings: Annotated[tuple[BuildWarning, ...], Field(max_length=64)] = ()
    """What BuildKit's check of the Dockerfile found: the first few."""
    warning_count: Annotated[int, Field(ge=0, le=999999999)] | None = None
    """How many warnings there were in all. Absent: none."""
    user: Observed | None = None
    """The user in the image's configuration. Absent: none is set, so root."""
    run_as_user: Annotated[int, Field(ge=0, le=4294967295)] | None = None
    """The numeric user that the image runs as. Absent: it cannot be known from the image."""
    passed_tests: Annotated[tuple[DnsLabel, ...], Field(max_length=20), Unique()] | None = None
    """Tests with a check that have passed: their programs were ended, so nothing else shows it."""
    quarantine: Quarantine | None = None
    """Why this build is not chosen again. Absent: it is not in quarantine, and never was."""
    message: Annotated[str, Field(max_length=8192)] | None = None
    """What failed, the last lines of its log, and what to do."""
    started_at: Timestamp | None = None
    """When the build started."""
    finished_at: Timestamp | None = None
    """When it ended, well or not."""


class Build(KeelwayObject):
    """A Build is the record of one build of an Image, made by Keelway and named like hello-7. To get a new
    one, change the Image or its source, or set the annotation keelway.dev/build-requested on the Image to a
    new value."""

    kind: Literal["Build"] = "Build"
    spec: BuildSpec
    """What was asked. It never changes."""
    status: BuildStatus = BuildStatus()
    """How it went."""
