"""PURE: what a Build's record says, and the status that each end of a build gives it.

Neighbours: `image.py` sums an Image's records up; `reconcile/build.py` makes what is recorded here happen.
"""

from dataclasses import dataclass, field
from datetime import datetime

from keelway.api.build import PENDING, Build, BuildStatus, BuildWarning, Material, PinnedBase, PinnedImage
from keelway.api.buildoptions import BuildOptions
from keelway.api.buildrequest import BuildReport, LintWarning
from keelway.api.image import Image
from keelway.api.meta import Condition, ConditionStatus, LocalRef
from keelway.api.options import Output
from keelway.api.quarantine import Quarantine
from keelway.api.source import Source
from keelway.api.test import TestSpec
from keelway.api.version import sequential
from keelway.status.conditions import FALSE, TRUE, UNKNOWN, Fact, bounded, find, merge

SUCCEEDED = "Succeeded"
BUILT = "Built"
TESTED = "Tested"
RETRYABLE = "Retryable"
SUPERSEDED = "Superseded"
"""Reason of a build that was ended because it was no longer asked for: it says nothing of its inputs."""


@dataclass(frozen=True)
class Asked:
    """Everything that a build's result depends on and that is known before it runs. Equal means: no new build.

    Compared as parsed models and not by a stored hash, so that a new operator version with new defaulted fields still
    finds old records equal. Of `build` only what decides the image is compared.
    """

    source: Source
    build: BuildOptions = field(compare=False)
    tests: tuple[TestSpec, ...]
    repository: str
    push_secret_ref: LocalRef | None
    output: Output
    deciding: BuildOptions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "deciding", self.build.deciding())

    @classmethod
    def by_image(cls, image: Image, repository: str) -> "Asked":
        """What the Image asks for today, to be pushed to `repository`."""
        spec = image.spec
        return cls(spec.source, spec.build, spec.tests, repository, spec.push_secret_ref, spec.output)

    @classmethod
    def by_build(cls, build: Build) -> "Asked":
        """What the record was asked."""
        spec = build.spec
        return cls(spec.source, spec.build, spec.tests, spec.repository, spec.push_secret_ref, spec.output)


@dataclass(frozen=True)
class Inputs:
    """What is asked, of which revision of the source, on which base images."""

    asked: Asked
    revision: str
    bases: tuple[PinnedBase, ...] = ()
    """What base images are today, as far as their registries tell."""
    images: tuple[PinnedImage, ...] = ()
    """The latest versions of the Images that it builds from."""

    def made(self, build: Build) -> bool:
        """Whether the record is of these very inputs."""
        return self.asks(build) and self._has_bases(build) and self._has_images(build)

    def asks(self, build: Build) -> bool:
        """Whether the record is of what is asked, of the same revision, perhaps with other base images."""
        return build.spec.revision == self.revision and Asked.by_build(build) == self.asked

    def _has_bases(self, build: Build) -> bool:
        """Of a base image that is not in the record nothing is known: that is no difference."""
        used = used_bases(build)
        return all(used.get(base.reference, base.digest) == base.digest for base in self.bases)

    def _has_images(self, build: Build) -> bool:
        """By digest: a version that is the same image as the last one changes nothing."""
        return {(one.name, one.reference) for one in self.images} == {
            (one.name, one.reference) for one in build.spec.images
        }


@dataclass(frozen=True)
class Failure:
    """Why a build is not a version.

    `retry` tells that the fault lies outside, so that trying again may help; `test` names the test that failed.
    `warnings`, of `warning_count` in all, are those of the Dockerfile: one may well say what is wrong.
    """

    reason: str
    message: str
    retry: bool = False
    test: str | None = None
    warnings: tuple[LintWarning, ...] = ()
    warning_count: int = 0


def version_of(build: Build) -> str:
    """The version that the build is to become, or has become: known before it runs, for its image carries it."""
    return build.status.version or build.spec.version or sequential(build.spec.number)


def ended(build: Build) -> bool:
    """Whether the record is closed, well or not."""
    return _succeeded(build).status is not UNKNOWN


def succeeded(build: Build) -> bool:
    """Whether the build became a version."""
    return _succeeded(build).status is TRUE


def failed(build: Build) -> bool:
    """Whether the record is closed without a version."""
    return _succeeded(build).status is FALSE


def used_bases(build: Build) -> dict[str, str]:
    """The digests of the base images by their references: as they were asked, where that is known, else as used.

    Those that the Dockerfile itself gives by their digests are left out: they never change.
    """
    used = {one.reference: one.digest for one in build.status.materials if "@" not in one.reference}
    return used | {one.reference: one.digest for one in build.spec.bases}


def superseded(build: Build) -> bool:
    """Whether the record was closed because something else was asked for meanwhile."""
    return failed(build) and _succeeded(build).reason == SUPERSEDED


def built(build: Build) -> bool:
    """Whether the image was pushed, tested or not."""
    return build.status.digest is not None


def retryable(build: Build) -> bool:
    """Whether a failed build is worth another attempt of the same inputs."""
    condition = find(build.status.conditions, RETRYABLE)
    return condition is not None and condition.status is TRUE


def failure(build: Build) -> Failure:
    """What a failed record says."""
    condition = _succeeded(build)
    return Failure(condition.reason, build.status.message or condition.message, retryable(build))


def warned(build: Build, status: BuildStatus) -> str:
    """A sentence on the Dockerfile's warnings, after a space; empty where there are none."""
    count = status.warning_count or 0
    if count == 0:
        return ""
    some = "a warning" if count == 1 else f"{count} warnings"
    return f" Its Dockerfile has {some}: `kubectl describe build/{build.metadata.name}` tells more."


def built_status(build: Build, report: BuildReport, started: datetime | None, now: datetime) -> BuildStatus:
    """The status once the image is pushed and its tests run: closed only by `version_status` or `failed_status`."""
    facts = [
        Fact(BUILT, TRUE, "Pushed", f"Pushed as {report.digest}."),
        Fact(SUCCEEDED, UNKNOWN, "Testing", "The tests run."),
    ]
    changes = {
        "conditions": _merge(build, facts, now),
        "digest": report.digest,
        "reference": f"{build.spec.repository}@{report.digest}",
        "materials": tuple(Material(reference=one.reference, digest=one.digest) for one in report.materials),
        "user": report.user,
        "run_as_user": report.run_as_user,
        "started_at": started or build.status.started_at,
        **_warnings(report.warnings, report.warning_count),
    }
    return build.status.model_copy(update=changes)


def passed_status(build: Build, test: str) -> BuildStatus:
    """The status with one more test whose check was seen to hold."""
    return build.status.model_copy(update={"passed_tests": (*(build.status.passed_tests or ()), test)})


def version_status(build: Build, status: BuildStatus, version: str, now: datetime) -> BuildStatus:
    """The status of a build that became a version; `status` is that of the pushed image."""
    tests = len(build.spec.tests)
    tested = Fact(TESTED, TRUE, "Passed", f"{tests} of {tests} passed.") if tests else _UNTESTED
    facts = [
        Fact(BUILT, TRUE, "Pushed", f"Pushed as {status.digest}."),
        tested,
        Fact(SUCCEEDED, TRUE, "VersionReady", f"{version} is {status.reference}.{warned(build, status)}"),
    ]
    return status.model_copy(
        update={"conditions": _merge(build, facts, now), "version": version, "finished_at": now, "message": None}
    )


def failed_status(
    build: Build,
    told: Failure,
    now: datetime,
    started: datetime | None = None,
    quarantine: Quarantine | None = None,
) -> BuildStatus:
    """The status of a build that ended without a version, and whether it is ever to be chosen again."""
    facts = [Fact(SUCCEEDED, FALSE, told.reason, _first_line(told.message))]
    if built(build):
        facts += [Fact(BUILT, TRUE, "Pushed", f"Pushed as {build.status.digest}.")]
        facts += [Fact(TESTED, FALSE, told.reason, _first_line(told.message))]
    else:
        facts += [Fact(BUILT, FALSE, told.reason, _first_line(told.message))]
    if told.retry:
        facts += [Fact(RETRYABLE, TRUE, told.reason, "The fault lies outside; another attempt follows by itself.")]
    changes = {
        "conditions": _merge(build, facts, now),
        "message": bounded(told.message),
        "started_at": started or build.status.started_at,
        "finished_at": now,
        "quarantine": quarantine,
        **(_warnings(told.warnings, told.warning_count) if told.warnings else {}),
    }
    return build.status.model_copy(update=changes)


def _warnings(warnings: tuple[LintWarning, ...], count: int) -> dict[str, object]:
    told = tuple(BuildWarning(rule=one.rule, message=one.message, line=one.line, url=one.url) for one in warnings)
    return {"warnings": told, "warning_count": count or None}


_UNTESTED = Fact(TESTED, TRUE, "NoTests", "The Image names no tests.")


def _succeeded(build: Build) -> Condition:
    condition = find(build.status.conditions, SUCCEEDED)
    if condition is not None:
        return condition
    return Condition(
        type=SUCCEEDED,
        status=ConditionStatus.UNKNOWN,
        reason="Pending",
        last_transition_time=build.metadata.creation_timestamp,
    )


def _merge(build: Build, facts: list[Fact], now: datetime) -> tuple[Condition, ...]:
    # The schema's default is no observation of ours: its time is that of no transition.
    before = [condition for condition in build.status.conditions if condition != PENDING]
    return merge(before, facts, build.metadata.generation, now)


def _first_line(message: str) -> str:
    return message.partition("\n")[0]
