"""PURE: which builds turned out bad, and what therefore is not chosen again.

The evidence stands in the records (`Build.status.quarantine`) and counts in two ways: the same inputs are not built
again, and the same digest, whatever it is built of, becomes no version. Neighbours: `build.py` writes the records,
`image.py` shows them, `reconcile/decide.py` and `reconcile/build.py` go by them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from keelway.api.build import Build, BuildStatus
from keelway.api.labels import RELEASE_QUARANTINE
from keelway.api.quarantine import MAX_QUARANTINED, Quarantine, QuarantinedBuild
from keelway.status.build import Failure, Inputs, failed, failure, succeeded

QUARANTINED: Final = "Quarantined"
ALL: Final = "all"
"""A request to release everything; else it names a Build, or a digest."""
_MAX_MESSAGE: Final = 1024

Builds = Sequence[Build]
"""An Image's records, by number."""


def in_quarantine(build: Build) -> bool:
    """Whether the record is evidence that nobody has lifted."""
    found = build.status.quarantine
    return found is not None and found.released_time is None


def evidence(builds: Builds) -> tuple[Build, ...]:
    """The records that count: the newest MAX_QUARANTINED of those in quarantine."""
    return tuple([build for build in builds if in_quarantine(build)][-MAX_QUARANTINED:])


def of_digest(builds: Builds, digest: str | None) -> Build | None:
    """The evidence against a digest."""
    return next((one for one in reversed(evidence(builds)) if digest and _verdict(one).digest == digest), None)


def of_inputs(builds: Builds, inputs: Inputs) -> Build | None:
    """The record that keeps inputs from being built: they were found bad, or gave a digest that is.

    A later good build of them counts for more. It may be one of another base image: where the registry does not tell
    what that is now, both are of these inputs.
    """
    counted = evidence(builds)
    held = [build for build in builds if _was_held(build) and of_digest(counted, build.status.digest) is not None]
    found = [one for one in (*reversed(counted), *reversed(held)) if inputs.made(one)]
    if not found:
        return None
    good = [one.spec.number for one in builds if succeeded(one) and inputs.made(one) and of_good(builds, one) is None]
    return next((one for one in found if one.spec.number > max(good, default=0)), None)


def of_built(builds: Builds, build: Build, digest: str) -> Build | None:
    """The evidence that keeps a build, which gave `digest`, from being tested."""
    found = of_digest(builds, digest)
    return None if found is None or _is_tested_anew(build, found) else found


def of_good(builds: Builds, build: Build) -> Build | None:
    """The evidence against a build that became a version; one that passed a corrected test has answered it."""
    found = of_digest(builds, build.status.digest)
    return found if found is not None and found.spec.number >= build.spec.number else None


def is_over(build: Build) -> bool:
    """Whether a record is closed only because of a quarantine that is lifted: its inputs deserve another build."""
    found = build.status.quarantine
    return (found is not None and found.released_time is not None) or _was_held(build)


def verdict(
    build: Build, told: Failure, builds: Builds, now: datetime, *, serving: str | None = None
) -> Quarantine | None:
    """What a failure means for the time to come; None where it says nothing of the image. `serving`: the digest of
    `status.latest`, whose own record may be gone."""
    if told.test is None or told.retry:
        return None
    digest = build.status.digest
    # A new test that fails does not take away what serves: the image is a version, by the tests that it had.
    is_version = digest == serving or any(succeeded(one) and one.status.digest == digest for one in builds)
    return Quarantine(
        reason=told.reason,
        message=told.message.partition("\n")[0][:_MAX_MESSAGE],
        time=now,
        test=told.test,
        digest=None if is_version else digest,
    )


def cause(build: Build) -> str:
    """What turned out bad, of a record that is evidence."""
    return _verdict(build).message


def held_back(build: Build, found: Build, digest: str) -> Failure:
    """The failure of a build that gave a digest in quarantine."""
    test = _verdict(found).test
    corrected = f", correct test {test}" if test else ""
    return Failure(
        QUARANTINED,
        f"The build gave {digest}, the very image of {found.metadata.name}, which is in quarantine: "
        f"{cause(found)} Change the source{corrected}, or release it: {how_to_release(found)}",
    )


def how_to_release(build: Build) -> str:
    """The command that lifts a quarantine."""
    where, image = build.metadata.namespace, build.spec.image
    return f"`kubectl annotate -n {where} image/{image} --overwrite {RELEASE_QUARANTINE}={build.metadata.name}`."


def told(build: Build, serving: str | None) -> str:
    """Why what is asked for is not built again, and what to do; `build` is what `of_inputs` found."""
    if _was_held(build):
        return failure(build).message
    head, _, log = (failure(build).message if failed(build) else _verdict(build).message).partition("\n")
    serves = f", and {serving} serves on" if serving else ""
    text = (
        f"{head} {build.metadata.name} is in quarantine: the same is not built again{serves}. "
        f"If it was not at fault, release it: {how_to_release(build)}"
    )
    return f"{text}\n{log}" if log else text


def named(builds: Builds, request: str) -> tuple[Build, ...]:
    """The records that a request to release names, those that it has released already included."""
    known = [build for build in builds if build.status.quarantine is not None]
    return tuple(build for build in known if request in (ALL, build.metadata.name, build.status.digest))


def answered(builds: Builds) -> tuple[Build, ...]:
    """The evidence of failed tests whose image has passed them since, corrected."""
    return tuple(
        one
        for one in evidence(builds)
        if _verdict(one).digest is not None
        and any(
            succeeded(build) and build.status.digest == one.status.digest and build.spec.number > one.spec.number
            for build in builds
        )
    )


def released_status(build: Build, now: datetime) -> BuildStatus:
    """The record's status once its quarantine is lifted."""
    lifted = _verdict(build).model_copy(update={"released_time": now})
    return build.status.model_copy(update={"quarantine": lifted})


def entries(builds: Builds) -> tuple[QuarantinedBuild, ...]:
    """What the Image's status lists."""
    return tuple(
        QuarantinedBuild(
            build=one.metadata.name,
            digest=one.status.digest,
            reason=_verdict(one).reason,
            message=_verdict(one).message,
            time=_verdict(one).time,
        )
        for one in evidence(builds)
    )


def _verdict(build: Build) -> Quarantine:
    assert build.status.quarantine is not None
    return build.status.quarantine


def _was_held(build: Build) -> bool:
    return failed(build) and failure(build).reason == QUARANTINED


def _is_tested_anew(build: Build, found: Build) -> bool:
    """Whether the test that found the image bad is another one now; a test that is gone proves nothing."""
    name = _verdict(found).test
    if name is None:
        return False
    before, now = ({test.name: test for test in one.spec.tests}.get(name) for one in (found, build))
    return now is not None and now != before
