"""Image: what to build, from which source, and how to test it before it counts as a version.

Neighbours: `source.py` says where from, `build.py` is the record of one build, `app.py` runs the latest
version.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import Field

from keelway.api.meta import NAME_RULES, Condition, KeelwayObject, LocalRef, Model
from keelway.api.pod import Command, Env, Resources, Security
from keelway.api.quantity import Quantity
from keelway.api.schema import MergeKey, Rule
from keelway.api.source import Source
from keelway.api.types import (
    AnnotationValue,
    DataKey,
    DnsLabel,
    ObjectName,
    Observed,
    RelativePath,
    Repository,
    Timestamp,
)

Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), MergeKey("type")]


class BuildArg(Model):
    """A value for an ARG of the Dockerfile."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Rule(
            "!self.startsWith('BUILDKIT_')",
            "names that begin with BUILDKIT_ are reserved for the build service",
        ),
    ]
    """Name of the ARG, each once."""
    value: Annotated[str, Field(max_length=32768)] = ""
    """Its value. It stays readable in the image's history: use secrets for what is secret. Default: empty."""


class SecretKey(Model):
    """A Secret, or one key of it, in the Image's namespace."""

    name: ObjectName
    """Name of the Secret, in the Image's namespace."""
    key: DataKey | None = None
    """Key of the Secret. Default: the id."""


class BuildSecret(Model):
    """A secret file for RUN --mount=type=secret,id=...; it does not get into the image."""

    id: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$")]
    """The id that the Dockerfile uses: RUN --mount=type=secret,id=<id>. Each once."""
    secret_ref: SecretKey
    """The Secret that holds the value."""


class BuildLimits(Model):
    """The most that each RUN step may use."""

    cpu: Quantity | None = None
    """CPU, in cores, e.g. "2" or 500m. Default: what the administrator allows."""
    memory: Quantity | None = None
    """Memory, in bytes, e.g. 2Gi. Default: what the administrator allows."""


class BuildResources(Model):
    """Bounds of a build."""

    limits: BuildLimits = BuildLimits()
    """The most that each RUN step of the Dockerfile may use."""


class BaseImage(Model):
    """Another Image that the Dockerfile uses by a name of its own."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$"),
        Rule(
            "!(self in ['scratch', 'context', 'dockerfile'])",
            "scratch, context and dockerfile mean something else to BuildKit already: use another name",
        ),
    ]
    """The name that the Dockerfile uses, as in FROM <name> or COPY --from=<name>: lower case letters, digits
    and '-', starting with a letter; each once. It goes before a stage or an image of the same name."""
    image: Annotated[DnsLabel, Field(max_length=40)]
    """Name of the Image, in the same namespace. Its latest version is used, by its digest; a newer one
    starts a build."""


class BuildOptions(Model):
    """How to build."""

    dockerfile: RelativePath = "Dockerfile"
    """Path of the Dockerfile in the source. Default: Dockerfile."""
    target: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$")] | None = None
    """Stage of the Dockerfile to build. Default: the last one."""
    args: Annotated[tuple[BuildArg, ...], Field(max_length=100), MergeKey("name")] = ()
    """Values for the Dockerfile's ARGs."""
    secrets: Annotated[tuple[BuildSecret, ...], Field(max_length=20), MergeKey("id")] = ()
    """Secrets that RUN steps may mount."""
    timeout_seconds: Annotated[int, Field(ge=10, le=86400)] = 1800
    """Seconds after which the build is ended as failed. Default: 1800 (30 minutes)."""
    resources: BuildResources = BuildResources()
    """Bounds of the build's RUN steps."""
    images: Annotated[tuple[BaseImage, ...], Field(max_length=10), MergeKey("name")] = ()
    """Images of this namespace that the Dockerfile uses by name. They are built first; Images that use each
    other in a circle are not built."""


class TestSpec(Model):
    """A pod of the built image that must exit 0 before the build counts as a version."""

    __test__ = False  # not one of pytest's, for all its name

    rules = (
        Rule(
            "(has(self.command) && size(self.command) > 0) || (has(self.args) && size(self.args) > 0)",
            "a test needs command or args: with neither, the image's own program would run, "
            "and a server would run until the timeout",
        ),
    )

    name: Annotated[DnsLabel, Field(max_length=40)]
    """Name of the test, each once: a DNS label of at most 40 characters."""
    command: Command = ()
    """Program and arguments in place of the image's ENTRYPOINT. No shell is started: for one, write
    ["sh", "-c", "..."]. Default: the ENTRYPOINT. One of command and args must be given."""
    args: Command = ()
    """Arguments in place of the image's CMD. Default: the CMD where command is not given either, else
    none."""
    env: Env = ()
    """Environment variables of the test."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    """Seconds after which the test is ended as failed. Default: 300 (5 minutes)."""
    security: Security = Security.RESTRICTED
    """Restricted: the pod runs as non-root and without privileges. Baseline: as the user that the image
    wants. Default: Restricted."""
    resources: Resources = Resources()
    """Requests and limits of the test's container."""


class Poll(Model):
    """How often to look for a new revision."""

    interval_seconds: Annotated[int, Field(ge=10, le=86400)] = 60
    """Seconds between two looks at the git repository, 10 to 86400. Default: 60."""
    base_images_interval_seconds: Annotated[
        int,
        Field(ge=0, le=2592000),
        Rule("self == 0 || self >= 60", "must be 0 (never look) or at least 60"),
    ] = 3600
    """Seconds between two looks at the base images of the newest good Build, 60 to 2592000 (30 days). Where a
    tag names another image than the Build used, a new one starts. 0: never look. Default: 3600 (1 hour)."""


class History(Model):
    """How many records to keep."""

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    """Builds kept, 1 to 100; the latest good one is always kept. Default: 10."""


Tests = Annotated[tuple[TestSpec, ...], Field(max_length=20), MergeKey("name")]


class ImageSpec(Model):
    """What to build."""

    source: Source
    """Where the files come from: exactly one of inline, configMap, git and http."""
    build: BuildOptions = BuildOptions()
    """How to build."""
    tests: Tests = ()
    """Tests of the built image, each a pod in this namespace. All must exit 0 before a version is made."""
    repository: Repository | None = None
    """Where to push, e.g. ghcr.io/owner/name, without a tag. In the operator's own registry only repositories
    below this namespace's name are allowed; anywhere else pushSecretRef is needed. Default: <operator's
    registry>/<namespace>/<name>."""
    push_secret_ref: LocalRef | None = None
    """Secret of type kubernetes.io/dockerconfigjson to push with. Default: the operator's own credentials,
    for its own registry only."""
    poll: Poll = Poll()
    """How often to look for something new: in a git source, in base images."""
    suspend: bool = False
    """true: start no builds. What runs goes on. Default: false."""
    history: History = History()
    """How many Builds to keep."""


# Nobody has built a hundred million times: what looks so was put there by hand.
_NUMBERED: Final = re.compile(r"(?:v|.*-)([1-9][0-9]{0,7})")


class LatestImage(Model):
    """The newest version that was built and passed its tests: what Apps run."""

    version: Observed
    """v7 was made by build 7."""
    reference: Observed
    """repository@sha256:..., the image by its digest."""
    revision: Observed
    """The source's revision: the git commit, or sha256:... of the content."""
    built_at: Timestamp
    """When the version was finished."""
    user: Observed | None = None
    """The user in the image's configuration, as the Dockerfile has it. Absent: none is set, so root."""
    run_as_user: Annotated[int, Field(ge=0, le=4294967295)] | None = None
    """The numeric user that the image runs as. Absent: it cannot be known from the image."""

    @property
    def number(self) -> int:
        """The build's number; 0 where the version is none of ours."""
        return _number(self.version)


class ImageStatus(Model):
    """What is so, as the operator saw it last."""

    conditions: Conditions = ()
    """Ready sums up; SourceReady, Built and Tested are the steps; BaseImagesChecked: whether the registries
    told what the base images are now; Reconciling: work goes on; Stalled: only a change of this object
    helps."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status speaks of."""
    latest: LatestImage | None = None
    """The newest good version. A failed build or test leaves it as it is."""
    latest_build: Observed | None = None
    """Name of the newest Build, good or not."""
    observed_build_request: AnnotationValue | None = None
    """The value of the annotation keelway.dev/build-requested that was acted on last."""
    next_check_time: Timestamp | None = None
    """When the source or a base image is looked at next."""

    @property
    def latest_number(self) -> int:
        """Number of the newest Build; 0 where there is none, or its name is none of ours."""
        return _number(self.latest_build or "")


def _number(name: str) -> int:
    """7 of `v7` and of `hello-7`. Whoever may write a status may write anything there: 0 of that."""
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else 0


class Image(KeelwayObject):
    """An Image says what to build: a source with a Dockerfile, and tests. Keelway builds and tests it, gives
    each good build a version (v1, v2, ...) and pushes it. Apps that follow the Image then run the new
    version."""

    rules = NAME_RULES
    status_is_a_view = True

    kind: Literal["Image"] = "Image"
    spec: ImageSpec
    """What to build."""
    status: ImageStatus = ImageStatus()
    """What is so, as the operator saw it last."""
