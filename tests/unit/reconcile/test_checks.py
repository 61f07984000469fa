"""What asks for a look, by hand or by a webhook, through whole passes (`scene.py`): one look, and nothing more."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from keelway.api.buildrequest import BuildReport, Material, Step
from keelway.api.resources import IMAGES
from keelway.errors import KeelwayError, Waiting
from keelway.reconcile.checks import open_check
from keelway.reconcile.image import ImageReconciler
from keelway.reconcile.outcome import Key
from keelway.sources import git
from tests.unit.objects import image
from tests.unit.reconcile.scene import DIGEST, Scene, playing

SOURCE = {"git": {"url": "https://git.example/hello.git", "revision": "main"}}
OFF = {"intervalSeconds": 0}
BY_HAND = "keelway.dev/check-requested"
BASE = "team-a/python:3"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
BUSY = Waiting("RateLimited", "git.example limits the rate of requests. It is tried again later.", 600.0)


class Server:
    """A git server that counts who asks."""

    def __init__(self) -> None:
        self.commit = "1" * 40
        self.asked = 0
        self.problem: KeelwayError | None = None

    async def resolve(self, *_: object) -> git.Ref:
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        return git.Ref("refs/heads/main", self.commit)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(git, "resolve", made.resolve)
    return made


@pytest.fixture
async def scene(server: Server) -> AsyncIterator[Scene]:
    async with playing() as one:
        one.registry.bases[BASE] = OLD
        yield one


async def built(scene: Scene, build: str = "hello-1", base: str = OLD, **spec: Any) -> None:
    """`hello` is built once from git, on a base image of the registry; the source is not polled."""
    scene.image("team-a", source=SOURCE, **{"poll": OFF, **spec})
    await scene.settle()
    await ends(scene, build, base)
    await scene.later(10)
    assert scene.ready() == ("True", "VersionReady")


async def ends(scene: Scene, build: str, base: str = OLD) -> None:
    material = Material(reference=f"{scene.settings.registry_host}/{BASE}", digest=base)
    report = BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest=DIGEST, user="1000", materials=(material,))
    scene.job_ends(f"team-a/{build}", report)
    await scene.settle()


def writes(scene: Scene) -> int:
    return len(scene.api.writes)


async def delivered(scene: Scene, delivery: str) -> None:
    """Any replica has recorded it, and the watch tells."""
    raw = scene.get(IMAGES, "team-a", "hello")
    scene.put(IMAGES, {**raw, "status": {**raw["status"], "lastDelivery": delivery}})
    await scene.settle()


async def annotated(scene: Scene, value: str | None) -> None:
    raw = scene.get(IMAGES, "team-a", "hello")
    annotations = {BY_HAND: value} if value is not None else {}
    scene.put(IMAGES, {**raw, "metadata": {**raw["metadata"], "annotations": annotations}})
    await scene.settle()


class TestWhereNothingIsPolled:
    async def test_nothing_is_asked_and_no_time_is_told(self, scene: Scene, server: Server) -> None:
        await built(scene, poll={"intervalSeconds": 0, "baseImagesIntervalSeconds": 0})
        assert "nextCheckTime" not in scene.status()
        asked = server.asked
        await scene.later(86400)
        assert (server.asked, list(scene.builds())) == (asked, ["hello-1"])

    async def test_a_delivery_makes_it_look_once_and_build_what_is_new(self, scene: Scene, server: Server) -> None:
        await built(scene)
        server.commit = "2" * 40
        await delivered(scene, "github-1")
        assert scene.build("hello-2")["revision"] == "2" * 40
        assert scene.build("hello-2")["reason"] == "SourceChanged"
        assert scene.status()["observedDelivery"] == "github-1"
        asked = server.asked

        await ends(scene, "hello-2")
        await delivered(scene, "github-1")
        await scene.later(60)

        assert server.asked == asked, "what was acted on is not acted on again"
        assert scene.status()["lastDelivery"] == "github-1"

    async def test_the_annotation_does_so_too(self, scene: Scene, server: Server) -> None:
        await built(scene)
        server.commit = "2" * 40
        await annotated(scene, "now")
        assert scene.build("hello-2")["revision"] == "2" * 40
        assert scene.status()["observedCheckRequest"] == "now"

    async def test_a_server_that_fails_is_asked_again_by_itself(self, scene: Scene, server: Server) -> None:
        await built(scene)
        server.problem, server.commit = BUSY, "2" * 40
        await delivered(scene, "github-1")
        assert scene.status()["nextCheckTime"] > scene.now.isoformat().replace("+00:00", "Z")
        asked = server.asked
        await scene.later(60)
        assert server.asked == asked, "it wants to be left alone"

        server.problem = None
        await scene.later(700)
        assert scene.build("hello-2")["revision"] == "2" * 40
        assert "2" * 40 in scene.condition("SourceReady")["message"]

    async def test_after_a_restart_it_is_looked_at_once(self, scene: Scene, server: Server) -> None:
        """So a request that was acted on, and of which nothing else is left, is not lost."""
        await built(scene)
        server.commit = "2" * 40
        cast("ImageReconciler", scene.reconcile).observer.forget(Key("Image", "team-a", "hello"))
        scene.wake(Key("Image", "team-a", "hello"))
        await scene.settle()
        assert scene.build("hello-2")["revision"] == "2" * 40


class TestALook:
    async def test_that_finds_nothing_new_writes_one_status_and_no_more(self, scene: Scene, server: Server) -> None:
        await built(scene)
        before, asked = writes(scene), server.asked
        await delivered(scene, "github-1")
        assert (writes(scene), server.asked) == (before + 1, asked + 1)
        await scene.later(60)
        assert (writes(scene), server.asked) == (before + 1, asked + 1)

    async def test_is_given_at_most_every_ten_seconds_and_the_last_request_is_not_lost(
        self, scene: Scene, server: Server
    ) -> None:
        await built(scene)
        asked = server.asked
        for number in range(20):
            await delivered(scene, f"github-{number}")
        assert server.asked == asked + 1
        server.commit = "2" * 40

        await scene.later(10)

        assert server.asked == asked + 2
        assert scene.status()["observedDelivery"] == "github-19"
        assert scene.build("hello-2")["revision"] == "2" * 40

    async def test_that_is_put_off_is_told(self, scene: Scene) -> None:
        await built(scene, poll={"intervalSeconds": 0, "baseImagesIntervalSeconds": 0})
        await delivered(scene, "github-1")
        assert "nextCheckTime" not in scene.status()
        await delivered(scene, "github-2")
        assert scene.status()["nextCheckTime"] == "2026-01-02T12:00:20Z"
        await scene.later(10)
        assert "nextCheckTime" not in scene.status()

    async def test_is_given_again_for_the_same_word_once_it_was_taken_away(self, scene: Scene, server: Server) -> None:
        await built(scene)
        await annotated(scene, "now")
        await annotated(scene, None)
        assert "observedCheckRequest" not in scene.status()
        await scene.later(10)
        asked = server.asked
        await annotated(scene, "now")
        assert server.asked == asked + 1

    async def test_waits_while_the_image_is_suspended(self, scene: Scene, server: Server) -> None:
        await built(scene)
        scene.image("team-a", source=SOURCE, poll=OFF, suspend=True)
        await scene.settle()
        asked, server.commit = server.asked, "2" * 40
        await delivered(scene, "github-1")
        assert server.asked == asked
        assert scene.status()["lastDelivery"] == "github-1"

        scene.image("team-a", source=SOURCE, poll=OFF)
        await scene.settle()
        assert scene.build("hello-2")["revision"] == "2" * 40
        assert scene.status()["observedDelivery"] == "github-1"

    async def test_does_not_disturb_a_build_that_runs(self, scene: Scene, server: Server) -> None:
        await built(scene)
        server.commit = "2" * 40
        await delivered(scene, "github-1")
        assert scene.running() == ["team-a/hello-2"]
        await scene.later(10)
        server.commit = "3" * 40
        await delivered(scene, "github-2")
        assert scene.running() == ["team-a/hello-2"]

        await ends(scene, "hello-2")
        assert scene.build("hello-3")["revision"] == "3" * 40


class TestBaseImages:
    async def test_that_are_looked_at_are_named(self, scene: Scene) -> None:
        await built(scene)
        assert scene.status()["baseImages"] == [f"{scene.settings.registry_host}/{BASE}"]
        scene.image("team-a", source=SOURCE, poll={**OFF, "baseImagesIntervalSeconds": 0})
        await scene.settle()
        assert "baseImages" not in scene.status()

    async def test_are_looked_at_for_a_delivery(self, scene: Scene) -> None:
        await built(scene)
        scene.registry.bases[BASE] = NEW
        await delivered(scene, "registry-1")
        assert scene.build("hello-2")["reason"] == "BaseImageChanged"
        assert [one["digest"] for one in scene.build("hello-2")["bases"]] == [NEW]

    async def test_are_asked_for_once_a_delivery(self, scene: Scene) -> None:
        await built(scene)
        asked = scene.registry.asked
        await delivered(scene, "registry-1")
        assert scene.registry.asked == asked + 1
        await delivered(scene, "registry-1")
        assert scene.registry.asked == asked + 1


@pytest.mark.parametrize(
    ("annotation", "status", "asks"),
    [
        (None, {}, None),
        ("", {}, None),
        ("now", {}, "now"),
        ("now", {"observedCheckRequest": "now"}, None),
        ("later", {"observedCheckRequest": "now"}, "later"),
        (None, {"lastDelivery": "github-1"}, "github-1"),
        (None, {"lastDelivery": "github-1", "observedDelivery": "github-1"}, None),
        ("now", {"lastDelivery": "github-1"}, "now github-1"),
        ("now", {"lastDelivery": "github-1", "observedDelivery": "github-1"}, "now"),
    ],
)
def test_what_was_acted_on_asks_no_more(annotation: str | None, status: dict[str, str], asks: str | None) -> None:
    annotations = {BY_HAND: annotation} if annotation is not None else {}
    assert open_check(image(annotations=annotations, status=status)) == asks
