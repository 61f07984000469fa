"""Quarantine through whole passes: what failed its tests is never built or chosen again, until somebody says so."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from keelway.api.buildrequest import BuildReport, Step
from keelway.api.resources import BUILDS, PODS
from tests.unit.cluster.apiserver import refusal
from tests.unit.reconcile.scene import Scene, playing

TEST = {"name": "answers", "command": ["true"], "security": "Baseline"}
A: dict[str, Any] = {"build": {"target": "a"}, "tests": [TEST]}
B: dict[str, Any] = {"build": {"target": "b"}, "tests": [TEST]}
RELEASE = "keelway.dev/release-quarantine"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with playing() as one:
        await _apply(one, A)
        await one.builds_one("a", "hello-1")
        await one.test_ends("hello-1")
        assert one.ready() == ("True", "VersionReady")
        yield one


async def _apply(scene: Scene, spec: dict[str, Any], release: str | None = None) -> None:
    scene.image("team-a", annotations={RELEASE: release} if release else None, **spec)
    await scene.settle()


async def _fails(scene: Scene, spec: dict[str, Any], build: str, content: str) -> str:
    await _apply(scene, spec)
    digest = await scene.builds_one(content, build)
    await scene.test_ends(build, exit_code=1)
    return digest


async def test_a_failed_build_is_in_quarantine_and_the_last_good_one_serves(scene: Scene) -> None:
    digest = await _fails(scene, B, "hello-2", "b")
    assert scene.ready() == ("False", "Quarantined")
    assert "exited with code 1" in scene.message()
    assert "v1 serves on" in scene.message()
    assert "its last words" in scene.message()
    assert scene.status()["latest"]["version"] == "v1"
    (entry,) = scene.status()["quarantine"]
    assert (entry["build"], entry["digest"], entry["reason"]) == ("hello-2", digest, "TestFailed")
    assert scene.get(BUILDS, "team-a", "hello-2")["status"]["quarantine"]["test"] == "answers"


async def test_what_failed_once_is_not_built_again_however_often_it_comes_back(scene: Scene) -> None:
    await _fails(scene, B, "hello-2", "b")
    for _ in range(2):
        await _apply(scene, A)
        assert scene.ready() == ("True", "VersionReady")
        await _apply(scene, B)
        assert scene.ready() == ("False", "Quarantined")
    other = {"build": {"target": "c"}}
    await _apply(scene, other)
    await scene.builds_one("c", "hello-3")
    assert scene.ready() == ("True", "VersionReady")
    await _apply(scene, B)
    assert scene.ready() == ("False", "Quarantined")
    assert list(scene.builds()) == ["hello-1", "hello-2", "hello-3"]


async def test_nor_when_a_build_is_asked_for(scene: Scene) -> None:
    await _fails(scene, B, "hello-2", "b")
    scene.image("team-a", annotations={"keelway.dev/build-requested": "now"}, **B)
    await scene.settle()
    assert scene.ready() == ("False", "Quarantined")
    assert list(scene.builds()) == ["hello-1", "hello-2"]


async def test_other_inputs_that_give_the_same_image_are_not_tested(scene: Scene) -> None:
    digest = await _fails(scene, B, "hello-2", "b")
    other = {"build": {"target": "other"}, "tests": [TEST]}
    await _apply(scene, other)
    await scene.builds_one("b", "hello-3")
    assert scene.builds()["hello-3"] == "Quarantined"
    assert ("pods", "team-a", "hello-3-test-answers") not in scene.api.objects
    assert scene.get(BUILDS, "team-a", "hello-3")["status"]["digest"] == digest
    assert scene.ready() == ("False", "Quarantined")
    assert f"{digest}, the very image of hello-2" in scene.message()

    await _apply(scene, A)
    await _apply(scene, other)
    assert list(scene.builds()) == ["hello-1", "hello-2", "hello-3"], "nor are they built again"
    assert scene.ready() == ("False", "Quarantined")


async def test_a_test_left_out_lets_no_bad_image_through(scene: Scene) -> None:
    await _fails(scene, B, "hello-2", "b")
    await _apply(scene, {"build": {"target": "b"}})
    await scene.builds_one("b", "hello-3")
    assert scene.builds()["hello-3"] == "Quarantined"
    assert scene.status()["latest"]["version"] == "v1"


async def test_a_corrected_test_is_heard_and_ends_the_quarantine(scene: Scene) -> None:
    digest = await _fails(scene, B, "hello-2", "b")
    corrected = {"build": {"target": "b"}, "tests": [{**TEST, "command": ["false"]}]}
    await _apply(scene, corrected)
    await scene.builds_one("b", "hello-3")
    assert scene.ready() == ("Unknown", "Testing")
    await scene.test_ends("hello-3")
    assert scene.ready() == ("True", "VersionReady")
    assert scene.status()["latest"]["reference"].endswith(digest)
    assert "quarantine" not in scene.status()
    assert "releasedTime" in scene.get(BUILDS, "team-a", "hello-2")["status"]["quarantine"]


async def test_a_new_test_that_fails_does_not_take_away_what_serves(scene: Scene) -> None:
    stricter = {**A, "tests": [TEST, {**TEST, "name": "stricter"}]}
    await _apply(scene, stricter)
    await scene.builds_one("a", "hello-2")
    await scene.test_ends("hello-2")
    await scene.test_ends("hello-2", "stricter", exit_code=1)
    assert scene.ready() == ("False", "Quarantined")
    assert scene.status()["latest"]["version"] == "v1"
    await _apply(scene, {**A, "pin": "v1"})
    assert scene.ready() == ("True", "Pinned")


class TestRelease:
    @pytest.mark.parametrize("by", ["name", "digest", "all"])
    async def test_builds_it_again_once(self, scene: Scene, by: str) -> None:
        digest = await _fails(scene, B, "hello-2", "b")
        request = {"name": "hello-2", "digest": digest, "all": "all"}[by]
        await _apply(scene, B, request)
        assert scene.running() == ["team-a/hello-3"]
        assert scene.get(BUILDS, "team-a", "hello-3")["spec"]["reason"] == "Released"
        assert "quarantine" not in scene.status()
        await scene.builds_one("b", "hello-3")
        await scene.test_ends("hello-3", exit_code=1)
        assert scene.ready() == ("False", "Quarantined")
        await scene.later(60)
        assert list(scene.builds()) == ["hello-1", "hello-2", "hello-3"], "the request was acted on"

    async def test_may_be_asked_for_in_the_same_words_once_the_annotation_was_gone(self, scene: Scene) -> None:
        await _fails(scene, B, "hello-2", "b")
        await _apply(scene, B, "all")
        await scene.builds_one("b", "hello-3")
        await scene.test_ends("hello-3", exit_code=1)
        await _apply(scene, B)
        await _apply(scene, B, "all")
        assert scene.running() == ["team-a/hello-4"]

    async def test_of_what_is_not_in_quarantine_is_told(self, scene: Scene) -> None:
        await _fails(scene, B, "hello-2", "b")
        await _apply(scene, B, "hello-22")
        assert scene.ready() == ("False", "Quarantined")
        events = [raw["reason"] for (plural, _, _), raw in scene.api.objects.items() if plural == "events"]
        assert events.count("NothingToRelease") == 1

    async def test_goes_on_where_a_pass_was_cut_off(self, scene: Scene) -> None:
        """After the record, before the status."""
        await _fails(scene, B, "hello-2", "b")
        scene.api.interfere = lambda request: (
            refusal(503, "Away") if request.method == "PATCH" and "/images/" in request.path else None
        )
        await _apply(scene, B, "hello-2")
        scene.api.interfere = lambda request: None
        await scene.later(10)
        assert scene.running() == ["team-a/hello-3"]
        assert scene.status()["observedQuarantineRelease"] == "hello-2"
        assert [raw for raw in scene.api.objects.values() if raw.get("reason") == "NothingToRelease"] == []

    async def test_lets_go_what_was_held_for_the_same_image(self, scene: Scene) -> None:
        await _fails(scene, B, "hello-2", "b")
        other = {"build": {"target": "other"}, "tests": [TEST]}
        await _apply(scene, other)
        await scene.builds_one("b", "hello-3")
        await _apply(scene, other, "hello-2")
        assert scene.running() == ["team-a/hello-4"]
        await scene.builds_one("b", "hello-4")
        await scene.test_ends("hello-4")
        assert scene.ready() == ("True", "VersionReady")


async def test_a_fault_outside_is_no_quarantine(scene: Scene) -> None:
    await _apply(scene, B)
    await scene.builds_one("b", "hello-2")
    pod = scene.get(PODS, "team-a", "hello-2-test-answers")
    scene.put(PODS, {**pod, "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low."}})
    await scene.settle()
    assert scene.ready() == ("False", "TestInterrupted")
    assert "quarantine" not in scene.status()


async def test_a_build_that_fails_before_its_tests_is_no_quarantine(scene: Scene) -> None:
    await _apply(scene, B)
    scene.job_ends("team-a/hello-2", BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="no"))
    await scene.settle()
    assert scene.ready() == ("False", "BuildFailed")
    assert "quarantine" not in scene.status()


async def test_the_evidence_outlives_the_limit_of_records(scene: Scene) -> None:
    await _fails(scene, {**B, "history": {"limit": 1}}, "hello-2", "b")
    for number in (3, 4):
        await _apply(scene, {"build": {"target": f"t{number}"}, "history": {"limit": 1}})
        await scene.builds_one(f"content {number}", f"hello-{number}")
    assert list(scene.builds()) == ["hello-2", "hello-4"]
    await _apply(scene, {**B, "history": {"limit": 1}})
    assert scene.ready() == ("False", "Quarantined")
