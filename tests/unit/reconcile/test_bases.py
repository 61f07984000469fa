"""What Images build on, through whole passes (`scene.py`): base images of a registry, and other Images."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, cast

import pytest

from keelway.api.build import Material as RecordedMaterial
from keelway.api.build import PinnedBase
from keelway.api.buildrequest import BuildReport, Material, Step
from keelway.api.resources import IMAGES
from keelway.cluster.cache import Cache
from keelway.errors import KeelwayError, NotFound, Terminal, Waiting
from keelway.reconcile.bases import Bases, Today
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.outcome import Key
from keelway.registry import digests
from keelway.registry.client import Seen
from keelway.registry.credentials import Keyring
from keelway.registry.digests import Answer, Digests
from keelway.registry.mirrors import Mirror, Mirrors
from keelway.registry.reference import Reference
from tests.unit.objects import NOW, good, image, inputs
from tests.unit.reconcile.scene import DIGEST, OTHER_DIGEST, Scene, playing

BASE = "team-a/python:3"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
HOUR = 3600 * 1.1
KEY = Key("Image", "team-a", "hello")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with playing() as one:
        one.registry.bases[BASE] = OLD
        yield one


@pytest.fixture
async def narrow() -> AsyncIterator[Scene]:
    """One build at a time."""
    async with playing(cap=1) as one:
        one.registry.bases[BASE] = OLD
        yield one


def reference(scene: Scene) -> str:
    return f"{scene.settings.registry_host}/{BASE}"


def report(scene: Scene, base: str, digest: str = DIGEST) -> BuildReport:
    """The end of a build that used that base image."""
    materials = (Material(reference=reference(scene), digest=base),)
    return BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest=digest, user="1000", materials=materials)


async def ends(scene: Scene, build: str, base: str = OLD, digest: str = DIGEST) -> None:
    scene.job_ends(f"team-a/{build}", report(scene, base, digest))
    await scene.settle()


async def built(scene: Scene, **spec: Any) -> None:
    """`hello` is built once, on the old base image."""
    scene.image("team-a", **spec)
    await scene.settle()
    await ends(scene, "hello-1")
    assert scene.ready() == ("True", "VersionReady")


def pins(scene: Scene, build: str) -> dict[str, str]:
    return {one["reference"]: one["digest"] for one in scene.build(build).get("bases", [])}


class TestABaseImage:
    async def test_that_changed_starts_a_build_on_what_it_is_now(self, scene: Scene) -> None:
        await built(scene)
        assert scene.condition("BaseImagesChecked")["status"] == "True"
        scene.registry.bases[BASE] = NEW

        await scene.later(60)
        assert scene.running() == [], "it is not yet time to look"
        await scene.later(HOUR)

        assert scene.running() == ["team-a/hello-2"]
        assert scene.build("hello-2")["reason"] == "BaseImageChanged"
        assert pins(scene, "hello-2") == {reference(scene): NEW}
        await ends(scene, "hello-2", NEW)
        assert scene.status()["latest"]["version"] == "v2"
        await scene.later(HOUR)
        assert list(scene.builds()) == ["hello-1", "hello-2"], "and that is all"

    async def test_that_is_the_same_starts_none(self, scene: Scene) -> None:
        await built(scene)
        asked = scene.registry.asked
        await scene.later(HOUR)
        await scene.later(HOUR)
        assert list(scene.builds()) == ["hello-1"]
        assert scene.registry.asked == asked + 2

    async def test_says_when_it_is_looked_at_next(self, scene: Scene) -> None:
        await built(scene)
        assert scene.status()["nextCheckTime"] > scene.now.isoformat().replace("+00:00", "Z")

    async def test_that_is_back_where_it_was_needs_no_build_after_one_that_failed(self, scene: Scene) -> None:
        await built(scene)
        scene.registry.bases[BASE] = NEW
        await scene.later(HOUR)
        failed = BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="It broke.")
        scene.job_ends("team-a/hello-2", failed)
        await scene.settle()
        assert scene.ready() == ("False", "BuildFailed")
        await scene.later(HOUR)
        assert len(scene.builds()) == 2, "the same inputs failed already"

        scene.registry.bases[BASE] = OLD
        await scene.later(HOUR)

        assert scene.ready() == ("True", "VersionReady")
        assert len(scene.builds()) == 2

    async def test_that_changed_during_a_build_waits_for_its_end(self, scene: Scene) -> None:
        await built(scene)
        scene.image("team-a", of="FROM scratch AS two")
        await scene.settle()
        assert scene.running() == ["team-a/hello-2"]
        scene.registry.bases[BASE] = NEW
        await scene.later(HOUR)
        assert scene.running() == ["team-a/hello-2"]

        await ends(scene, "hello-2", OLD)
        await scene.later(HOUR)
        assert scene.build("hello-3")["reason"] == "BaseImageChanged"

    async def test_that_changed_while_a_build_waits_for_its_place_skips_that_build(self, narrow: Scene) -> None:
        await built(narrow)
        narrow.image("team-b")
        narrow.image("team-a", of="FROM scratch AS two")
        await narrow.settle()
        assert narrow.running() == ["team-b/hello-1"]
        narrow.registry.bases[BASE] = NEW
        await narrow.later(HOUR)

        narrow.job_ends("team-b/hello-1")
        await narrow.settle()

        assert narrow.builds() == {"hello-1": "VersionReady", "hello-2": "Superseded", "hello-3": "Open"}
        assert narrow.running() == ["team-a/hello-3"]
        assert pins(narrow, "hello-3") == {reference(narrow): NEW}

    @pytest.mark.parametrize("status", [401, 404, 429, 500])
    async def test_of_a_registry_that_refuses_changes_nothing_and_is_told(self, scene: Scene, status: int) -> None:
        reasons = {401: "Unauthorized", 404: "NotFound", 429: "RateLimited", 500: "RegistryFailed"}
        await built(scene)
        scene.registry.refusal = status
        await scene.later(HOUR)

        checked = scene.condition("BaseImagesChecked")
        assert (checked["status"], checked["reason"]) == ("False", reasons[status])
        assert scene.ready() == ("True", "VersionReady")
        assert list(scene.builds()) == ["hello-1"]
        assert KEY not in scene.problems

        scene.registry.refusal = None
        scene.registry.bases[BASE] = NEW
        await scene.later(HOUR)
        assert scene.build("hello-2")["reason"] == "BaseImageChanged"

    async def test_of_a_registry_that_refuses_keeps_no_other_build_from_starting(self, scene: Scene) -> None:
        await built(scene)
        scene.registry.refusal = 500
        await scene.later(HOUR)
        scene.image("team-a", of="FROM scratch AS two")
        await scene.settle()
        assert scene.running() == ["team-a/hello-2"]

    async def test_of_a_registry_that_is_slow_keeps_no_pass_and_is_heeded_when_it_answers(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await built(scene)
        monkeypatch.setattr(digests, "PATIENCE_SECONDS", 0.05)
        scene.registry.silent = asyncio.Event()
        scene.registry.bases[BASE] = NEW
        await scene.later(HOUR)
        assert scene.ready() == ("True", "VersionReady")
        assert scene.condition("BaseImagesChecked")["status"] == "True"
        assert scene.running() == []

        scene.registry.silent.set()
        await scene.woken()

        assert scene.running() == ["team-a/hello-2"]
        assert pins(scene, "hello-2") == {reference(scene): NEW}

    async def test_is_not_looked_at_where_that_is_switched_off(self, scene: Scene) -> None:
        await built(scene, poll={"baseImagesIntervalSeconds": 0})
        scene.registry.bases[BASE] = NEW
        await scene.later(100 * HOUR)
        assert list(scene.builds()) == ["hello-1"]
        assert scene.registry.asked == 0
        assert "nextCheckTime" not in scene.status()

    async def test_another_interval_builds_nothing(self, scene: Scene) -> None:
        await built(scene)
        scene.image("team-a", poll={"baseImagesIntervalSeconds": 600})
        await scene.settle()
        assert list(scene.builds()) == ["hello-1"]

    async def test_that_the_dockerfile_gives_by_its_digest_is_not_looked_at(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        fixed = Material(reference=f"{reference(scene)}@{OLD}", digest=OLD)
        told = report(scene, OLD).model_copy(update={"materials": (fixed,)})
        scene.job_ends("team-a/hello-1", told)
        await scene.settle()
        scene.registry.bases[BASE] = NEW
        await scene.later(HOUR)
        assert scene.registry.asked == 0
        assert list(scene.builds()) == ["hello-1"]

    async def test_is_taken_as_it_is_now_by_a_build_of_a_new_source(self, scene: Scene) -> None:
        await built(scene)
        scene.registry.bases[BASE] = NEW
        scene.now += timedelta(minutes=1)  # in which nobody looks
        scene.image("team-a", of="FROM scratch AS two")
        await scene.settle()
        assert scene.build("hello-2")["reason"] == "SpecChanged"
        assert pins(scene, "hello-2") == {reference(scene): NEW}

    async def test_of_many_images_is_asked_for_once(self, scene: Scene) -> None:
        for number in range(20):
            scene.image("team-a", f"i{number}")
        await scene.settle(400)
        while scene.running():
            for name in scene.running():
                scene.job_ends(name, report(scene, OLD))
            await scene.settle(400)
        asked = scene.registry.asked
        assert asked == 1
        await scene.later(HOUR)
        assert scene.registry.asked == asked + 1


def told(scene: Scene) -> list[str]:
    """What was written for people to read: statuses of Images, and Events."""
    return [one for one in scene.api.writes if "/images/" in one or "/events" in one]


class TestARegistryThatDoesNotTell:
    async def test_costs_a_status_write_when_that_begins_and_none_after(self, scene: Scene) -> None:
        await built(scene)
        scene.registry.refusal = 404
        await scene.later(HOUR)
        checked = scene.condition("BaseImagesChecked")
        assert (checked["status"], checked["reason"]) == ("False", "NotFound")
        assert scene.ready() == ("True", "VersionReady")
        assert "nextCheckTime" not in scene.status(), "each failure would have another"

        written, asked = len(told(scene)), scene.registry.asked
        for _ in range(100):
            await scene.later(HOUR / 10)
        assert len(told(scene)) == written
        assert scene.registry.asked - asked <= 12, "ever less often, once an hour in the end"

    async def test_is_told_without_an_event(self, scene: Scene) -> None:
        await built(scene)
        written = len(told(scene))
        scene.registry.refusal = 500
        await scene.later(HOUR)
        assert [one for one in told(scene)[written:] if "events" in one] == []

    async def test_says_nothing_before_it_has_answered_for_the_first_time(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(digests, "PATIENCE_SECONDS", 0.05)
        scene.registry.silent = asyncio.Event()
        await built(scene)
        assert "BaseImagesChecked" not in [one["type"] for one in scene.status()["conditions"]]
        scene.registry.silent.set()
        await scene.woken()
        assert scene.condition("BaseImagesChecked")["status"] == "True"

    async def test_is_not_told_anew_while_it_takes_its_time(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await built(scene)
        monkeypatch.setattr(digests, "PATIENCE_SECONDS", 0.05)
        written = len(told(scene))
        scene.registry.silent = asyncio.Event()
        await scene.later(HOUR)
        assert len(told(scene)) == written
        assert scene.comes_back_in() >= 10, "what was told is over, and no reason to look again at once"
        scene.registry.silent.set()
        await scene.woken()
        assert len(told(scene)) == written + 1, "when it is looked at next"


TEST = {"name": "answers", "command": ["true"], "security": "Baseline"}
TESTED: dict[str, Any] = {"tests": [TEST], "poll": {"baseImagesIntervalSeconds": 60}}
"""Looked at so often that no pod of a test is given up meanwhile."""


class TestQuarantine:
    """A base image is an input: on another one a build that failed its tests is tried again."""

    async def test_ends_with_the_base_image_though_no_build_was_ever_good(self, scene: Scene) -> None:
        await self._fails(scene, "hello-1", OLD)
        await scene.later(70)
        assert scene.ready() == ("False", "Quarantined")
        assert list(scene.builds()) == ["hello-1"]

        scene.registry.bases[BASE] = NEW
        await scene.later(70)

        assert scene.build("hello-2")["reason"] == "BaseImageChanged"
        assert pins(scene, "hello-2") == {reference(scene): NEW}
        scene.job_ends("team-a/hello-2", report(scene, NEW, OTHER_DIGEST))
        await scene.settle()
        await scene.test_ends("hello-2")
        assert scene.ready() == ("True", "VersionReady")
        assert scene.status()["latest"]["version"] == "v2"

    async def test_holds_for_the_base_image_that_was_bad_when_it_comes_back(self, scene: Scene) -> None:
        await self._fails(scene, "hello-1", OLD)
        scene.registry.bases[BASE] = NEW
        await scene.later(70)
        scene.job_ends("team-a/hello-2", report(scene, NEW, OTHER_DIGEST))
        await scene.settle()
        await scene.test_ends("hello-2")

        scene.registry.bases[BASE] = OLD
        await scene.later(70)
        assert scene.ready() == ("False", "Quarantined")
        assert list(scene.builds()) == ["hello-1", "hello-2"]
        scene.registry.bases[BASE] = NEW
        await scene.later(70)
        assert scene.ready() == ("True", "VersionReady")
        assert list(scene.builds()) == ["hello-1", "hello-2"]

    async def test_of_another_base_does_not_count_against_a_later_good_build_while_nobody_tells(
        self, scene: Scene
    ) -> None:
        """As after a restart: what base images are is not known, so both builds may be of these inputs."""
        await self._fails(scene, "hello-1", OLD)
        scene.registry.bases[BASE] = NEW
        await scene.later(70)
        scene.job_ends("team-a/hello-2", report(scene, NEW, OTHER_DIGEST))
        await scene.settle()
        await scene.test_ends("hello-2")
        scene.image("team-a", **TESTED | {"poll": {"baseImagesIntervalSeconds": 0}})
        await scene.settle()
        assert scene.ready() == ("True", "VersionReady")
        assert list(scene.builds()) == ["hello-1", "hello-2"]

    async def _fails(self, scene: Scene, build: str, base: str) -> None:
        scene.image("team-a", **TESTED)
        await scene.settle()
        scene.job_ends(f"team-a/{build}", report(scene, base))
        await scene.settle()
        await scene.test_ends(build, exit_code=1)
        assert scene.ready() == ("False", "Quarantined")


async def test_a_pinned_image_is_built_on_a_changed_base_and_stays_where_it_is(scene: Scene) -> None:
    await built(scene)
    scene.image("team-a", pin="v1")
    await scene.settle()
    scene.registry.bases[BASE] = NEW
    await scene.later(HOUR)
    await ends(scene, "hello-2", NEW, OTHER_DIGEST)
    assert scene.ready() == ("True", "Pinned")
    assert scene.status()["latest"]["version"] == "v1"
    scene.image("team-a")
    await scene.settle()
    assert scene.status()["latest"]["version"] == "v2"
    assert list(scene.builds()) == ["hello-1", "hello-2"]


async def test_a_suspended_image_is_not_built_on_a_changed_base_until_it_goes_on(scene: Scene) -> None:
    await built(scene)
    scene.image("team-a", suspend=True)
    await scene.settle()
    scene.registry.bases[BASE] = NEW
    await scene.later(2 * HOUR)
    assert list(scene.builds()) == ["hello-1"]
    assert scene.ready() == ("True", "Suspended")
    scene.image("team-a")
    await scene.settle()
    assert scene.build("hello-2")["reason"] == "BaseImageChanged"


async def test_a_changed_base_gives_a_version_of_its_own(scene: Scene) -> None:
    await built(scene, version={"scheme": "SemVer"})
    scene.registry.bases[BASE] = NEW
    await scene.later(HOUR)
    assert [scene.build(f"hello-{number}")["version"] for number in (1, 2)] == ["0.1.0", "0.1.1"]


async def test_records_that_pin_and_quarantine_need_outlive_changes_of_the_base(scene: Scene) -> None:
    spec = {**TESTED, "history": {"limit": 1}}
    scene.image("team-a", **spec)
    await scene.settle()
    await ends(scene, "hello-1", OLD)
    await scene.test_ends("hello-1", exit_code=1)
    for number in range(2, 6):
        scene.registry.bases[BASE] = f"sha256:{number:064}"
        await scene.later(70)
        digest = scene.registry.image(str(number))
        scene.job_ends(f"team-a/hello-{number}", report(scene, scene.registry.bases[BASE], digest))
        await scene.settle()
        await scene.test_ends(f"hello-{number}")
        if number == 2:
            scene.image("team-a", **spec, pin="v2")
            await scene.settle()
    assert list(scene.builds()) == ["hello-1", "hello-2", "hello-5"]
    assert scene.status()["latest"]["version"] == "v2"
    scene.registry.bases[BASE] = OLD
    await scene.later(70)
    assert list(scene.builds()) == ["hello-1", "hello-2", "hello-5"], "the evidence is there"


async def test_a_popular_base_starts_no_more_builds_at_once_than_there_are_places(scene: Scene) -> None:
    names = [f"i{number}" for number in range(12)]
    for name in names:
        scene.image("team-a", name)
    await scene.settle(400)
    while scene.running():
        await ends(scene, scene.running()[0].removeprefix("team-a/"))
    scene.registry.bases[BASE] = NEW
    for name in names:
        scene.wake(Key("Image", "team-a", name))
    scene.now += timedelta(seconds=HOUR)
    await scene.settle(400)

    assert len(scene.running()) == scene.settings.max_builds
    told = {scene.message(image=name).rpartition("service. ")[2] for name in names}
    assert {"It is next.", "4 builds are before it.", "About 5 builds are before it."} <= told
    started = set()
    while scene.running():
        started |= set(scene.running())
        assert len(scene.running()) <= scene.settings.max_builds
        await ends(scene, scene.running()[0].removeprefix("team-a/"), NEW)
    assert started == {f"team-a/{name}-2" for name in names}


class Asked:
    """Credentials and registry at once: they note for whom they are asked."""

    def __init__(self, problem: KeelwayError | None = None, mirror: str | None = None) -> None:
        self.problem = problem
        self.mirrors = Mirrors((Mirror.parse(mirror),) if mirror else ())
        self.answers: dict[str, Answer] = {}
        self.secrets: list[tuple[str, tuple[str, ...]]] = []
        self.looked: list[str] = []

    async def keyring_for(self, reference: Reference, namespace: str, secrets: tuple[str, ...]) -> Keyring:
        self.secrets.append((namespace, secrets))
        if self.problem is not None:
            raise self.problem
        return Keyring()

    async def look(self, reference: Reference, *_: object) -> Answer:
        self.looked.append(str(reference))
        return self.answers.get(str(reference), Answer(NOW, Seen(NEW)))

    def own_keyring(self) -> Keyring:
        self.secrets.append(("the operator's own", ()))
        return Keyring()

    async def today(self, *materials: str, **spec: Any) -> Today:
        credentials = cast("Credentials", self)
        bases = Bases(Cache(), cast("Digests", self), credentials, self.mirrors, lambda key: None, lambda: NOW)
        record = good(1, inputs(image(**spec)))
        used = tuple(RecordedMaterial(reference=one, digest=OLD) for one in materials)
        record = record.model_copy(update={"status": record.status.model_copy(update={"materials": used})})
        return await bases.today(image(**spec), record)


PYTHON = "docker.io/library/python:3"


async def test_registries_are_asked_with_the_credentials_of_the_images_own_namespace_and_secret() -> None:
    asked = Asked()
    today = await asked.today(PYTHON, pushSecretRef={"name": "push"})
    assert asked.secrets == [("team-a", ("push",))]
    assert today.bases == (PinnedBase(reference=PYTHON, digest=NEW),)


async def test_a_secret_that_is_gone_is_told_and_nothing_is_asked_without_it() -> None:
    asked = Asked(Waiting("SecretNotFound", "There is no Secret push in team-a."))
    today = await asked.today(PYTHON, pushSecretRef={"name": "push"})
    assert asked.looked == []
    assert today.bases == ()
    assert today.check is not None
    assert today.check.problem is asked.problem
    assert today.next_check is None, "it is not told"
    assert today.again is not None
    assert timedelta(seconds=60) <= today.again - NOW <= timedelta(seconds=66)


MIRRORED = "mirror.example/docker.io/library/python:3"


async def test_a_mirror_is_asked_in_place_of_the_registry_and_with_the_operators_credentials() -> None:
    asked = Asked(mirror="docker.io=mirror.example/docker.io")
    today = await asked.today(PYTHON, "quay.io/team/app:1", pushSecretRef={"name": "push"})
    assert asked.looked == [MIRRORED, "quay.io/team/app:1"]
    assert asked.secrets == [("the operator's own", ()), ("team-a", ("push",))]
    assert today.bases[0] == PinnedBase(reference=PYTHON, digest=NEW), "by the name that the build uses"


async def test_what_a_mirror_does_not_have_is_asked_for_at_the_registry() -> None:
    asked = Asked(mirror="docker.io=mirror.example/docker.io")
    missing = NotFound("NotFound", "It is not in the registry.")
    asked.answers = {MIRRORED: Answer(NOW, Seen(OLD), missing, NOW + timedelta(seconds=300))}
    today = await asked.today(PYTHON)
    assert asked.looked == [MIRRORED, PYTHON]
    assert today.bases == (PinnedBase(reference=PYTHON, digest=NEW),)
    assert today.check is not None
    assert today.check.problem is None


async def test_what_a_mirror_said_before_holds_while_it_is_away_and_that_is_told() -> None:
    """The registry itself may be ahead of it: the base image would change now, and change back when it returns."""
    asked = Asked(mirror="docker.io=mirror.example/docker.io")
    gone = Waiting("ConnectionFailed", "Nothing is there.")
    asked.answers = {MIRRORED: Answer(NOW, Seen(OLD), gone, NOW + timedelta(seconds=300))}
    today = await asked.today(PYTHON)
    assert asked.looked == [MIRRORED]
    assert today.bases == (PinnedBase(reference=PYTHON, digest=OLD),)
    assert today.check is not None
    assert today.check.problem is gone


async def test_a_mirror_that_never_told_leaves_the_question_to_the_registry() -> None:
    asked = Asked(mirror="docker.io=mirror.example/docker.io")
    gone = Waiting("ConnectionFailed", "Nothing is there.")
    asked.answers = {MIRRORED: Answer(NOW, None, gone, NOW + timedelta(seconds=300))}
    today = await asked.today(PYTHON)
    assert asked.looked == [MIRRORED, PYTHON]
    assert today.bases == (PinnedBase(reference=PYTHON, digest=NEW),)


async def test_what_is_no_reference_with_a_tag_is_not_asked_for() -> None:
    """A record says what its build reported, or what somebody has written by hand."""
    asked = Asked()
    odd = ["", "python", "docker.io/library/python", f"{PYTHON}@{OLD}", "python:3", "no reference", "x" * 600, PYTHON]
    await asked.today(*odd, PYTHON)
    assert asked.looked == [PYTHON]


async def test_the_images_own_tags_are_no_base_images() -> None:
    """`COPY --from` of one's own `stable`: each build moves it, so each would start the next."""
    asked = Asked()
    repository = good(1, inputs(image())).spec.repository
    await asked.today(f"{repository}:stable", PYTHON)
    assert asked.looked == [PYTHON]


async def test_no_more_are_asked_for_than_a_record_may_pin() -> None:
    asked = Asked()
    today = await asked.today(*(f"docker.io/library/python:{number}" for number in range(200)))
    assert len(today.bases) == 64


def uses(*images: str) -> Mapping[str, Any]:
    return {"images": [{"name": f"{image}-image", "image": image} for image in images]}


class TestAnImageThatBuildsFromAnImage:
    async def test_waits_for_one_that_is_not_there_and_then_for_its_first_version(self, scene: Scene) -> None:
        scene.image("team-a", build=uses("base"))
        await scene.settle()
        assert scene.ready() == ("False", "ImageNotFound")
        assert isinstance(scene.problems[KEY], Waiting)

        scene.image("team-a", "base")
        await scene.settle()
        assert scene.ready() == ("False", "NoVersionYet")
        assert scene.running() == ["team-a/base-1"]

        await ends(scene, "base-1")
        assert scene.running() == ["team-a/hello-1"], "it is woken at once"
        (pinned,) = scene.build("hello-1")["images"]
        assert pinned == {
            "name": "base-image",
            "version": "v1",
            "reference": f"{scene.settings.registry}/team-a/base@{DIGEST}",
        }

    async def test_is_built_again_at_once_when_that_has_a_new_version(self, scene: Scene) -> None:
        await self._chain(scene)
        scene.image("team-a", "base", of="FROM scratch AS two")
        await scene.settle()
        assert scene.running() == ["team-a/base-2"]
        await ends(scene, "base-2", digest=OTHER_DIGEST)
        assert scene.running() == ["team-a/middle-2"]
        assert scene.build("middle-2")["reason"] == "BaseImageChanged"
        await ends(scene, "middle-2", digest=OTHER_DIGEST)
        assert scene.running() == ["team-a/top-2"]
        assert scene.build("top-2")["reason"] == "BaseImageChanged"
        assert scene.build("top-2")["images"][0]["version"] == "v2"

    async def test_needs_no_build_when_the_new_version_is_the_same_image(self, scene: Scene) -> None:
        await self._chain(scene)
        scene.image("team-a", "base", of="FROM scratch AS two")
        await scene.settle()
        await ends(scene, "base-2")
        assert scene.running() == []
        assert list(scene.builds(image="middle")) == ["middle-1"]

    async def test_is_not_built_when_the_build_below_fails(self, scene: Scene) -> None:
        await self._chain(scene)
        scene.image("team-a", "base", of="FROM scratch AS two")
        await scene.settle()
        scene.job_ends("team-a/base-2", BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="No."))
        await scene.settle()
        assert scene.running() == []
        assert scene.ready(image="middle") == ("True", "VersionReady")

    async def test_of_two_that_change_together_is_built_once(self, scene: Scene) -> None:
        """a <- left, right <- top: top waits until both have followed a."""
        await self._diamond(scene)
        scene.image("team-a", "a", of="FROM scratch AS two")
        await scene.settle()
        await ends(scene, "a-2", digest=OTHER_DIGEST)
        assert scene.running() == ["team-a/left-2", "team-a/right-2"]
        await ends(scene, "left-2", digest=OTHER_DIGEST)
        assert scene.running() == ["team-a/right-2"]
        await ends(scene, "right-2", digest=OTHER_DIGEST)
        assert scene.running() == ["team-a/top-2"]
        assert {one["version"] for one in scene.build("top-2")["images"]} == {"v2"}

    async def test_does_not_wait_for_one_that_failed(self, scene: Scene) -> None:
        await self._diamond(scene)
        scene.image("team-a", "a", of="FROM scratch AS two")
        await scene.settle()
        await ends(scene, "a-2", digest=OTHER_DIGEST)
        await ends(scene, "left-2", digest=OTHER_DIGEST)
        failed = BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="No.")
        scene.job_ends("team-a/right-2", failed)
        await scene.settle()
        await scene.later(30)
        assert scene.running() == ["team-a/top-2"]
        assert sorted(one["version"] for one in scene.build("top-2")["images"]) == ["v1", "v2"]

    @pytest.mark.parametrize("rest", [{"pin": "v1"}, {"suspend": True}], ids=["pinned", "suspended"])
    async def test_does_not_wait_for_one_that_stays_as_it_is(self, scene: Scene, rest: dict[str, Any]) -> None:
        await self._diamond(scene)
        scene.image("team-a", "right", build=uses("a"), **rest)
        await scene.settle()
        scene.image("team-a", "a", of="FROM scratch AS two")
        await scene.settle()
        await ends(scene, "a-2", digest=OTHER_DIGEST)
        await ends(scene, "left-2", digest=OTHER_DIGEST)
        assert "team-a/top-2" in scene.running()
        assert sorted(one["version"] for one in scene.build("top-2")["images"]) == ["v1", "v2"]

    async def test_does_not_wait_for_ever_for_one_that_cannot_build(self, scene: Scene) -> None:
        await self._diamond(scene)
        scene.image("team-a", "right", build={**uses("a"), "secrets": [{"id": "x", "secretRef": {"name": "gone"}}]})
        await scene.settle()
        scene.image("team-a", "a", of="FROM scratch AS two")
        await scene.settle()
        await ends(scene, "a-2", digest=OTHER_DIGEST)
        await ends(scene, "left-2", digest=OTHER_DIGEST)
        await scene.later(60)
        assert scene.running() == []
        await scene.later(1800)
        await scene.later(30)
        assert scene.running() == ["team-a/top-2"]

    async def test_in_a_circle_is_not_built_and_every_one_of_them_says_so(self, scene: Scene) -> None:
        scene.image("team-a", "one", build=uses("two"))
        scene.image("team-a", "two", build=uses("three"))
        await scene.settle()
        assert scene.ready(image="one") == ("False", "NoVersionYet")
        scene.image("team-a", "three", build=uses("one"))
        await scene.settle()

        for name in ("one", "two", "three"):
            assert scene.ready(image=name) == ("False", "ImageCycle")
            assert scene.condition("Stalled", image=name)["status"] == "True"
            assert isinstance(scene.problems[Key("Image", "team-a", name)], Terminal)
        assert "one -> two -> three -> one" in scene.message(image="one")
        assert scene.running() == []

        scene.image("team-a", "three")
        await scene.settle()
        assert scene.running() == ["team-a/three-1"]
        await ends(scene, "three-1")
        await ends(scene, "two-1")
        assert scene.running() == ["team-a/one-1"], "the circle is open"

    async def test_of_another_namespace_is_not_found(self, scene: Scene) -> None:
        scene.image("team-b", "base")
        await scene.settle()
        scene.job_ends("team-b/base-1")
        scene.image("team-a", build=uses("base"))
        await scene.settle()
        assert scene.ready() == ("False", "ImageNotFound")

    @pytest.mark.parametrize("written", ["registry.example/team-b/x:v1", "not a reference", "x@sha256:short"])
    async def test_takes_no_version_without_a_digest_whoever_wrote_it(self, scene: Scene, written: str) -> None:
        scene.image("team-a", "base")
        await scene.settle()
        await ends(scene, "base-1")
        raw = scene.get(IMAGES, "team-a", "base")
        raw["status"]["latest"]["reference"] = written
        scene.put(IMAGES, raw)
        scene.image("team-a", build=uses("base"))
        await scene._pass(KEY)
        assert scene.ready() == ("False", "NoVersionYet")

    async def _chain(self, scene: Scene) -> None:
        scene.image("team-a", "base")
        scene.image("team-a", "middle", build=uses("base"))
        scene.image("team-a", "top", build=uses("middle"))
        await scene.settle()
        for name in ("base", "middle", "top"):
            await ends(scene, f"{name}-1")
        assert scene.ready(image="top") == ("True", "VersionReady")

    async def _diamond(self, scene: Scene) -> None:
        scene.image("team-a", "a")
        scene.image("team-a", "left", build=uses("a"))
        scene.image("team-a", "right", build=uses("a"))
        scene.image("team-a", "top", build=uses("left", "right"))
        await scene.settle()
        for name in ("a", "left", "right", "top"):
            await ends(scene, f"{name}-1")
        assert scene.ready(image="top") == ("True", "VersionReady")
