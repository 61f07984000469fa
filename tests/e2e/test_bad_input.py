"""Bad input ends in a condition that names the cause and the remedy; what lies outside is waited for.

What the CRDs refuse at `kubectl apply` is in tests/integration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import archives
from tests.e2e.commons import FORGE, Forge
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant

PYTHON = "FROM python:3.11-slim\n"


@dataclass(frozen=True)
class Bad:
    """An Image's spec, and what its condition must say: the reason and words of cause and remedy.

    `stalled`: only a change of the spec can cure it. Otherwise it is tried again by itself. `event` is the event's
    reason where it is another one.
    """

    spec: dict[str, Any]
    reason: str
    says: tuple[str, ...]
    stalled: bool = True
    event: str = ""


def dockerfile(text: str, **build: Any) -> dict[str, Any]:
    return {"source": {"inline": {"files": [{"name": "Dockerfile", "content": text}]}}, "build": build}


BUILDS: dict[str, Bad] = {
    "missing-dockerfile": Bad(
        {"source": {"inline": {"files": [{"name": "app.py", "content": ""}]}}},
        "DockerfileNotFound",
        ("The source has no Dockerfile", "Add it, or name it in spec.build.dockerfile"),
    ),
    "dockerfile-that-does-not-parse": Bad(
        dockerfile("FROM scratch\nFETCH everything\n"),
        "DockerfileInvalid",
        ("Dockerfile line 2", "FETCH", "Correct the Dockerfile"),
    ),
    "stage-that-is-not-there": Bad(
        dockerfile("FROM scratch AS one\n", target="two"),
        "DockerfileInvalid",
        ("no stage", "two", "Correct spec.build.target"),
    ),
    "failing-run": Bad(
        dockerfile(f"{PYTHON}RUN echo the disk is made of cheese && exit 7\n"),
        "BuildFailed",
        ("Build: Dockerfile line 2", "exit code 7", "Correct the step", "the disk is made of cheese"),
    ),
    "file-that-is-not-there": Bad(
        dockerfile("FROM scratch\nCOPY no-such-file /\n"),
        "BuildFailed",
        ("Dockerfile line 2", "no-such-file", "Correct the path"),
    ),
    "build-past-its-timeout": Bad(
        dockerfile(f"{PYTHON}RUN echo about to sleep && sleep 300\n", timeoutSeconds=10),
        "BuildTimedOut",
        ("10 s", "about to sleep", "timeoutSeconds"),
    ),
    "failing-test": Bad(
        {
            **dockerfile(f"{PYTHON}USER 1000\n"),
            "tests": [{"name": "adds", "command": ["python", "-c", "print('one and one'); assert 1 + 1 == 3"]}],
        },
        "Quarantined",
        ("Test adds exited with code 1", "Correct the source or the test", "one and one", "AssertionError"),
        event="TestFailed",
    ),
    "test-that-hangs": Bad(
        {
            **dockerfile(f"{PYTHON}USER 1000\n"),
            "tests": [{"name": "waits", "command": ["sleep", "300"], "timeoutSeconds": 3}],
        },
        "Quarantined",
        ("Test waits did not end within 3 s", "raise its timeoutSeconds"),
        event="TestTimeout",
    ),
    "test-as-root": Bad(
        {**dockerfile(PYTHON), "tests": [{"name": "runs", "command": ["true"]}]},
        "ImageRunsAsRoot",
        ("USER 1000", "security: Baseline"),
    ),
}


@pytest.mark.parametrize("case", BUILDS)
def test_a_build_that_cannot_succeed(case: str, tenant: Tenant) -> None:
    expect(tenant, BUILDS[case])


def of_git(url: str, **more: Any) -> dict[str, Any]:
    return {"source": {"git": {"url": url, **more}}}


def of_http(url: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {"source": {"http": {"url": url, "sha256": sha256, **more}}}


def unknown_revision(forge: Forge, name: str) -> Bad:
    repository = forge.repository(name)
    repository.commit({"Dockerfile": "FROM scratch\n"})
    says = ("no branch or tag 'nowhere'", "Correct the revision, or push it")
    return Bad(of_git(repository.url, revision="nowhere"), "RevisionNotFound", says, stalled=False)


def unknown_repository(_: Forge, name: str) -> Bad:
    says = ("has nothing at the URL (404)", "Correct the URL")
    return Bad(of_git(f"{FORGE}/git/{name}-nowhere.git"), "NotFound", says, stalled=False)


def unauthorized(forge: Forge, name: str) -> Bad:
    repository = forge.repository(name)
    repository.commit({"Dockerfile": "FROM scratch\n"})
    says = ("refused a request without credentials (401)", "Name a Secret")
    return Bad(of_git(repository.private_url), "Unauthorized", says, stalled=False)


def unauthorized_file(_: Forge, name: str) -> Bad:
    says = ("refused a request without credentials (401)",)
    return Bad(of_http(f"{FORGE}/private/files/{name}", "0" * 64), "Unauthorized", says, stalled=False)


def unknown_host(_: Forge, __: str) -> Bad:
    says = ("The host nowhere.keelway-e2e.svc was not found", "Correct the URL")
    return Bad(of_git("http://nowhere.keelway-e2e.svc/git/app.git"), "HostNotFound", says, stalled=False)


def forbidden_address(_: Forge, __: str) -> Bad:
    return Bad(of_git("https://127.0.0.1/app.git"), "AddressRefused", ("127.0.0.1", "Use a public host"))


def wrong_checksum(forge: Forge, name: str) -> Bad:
    url, sha256 = forge.publish(f"{name}.tar.gz", archives.tar_gz({"Dockerfile": "FROM scratch\n"}))
    says = (sha256, "0" * 64, "Correct spec.source.http.sha256")
    return Bad(of_http(url, "0" * 64), "ChecksumMismatch", says)


def no_archive(forge: Forge, name: str) -> Bad:
    url, sha256 = forge.publish(name, b"no archive at all")
    return Bad(of_http(url, sha256), "UnsupportedArchive", ("no tar.gz, tar.zst or zip", "Pack it as one"))


def climbing_name(forge: Forge, name: str) -> Bad:
    url, sha256 = forge.publish(f"{name}.tar.gz", archives.tar_gz({"../../etc/passwd": "me"}))
    return Bad(of_http(url, sha256), "SourceUnsafe", ("'../../etc/passwd'", "Remove that entry"))


def climbing_name_in_zip(forge: Forge, name: str) -> Bad:
    url, sha256 = forge.publish(f"{name}.zip", archives.zipped({"../Dockerfile": "FROM scratch\n"}))
    return Bad(of_http(url, sha256), "SourceUnsafe", ("'../Dockerfile'", "Remove that entry"))


def climbing_link(forge: Forge, name: str) -> Bad:
    url, sha256 = forge.publish(f"{name}.tar.gz", archives.with_link("secrets", "../../../keelway/request"))
    return Bad(of_http(url, sha256), "SourceUnsafe", ("'secrets'", "out of the tree", "Remove that entry"))


def bomb(forge: Forge, name: str) -> Bad:
    small = archives.bomb(mebibytes=3000)
    assert len(small) < 4_000_000
    url, sha256 = forge.publish(f"{name}.tar.gz", small)
    return Bad(of_http(url, sha256), "SourceTooLarge", ("2147483648 bytes", "Make it smaller"))


def unknown_directory(forge: Forge, name: str) -> Bad:
    url, sha256 = forge.publish(f"{name}.tar.gz", archives.tar_gz({"Dockerfile": "FROM scratch\n"}))
    says = ("no directory 'app'", "Correct subPath")
    return Bad(of_http(url, sha256, subPath="app"), "SubPathNotFound", says)


@pytest.mark.parametrize(
    "case",
    [
        unknown_revision,
        unknown_repository,
        unauthorized,
        unauthorized_file,
        unknown_host,
        forbidden_address,
        wrong_checksum,
        no_archive,
        climbing_name,
        climbing_name_in_zip,
        climbing_link,
        bomb,
        unknown_directory,
    ],
    ids=lambda case: case.__name__.replace("_", "-"),
)
def test_a_source_that_cannot_be_used(case: Callable[[Forge, str], Bad], tenant: Tenant, forge: Forge) -> None:
    expect(tenant, case(forge, tenant.namespace))


def expect(tenant: Tenant, bad: Bad) -> None:
    """The Image ends in the condition, and nothing of it is served or left running."""
    tenant.apply({"apiVersion": "keelway.dev/v1alpha1", "kind": "Image", "metadata": {"name": "bad"}, "spec": bad.spec})

    told = tenant.wait_for_reason("image/bad", bad.reason)

    assert [words for words in bad.says if words not in told["message"]] == [], told["message"]
    assert told["status"] == "False"
    assert tenant.condition("image/bad", "Stalled")["status"] == str(bad.stalled)
    assert tenant.condition("image/bad", "Reconciling")["status"] == str(not bad.stalled)
    assert "latest" not in tenant.get("image/bad")["status"]
    eventually("an event says so", lambda: (bad.event or bad.reason) in tenant.event_reasons("bad"), 20)
    if bad.stalled:
        eventually("its Job is removed", lambda: tenant.jobs() == [], 30)
        assert len(tenant.builds("bad")) <= 1, "the same inputs are not built again"
