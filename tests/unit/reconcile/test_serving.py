"""Versions, tags and pins through whole passes: what is made in the registry, and which version counts."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from keelway.api.resources import BUILDS, IMAGES
from tests.unit.gitserver import Repository, backend
from tests.unit.reconcile.scene import Scene, playing
from tests.unit.web import serve

REPOSITORY = "team-a/hello"
TEST = {"name": "answers", "command": ["true"], "security": "Baseline"}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with playing() as one:
        yield one


async def _built(scene: Scene, number: int, **spec: Any) -> str:
    """Build `number` of the Image becomes a version; gives its digest."""
    scene.image("team-a", **{"build": {"target": f"t{number}"}, **spec})
    await scene.settle()
    return await scene.builds_one(f"content {number}", f"hello-{number}")


def _latest(scene: Scene) -> str:
    return str(scene.status()["latest"]["version"])


class TestAVersion:
    async def test_stands_in_the_record_before_it_is_built(self, scene: Scene) -> None:
        scene.image("team-a", version={"scheme": "CalVer"})
        await scene.settle()
        assert scene.get(BUILDS, "team-a", "hello-1")["spec"]["version"] == "2026.01.02.0"

        scene.image("team-a")  # the scheme of today is that of the next build
        await scene.builds_one("one", "hello-1")

        assert _latest(scene) == "2026.01.02.0"
        assert scene.status()["latest"]["build"] == "hello-1"
        assert scene.registry.tags[REPOSITORY] == {"2026.01.02.0"}

    async def test_goes_on_from_the_registrys_though_records_and_status_are_lost(self, scene: Scene) -> None:
        scene.registry.tags[REPOSITORY] = {"1.4.0", "build-6", "v20260102", "stable"}
        scene.image("team-a", version={"scheme": "SemVer", "bump": "Minor"})
        await scene.settle()
        assert scene.get(BUILDS, "team-a", "hello-7")["spec"]["version"] == "1.5.0"

    async def test_is_not_used_up_by_a_build_that_fails(self, scene: Scene) -> None:
        versioning = {"scheme": "SemVer"}
        scene.image("team-a", version=versioning, tests=[TEST])
        await scene.settle()
        await scene.builds_one("bad", "hello-1")
        await scene.test_ends("hello-1", exit_code=1)
        await _built(scene, 2, version=versioning)
        assert (_latest(scene), scene.status()["latest"]["build"]) == ("0.1.0", "hello-2")

    async def test_is_the_git_tags_and_never_a_lower_one(self, scene: Scene, tmp_path: Path) -> None:
        repository = Repository.create(tmp_path)
        commit = repository.commit({"Dockerfile": "FROM scratch"})
        for tag in ("v1.2.2", "v1.2.3"):
            repository.git("tag", tag)

        async def of_tag(tag: str, **spec: Any) -> None:
            source = {"git": {"url": f"{url}/app.git", "revision": tag}}
            scene.image("team-a", source=source, version={"scheme": "SemVer"}, poll={"intervalSeconds": 10}, **spec)
            await scene.settle()

        async with serve(backend(tmp_path)) as url:
            await of_tag("v1.2.3")
            await scene.builds_one("one", "hello-1")
            assert (_latest(scene), scene.status()["latest"]["revision"]) == ("1.2.3", commit)

            await of_tag("v1.2.3", build={"target": "other"})
            await scene.builds_one("two", "hello-2")
            assert _latest(scene) == "1.2.3+2"
            assert scene.registry.tags[REPOSITORY] == {"1.2.3", "1.2.3_2"}

            await of_tag("v1.2.2")
            assert scene.ready() == ("False", "VersionNotNewer")
            assert "set spec.pin" in scene.message()
            polled = scene.status()["nextCheckTime"]
            await scene.later(11)
            assert scene.status()["nextCheckTime"] > polled, "it may be tagged anew"

            repository.git("tag", "v1.3.0")
            await of_tag("v1.3.0")
            assert scene.get(BUILDS, "team-a", "hello-3")["spec"]["version"] == "1.3.0"

    async def test_may_change_its_scheme_and_back(self, scene: Scene) -> None:
        await _built(scene, 1)
        await _built(scene, 2, version={"scheme": "Template", "template": "web-{number}"})
        await _built(scene, 3)
        assert scene.registry.tags[REPOSITORY] == {"v1", "web-2", "v3"}

    async def test_that_a_template_repeats_is_refused_and_what_served_serves_on(self, scene: Scene) -> None:
        versioning = {"scheme": "Template", "template": "release"}
        await _built(scene, 1, version=versioning)
        scene.image("team-a", version=versioning, build={"target": "other"})
        await scene.settle()
        assert scene.ready() == ("False", "VersionTaken")
        assert (list(scene.builds()), _latest(scene)) == (["hello-1"], "release")

        await _built(scene, 2, version={"scheme": "Template", "template": "release-{number}"})
        assert scene.ready() == ("True", "VersionReady")


class TestTags:
    async def test_follow_the_latest_version_and_are_moved_once(self, scene: Scene) -> None:
        first = await _built(scene, 1, tags=["stable", "3.11"])
        assert scene.status()["tags"] == [{"name": "stable", "digest": first}, {"name": "3.11", "digest": first}]
        second = await _built(scene, 2, tags=["stable", "3.11"])
        assert scene.registry.points[f"{REPOSITORY}:stable"] == second

        scene.registry.puts.clear()
        scene.image("team-a", tags=["stable"], build={"target": "t2"})
        await scene.settle()
        assert scene.registry.puts == []
        assert scene.status()["tags"] == [{"name": "stable", "digest": second}]

    async def test_do_not_move_before_the_tests_have_passed(self, scene: Scene) -> None:
        first = await _built(scene, 1, tags=["stable"])
        scene.image("team-a", tags=["stable"], tests=[TEST])
        await scene.settle()
        second = await scene.builds_one("two", "hello-2")
        assert scene.registry.points[f"{REPOSITORY}:stable"] == first
        await scene.test_ends("hello-2")
        assert scene.registry.points[f"{REPOSITORY}:stable"] == second

    async def test_that_the_registry_refuses_are_made_later_and_no_other_one_twice(self, scene: Scene) -> None:
        scene.registry.refused.add("second")
        digest = await _built(scene, 1, tags=["first", "second"])
        assert scene.ready() == ("False", "RegistryFailed")
        assert scene.status()["tags"] == [{"name": "first", "digest": digest}]
        scene.registry.refused.clear()
        await scene.later(10)
        assert scene.ready() == ("True", "VersionReady")
        assert scene.registry.puts.count(f"{REPOSITORY}:first") == 1

    async def test_are_made_in_the_repository_of_today(self, scene: Scene) -> None:
        await _built(scene, 1, tags=["stable"])
        elsewhere = f"{scene.settings.registry}/team-a/elsewhere"
        scene.image("team-a", tags=["stable", "more"], build={"target": "t1"}, repository=elsewhere)
        await scene.settle()
        assert "more" not in scene.registry.tags[REPOSITORY]
        # The very same image, in another place.
        await scene.builds_one("content 1", "hello-2")
        assert scene.registry.tags["team-a/elsewhere"] == {"v2", "stable", "more"}

    async def test_never_move_a_version(self, scene: Scene) -> None:
        versioning = {"scheme": "Template", "template": "web-{number}"}
        first = await _built(scene, 1, version=versioning)
        await _built(scene, 2, version=versioning, tags=["web-1"])
        assert scene.ready() == ("False", "TagIsVersion")
        assert scene.registry.points[f"{REPOSITORY}:web-1"] == first


class TestAPin:
    async def test_goes_back_at_once_and_forward_again_at_once(self, scene: Scene) -> None:
        first = await _built(scene, 1, tags=["stable"])
        second = await _built(scene, 2, tags=["stable"])

        scene.image("team-a", build={"target": "t2"}, tags=["stable"], pin="v1")
        await scene.settle()
        assert (scene.ready(), _latest(scene)) == (("True", "Pinned"), "v1")
        assert scene.registry.points[f"{REPOSITORY}:stable"] == first

        third = await _built(scene, 3, tags=["stable"], pin="v1")
        assert (scene.ready(), _latest(scene)) == (("True", "Pinned"), "v1")
        assert "The newest good version is v3" in scene.message()

        scene.image("team-a", build={"target": "t3"}, tags=["stable"])
        await scene.settle()
        assert (scene.ready(), _latest(scene)) == (("True", "VersionReady"), "v3")
        assert scene.registry.points[f"{REPOSITORY}:stable"] == third != second
        assert list(scene.builds()) == ["hello-1", "hello-2", "hello-3"]

    async def test_keeps_its_record(self, scene: Scene) -> None:
        await _built(scene, 1)
        for number in (2, 3, 4):
            await _built(scene, number, pin="v1", history={"limit": 1})
        assert list(scene.builds()) == ["hello-1", "hello-4"]

    async def test_to_a_version_that_only_the_registry_has_asks_it_once(self, scene: Scene) -> None:
        await _built(scene, 1)
        old = scene.registry.image("old", Labels={"org.opencontainers.image.revision": "abc"})
        scene.registry.put(REPOSITORY, "0.9.0_4", old)
        scene.image("team-a", build={"target": "t1"}, pin="0.9.0+4")
        await scene.settle()
        latest = scene.status()["latest"]
        assert scene.ready() == ("True", "Pinned")
        assert latest == {
            "version": "0.9.0+4",
            "reference": f"{scene.settings.registry}/{REPOSITORY}@{old}",
            "revision": "abc",
            "builtAt": "2026-01-01T00:00:00Z",
            "user": "1000",
            "runAsUser": 1000,
        }
        scene.registry.points.clear()
        raw = scene.get(IMAGES, "team-a", "hello")
        scene.put(IMAGES, {**raw, "metadata": {**raw["metadata"], "labels": {"a": "b"}}})
        await scene.settle()
        assert (scene.ready(), scene.status()["latest"]) == (("True", "Pinned"), latest)

        scene.image("team-a", build={"target": "t1"})
        await scene.settle()
        assert (_latest(scene), list(scene.builds())) == ("v1", ["hello-1"])

    async def test_to_nothing_names_what_is_kept_and_builds_go_on(self, scene: Scene) -> None:
        await _built(scene, 1)
        await _built(scene, 2, pin="v12")
        assert scene.ready() == ("False", "VersionNotFound")
        assert "Kept are v2, v1" in scene.message()
        assert _latest(scene) == "v1"

    async def test_to_an_image_in_quarantine_is_refused(self, scene: Scene) -> None:
        await _built(scene, 1)
        scene.image("team-a", tests=[TEST])
        await scene.settle()
        bad = await scene.builds_one("bad", "hello-2")
        await scene.test_ends("hello-2", exit_code=1)
        scene.registry.put(REPOSITORY, "copied", bad)
        for pin in ("copied", "v2"):
            scene.image("team-a", build={"target": "t1"}, pin=pin)
            await scene.settle()
            assert scene.ready() == ("False", "Quarantined")
            assert "keelway.dev/release-quarantine=hello-2" in scene.message()
            assert _latest(scene) == "v1"

    async def test_holds_while_the_source_cannot_be_found(self, scene: Scene) -> None:
        await _built(scene, 1)
        await _built(scene, 2)
        scene.image("team-a", source={"configMap": {"name": "nowhere"}}, pin="v1")
        await scene.settle()
        assert (scene.ready(), _latest(scene)) == (("True", "Pinned"), "v1")
        assert "There is no ConfigMap nowhere" in scene.message()
        told = {one["type"]: one["status"] for one in scene.status()["conditions"]}
        assert told["SourceReady"] == "False"

    async def test_counts_while_suspended(self, scene: Scene) -> None:
        await _built(scene, 1, tags=["stable"])
        await _built(scene, 2, tags=["stable"])
        scene.image("team-a", build={"target": "t2"}, suspend=True, pin="v1", tags=["stable"])
        await scene.settle()
        assert (scene.ready(), _latest(scene)) == (("True", "Suspended"), "v1")


async def test_the_status_of_an_older_operator_is_read_as_it_was_meant(scene: Scene) -> None:
    """It named no build: the version was the number."""
    await _built(scene, 1)
    raw = scene.get(IMAGES, "team-a", "hello")
    latest = {**raw["status"]["latest"], "version": "v5", "reference": "r@sha256:5"}
    latest.pop("build")
    scene.put(IMAGES, {**raw, "status": {**raw["status"], "latest": latest}})
    await scene.settle()
    assert _latest(scene) == "v5"
    await _built(scene, 6)
    assert _latest(scene) == "v6"
