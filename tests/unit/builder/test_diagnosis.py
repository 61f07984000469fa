"""From BuildKit's words to a reason: each error here is a real answer of BuildKit 0.34.2."""

import pytest

from keelway.api.buildrequest import Step
from keelway.builder.diagnosis import Failure, diagnose
from keelway.builder.progress import Progress, Vertex

_RUN = 'process "/bin/sh -c echo a; exit 3" did not complete successfully: exit code: {}'
_PUSH = "failed to push localhost:5555/ns/app:t1: "
_PUSH_401 = "unexpected status from HEAD request to http://localhost:5555/v2/ns/app/blobs/sha256:0e: 401 Unauthorized"
_PUSH_CLOSED = (
    'failed to do request: Head "http://localhost:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused'
)
_META = "failed to resolve source metadata for "
_NO_HOST = (
    'failed to do request: Head "https://nohost.invalid/v2/x/manifests/1": dial tcp: lookup nohost.invalid on '
    "10.0.0.10:53: no such host"
)
_POLICY = (
    'could not resolve image due to policy: source "docker-image://localhost:5555/other/base:1" denied by policy: '
)
_REF_401 = "unexpected status from HEAD request to http://localhost:5555/v2/ns/app/manifests/t1: 401 Unauthorized"
_DIAL = 'connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:9: connect: connection refused"'
_CHECKSUM = "failed to calculate checksum of ref 7ntg::nst2: "

CASES = {
    "a RUN that fails": (_RUN.format(3), "BuildFailed", False, ["Dockerfile line 2", "RUN make", "exit code 3"]),
    "a RUN that is killed": (_RUN.format(137), "BuildFailed", False, ["killed (137)", "resources.limits.memory"]),
    "no Dockerfile": (
        "failed to read dockerfile: open docker/Other: no such file or directory",
        "DockerfileNotFound",
        False,
        ["docker/Other", "spec.build.dockerfile"],
    ),
    "an unknown instruction": (
        "dockerfile parse error on line 7: unknown instruction: RUNN (did you mean RUN?)",
        "DockerfileInvalid",
        False,
        ["Dockerfile line 7", "unknown instruction: RUNN"],
    ),
    "an unknown flag": (
        "dockerfile parse error on line 2: unknown flag: --foo (did you mean from?)",
        "DockerfileInvalid",
        False,
        ["Dockerfile line 2"],
    ),
    "a Dockerfile of comments": ("file with no instructions", "DockerfileInvalid", False, ["no instructions"]),
    "an empty Dockerfile": ("the Dockerfile cannot be empty", "DockerfileInvalid", False, ["cannot be empty"]),
    "an unknown target": (
        'target stage "zzz" could not be found',
        "DockerfileInvalid",
        False,
        ['"zzz"', "spec.build.target"],
    ),
    "no base name": ("base name ($X) should not be blank", "DockerfileInvalid", False, ["($X)"]),
    "a bad base name": (
        'failed to parse stage name "Base:1:2": invalid reference format: repository name must be lowercase',
        "DockerfileInvalid",
        False,
        ["Base:1:2"],
    ),
    "stages in a ring": ("circular dependency detected on stage: a", "DockerfileInvalid", False, ["stage: a"]),
    "nothing to copy": (
        f'failed to compute cache key: {_CHECKSUM}"/missing.txt": not found',
        "BuildFailed",
        False,
        ['"/missing.txt"', "subPath"],
    ),
    "nothing to add": ("failed to load cache key: invalid response status 400", "BuildFailed", True, ["400", "URL"]),
    "a secret that is not given": ("secret zz: not found", "BuildFailed", False, ["zz", "spec.build.secrets"]),
    "no base image": (
        f"base:none: {_META}docker.io/library/base:none: docker.io/library/base:none: not found",
        "BaseImageNotFound",
        True,
        ["docker.io/library/base:none", "Correct its name"],
    ),
    "no frontend image": (
        f"{_META}docker.io/docker/dockerfile:1: docker.io/docker/dockerfile:1: not found",
        "BaseImageNotFound",
        True,
        ["docker.io/docker/dockerfile:1"],
    ),
    "a private base image": (
        f"localhost:5555/ns/app:t1: {_META}localhost:5555/ns/app:t1: {_REF_401}",
        "BaseImageUnauthorized",
        True,
        ["credentials"],
    ),
    "a registry unknown to the DNS": (
        f"nohost.invalid/x:1: {_META}nohost.invalid/x:1: {_NO_HOST}",
        "BaseImageNotFound",
        True,
        ["was not found"],
    ),
    "a base image of a neighbour": (
        f"localhost:5555/other/base:1: {_META}localhost:5555/other/base:1: {_POLICY}source denied by policy",
        "PolicyDenied",
        False,
        ["docker-image://localhost:5555/other/base:1"],
    ),
    "an ADD of an internal address": (
        'failed to load LLB: error evaluating the source policy: source "http://10.0.0.1/x" denied by policy: '
        "source denied by policy",
        "PolicyDenied",
        False,
        ["http://10.0.0.1/x", "public source"],
    ),
    "a push without credentials": (_PUSH + _PUSH_401, "PushRefused", True, ["401", "credentials"]),
    "a push that the registry denies": (
        _PUSH + "denied: requested access to the resource is denied",
        "PushRefused",
        True,
        ["denied"],
    ),
    "a push to nowhere": (_PUSH + _PUSH_CLOSED, "PushFailed", True, ["connection refused"]),
}


def diagnosed(error: str) -> tuple[str, bool, Step, str]:
    progress = Progress(echo=lambda _: None, text=["Dockerfile:2", "   2 | >>> RUN make", f"error: {error}"])
    progress.steps["a"] = Vertex(name="[2/2] RUN make", started=True, completed=True, error="failed")
    found = diagnose(Failure(progress.error, progress, "Dockerfile"))
    return found.reason, found.retryable, found.step, found.message


@pytest.mark.parametrize("case", CASES)
def test_a_failed_solve_is_told_as_cause_and_remedy(case: str) -> None:
    error, reason, retryable, words = CASES[case]
    found = diagnosed(f"failed to solve: {error}")
    assert found[:2] == (reason, retryable)
    assert found[2] is (Step.PUSH if reason.startswith("Push") else Step.BUILD)
    for word in words:
        assert word in found[3]
    assert len(found[3]) < 1000


@pytest.mark.parametrize(
    "error",
    [
        f"listing workers for Build: failed to list workers: Unavailable: {_DIAL}",
        "failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
        "failed to solve: Unavailable: error reading from server: EOF",
    ],
)
def test_a_daemon_out_of_reach_is_tried_again(error: str) -> None:
    assert diagnosed(error)[:2] == ("BuildkitUnavailable", True)


_BLOB = "httpReadSeeker: failed open: unexpected status from GET request to https://reg/v2/x/blobs/sha256:0e: "
# In the words of BuildKit's and containerd's sources: a test cannot easily make these.
OUTSIDE = {
    "a layer that its registry does not give": (
        f"failed to compute cache key: failed to copy: {_BLOB}503 Service Unavailable",
        "BaseImageUnavailable",
    ),
    "a layer at the limit of the rate": (f"failed to copy: {_BLOB}429 Too Many Requests", "RateLimited"),
    "a layer that the cache names and the registry has lost": (
        "failed to compute cache key: failed to calculate checksum of ref a::b: content digest sha256:0e: not found",
        "BaseImageUnavailable",
    ),
    "a step that was ended with the daemon": (
        'process "/bin/sh -c make" did not complete successfully: context canceled: context canceled',
        "BuildkitUnavailable",
    ),
    "a session that was lost": (
        "DeadlineExceeded: no active session for abc: context deadline exceeded",
        "BuildkitUnavailable",
    ),
    "a context that broke off": (
        "failed to read dockerfile: failed to load cache key: error from sender: context canceled",
        "BuildkitUnavailable",
    ),
    "a lease that ran out": ('lease "abc": not found', "BuildkitUnavailable"),
    "a snapshot that cannot be made": (
        "failed to compute cache key: failed to prepare abc as def: failed to create temp dir: input/output error",
        "BuildkitUnavailable",
    ),
    "a graph that BuildKit lost": ("inconsistent graph state in edge [1/2] RUN x", "BuildkitUnavailable"),
    "a fault of the daemon": ("Internal: stream terminated by RST_STREAM", "BuildkitUnavailable"),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_fault_that_is_not_the_users_is_tried_again(case: str) -> None:
    error, reason = OUTSIDE[case]
    assert diagnosed(f"failed to solve: {error}")[:2] == (reason, True)


def test_a_buildctl_that_was_killed_is_tried_again() -> None:
    found = diagnose(Failure("", Progress(echo=lambda _: None), "Dockerfile"))
    assert (found.reason, found.retryable) == ("BuildkitUnavailable", True)


def test_words_of_the_dockerfile_do_not_decide() -> None:
    command = (
        'process "/bin/sh -c echo failed to push x: 401; denied by policy" did not complete successfully: exit code: 1'
    )
    assert diagnosed(f"failed to solve: {command}")[:2] == ("BuildFailed", False)
    command = (
        'process "/bin/sh -c echo \\" did not complete successfully: context canceled" did not complete successfully: '
    )
    assert diagnosed(f"failed to solve: {command}exit code: 1")[:2] == ("BuildFailed", False)


def test_an_unknown_error_is_a_failed_build_with_its_words() -> None:
    reason, retryable, _, message = diagnosed("failed to solve: the moon is in the wrong phase")
    assert (reason, retryable) == ("BuildFailed", False)
    assert "the moon" in message
