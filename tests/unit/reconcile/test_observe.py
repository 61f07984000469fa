"""What a pass sees of a git source and of base images at once; and what an Image says while its git server is busy."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from keelway.api.buildrequest import BuildReport, Material, Step
from keelway.budget import Postponed
from keelway.errors import KeelwayError, Transient, Waiting
from keelway.reconcile.image import ImageReconciler
from keelway.reconcile.outcome import Key
from keelway.sources import git
from tests.unit.reconcile.scene import DIGEST, Scene, playing

BUSY = Waiting("RateLimited", "git.example limits the rate of requests. It is tried again later.")
DOWN = Transient("ServerFailed", "git.example answered 503. It is tried again.", 600.0)
POSTPONED = Postponed("HostBusy", "git.example wants fewer requests, so nothing was asked now.", 30.0)
SOURCE = {"git": {"url": "https://git.example/hello.git", "revision": "main"}}
OTHER = {"git": {"url": "https://git.example/other.git", "revision": "main"}}


class Server:
    """What a git server answers."""

    def __init__(self) -> None:
        self.ref = "refs/heads/main"
        self.commit = "1" * 40
        self.problem: KeelwayError | None = None

    async def resolve(self, *_: object) -> git.Ref:
        if self.problem is not None:
            raise self.problem
        return git.Ref(self.ref, self.commit)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(git, "resolve", made.resolve)
    return made


@pytest.fixture
async def scene(server: Server) -> AsyncIterator[Scene]:
    async with playing() as one:
        yield one


async def _built(scene: Scene, **spec: Any) -> None:
    scene.image("team-a", source=SOURCE, **spec)
    await scene.settle()
    scene.job_ends("team-a/hello-1")
    await scene.settle()
    assert scene.ready() == ("True", "VersionReady")


def _restarted(scene: Scene) -> None:
    """Nothing is remembered of the source."""
    cast("ImageReconciler", scene.reconcile).observer.forget(Key("Image", "team-a", "hello"))


@pytest.mark.parametrize("problem", [BUSY, DOWN], ids=["429", "503 with Retry-After"])
async def test_a_good_version_stays_ready_while_the_server_wants_fewer_requests(
    scene: Scene, server: Server, problem: KeelwayError
) -> None:
    await _built(scene)
    server.problem = problem
    await scene.later(70)
    assert scene.ready() == ("True", "VersionReady")
    told = scene.condition("SourceReady")
    assert (told["status"], told["reason"]) == ("False", problem.reason)
    assert scene.status()["nextCheckTime"] > scene.now.isoformat().replace("+00:00", "Z")
    assert scene.problems == {}

    server.problem, server.commit = None, "2" * 40
    await scene.later(700)
    assert scene.condition("SourceReady")["status"] == "True"
    assert scene.build("hello-2")["revision"] == "2" * 40


async def test_also_after_a_restart(scene: Scene, server: Server) -> None:
    await _built(scene)
    _restarted(scene)
    server.problem = BUSY
    await scene.later(70)
    assert scene.ready() == ("True", "VersionReady")
    assert scene.condition("SourceReady")["reason"] == "RateLimited"
    server.problem = POSTPONED
    await scene.later(70)
    assert scene.ready() == ("True", "VersionReady")
    assert scene.condition("SourceReady")["reason"] == "RateLimited", "it is not its turn, so nothing new is known"


@pytest.mark.parametrize("problem", [BUSY, POSTPONED], ids=["429", "not its turn"])
async def test_a_new_source_that_cannot_be_looked_at_is_not_ready(
    scene: Scene, server: Server, problem: KeelwayError
) -> None:
    await _built(scene)
    server.problem = problem
    scene.image("team-a", source=OTHER)
    await scene.settle()
    assert scene.ready() == ("False", problem.reason)
    assert scene.status()["latest"]["version"] == "v1"


async def test_where_nothing_was_built_yet_the_cause_is_told(scene: Scene, server: Server) -> None:
    server.problem = BUSY
    scene.image("team-a", source=SOURCE)
    await scene.settle()
    assert scene.ready() == ("False", "RateLimited")


async def test_who_waits_for_a_first_turn_is_about_to_start(scene: Scene, server: Server) -> None:
    server.problem = POSTPONED
    scene.image("team-a", source=SOURCE)
    await scene.settle()
    assert scene.ready() == ("Unknown", "Queued")
    server.problem = None
    await scene.later(31)
    assert scene.running() == ["team-a/hello-1"]


async def test_a_git_tag_on_a_changed_base_gives_the_same_version_with_the_builds_number(
    scene: Scene, server: Server
) -> None:
    server.ref = "refs/tags/v1.2.3"
    scene.registry.bases["team-a/python:3"] = "sha256:" + "a" * 64
    scene.image("team-a", source=SOURCE, version={"scheme": "SemVer"})
    await scene.settle()
    used = Material(reference=f"{scene.settings.registry_host}/team-a/python:3", digest="sha256:" + "a" * 64)
    told = BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest=DIGEST, user="1000", materials=(used,))
    scene.job_ends("team-a/hello-1", told)
    await scene.settle()

    scene.registry.bases["team-a/python:3"] = "sha256:" + "b" * 64
    server.problem = BUSY  # what the source is was known before
    await scene.later(4000)

    assert scene.build("hello-2")["reason"] == "BaseImageChanged"
    assert [scene.build(f"hello-{number}")["version"] for number in (1, 2)] == ["1.2.3", "1.2.3+2"]
