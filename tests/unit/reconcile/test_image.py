"""Images through whole passes (`scene.py`): no place, record, Job or Secret is lost, wherever a pass is cut off."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from keelway.api.buildrequest import BuildReport, Step
from keelway.api.resources import BUILDS, CONFIG_MAPS, IMAGES, JOBS, PODS
from keelway.reconcile.outcome import Key
from tests.unit.cluster.apiserver import refusal
from tests.unit.reconcile.scene import BUILDS_NAMESPACE, DIGEST, Scene, playing

KEY = Key("Image", "team-a", "hello")
TEST = {"name": "answers", "command": ["true"]}
CHECK = {"name": "listens", "check": {"tcp": {"port": 8080}}}
NEEDS_A_SECRET = {"secrets": [{"id": "npm", "secretRef": {"name": "npm"}}]}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with playing() as one:
        yield one


@pytest.fixture
async def narrow() -> AsyncIterator[Scene]:
    """One build at a time."""
    async with playing(cap=1) as one:
        yield one


async def test_an_image_is_built_and_gets_its_version(scene: Scene) -> None:
    scene.image("team-a")
    await scene.settle()
    assert scene.running() == ["team-a/hello-1"]

    scene.job_ends("team-a/hello-1")
    await scene.settle()

    assert scene.ready() == ("True", "VersionReady")
    assert scene.status()["latest"]["reference"].endswith(f"/team-a/hello@{DIGEST}")
    assert scene.registry.tags == {"team-a/hello": {"v1"}}
    assert scene.jobs() == {}


class TestAPlaceAtTheBuildService:
    async def test_goes_to_who_waits_when_a_build_ends(self, narrow: Scene) -> None:
        narrow.image("team-a")
        narrow.image("team-b")
        await narrow.settle()
        assert narrow.running() == ["team-a/hello-1"]
        assert narrow.ready("team-b") == ("Unknown", "Queued")

        narrow.job_ends("team-a/hello-1")
        await narrow.settle()

        assert narrow.running() == ["team-b/hello-1"]

    async def test_goes_to_who_waits_when_a_build_is_cancelled(self, narrow: Scene) -> None:
        narrow.image("team-a")
        narrow.image("team-b")
        await narrow.settle()

        narrow.image("team-a", build={"target": "other"})
        await narrow.settle()

        assert len(narrow.running()) == 1, "nobody waits for a place that is free"
        for _ in range(2):
            narrow.job_ends(narrow.running()[0])
            await narrow.settle()
        assert narrow.ready("team-a") == narrow.ready("team-b") == ("True", "VersionReady")

    async def test_is_free_while_tests_run(self, narrow: Scene) -> None:
        narrow.image("team-a", tests=[TEST])
        narrow.image("team-b")
        await narrow.settle()

        narrow.job_ends("team-a/hello-1")
        await narrow.settle()

        assert narrow.ready("team-a") == ("Unknown", "Testing")
        assert narrow.running() == ["team-b/hello-1"]

    async def test_is_not_kept_by_a_build_that_cannot_start(self, narrow: Scene) -> None:
        narrow.image("team-a", build=NEEDS_A_SECRET)
        await narrow.settle()
        assert narrow.ready("team-a") == ("False", "SecretNotFound")
        narrow.image("team-b")
        await narrow.settle()
        assert narrow.running() == ["team-b/hello-1"]

        narrow.job_ends("team-b/hello-1")
        narrow.secret("npm", npm=base64.b64encode(b"token").decode())
        await narrow.settle()
        await narrow.later(10)
        assert narrow.running() == ["team-a/hello-1"]

    async def test_is_asked_for_again_though_nobody_wakes_the_build(self, narrow: Scene) -> None:
        """Who frees a place may die before it wakes the next."""
        narrow.image("team-a")
        narrow.image("team-b")
        await narrow.settle()
        narrow.drop(IMAGES, "team-a", "hello")
        for job in narrow.jobs().values():
            narrow.api.drop(JOBS, BUILDS_NAMESPACE, job["metadata"]["name"])
            narrow.cluster.cache.remove(JOBS, job)
        narrow._woken.clear()

        await narrow.later(30)

        assert narrow.running() == ["team-b/hello-1"]

    async def test_is_not_kept_by_a_job_whose_secret_is_refused(self) -> None:
        def refuse(request: web.Request) -> web.Response | None:
            refused = request.method == "POST" and request.path.endswith(f"{BUILDS_NAMESPACE}/secrets")
            return refusal(422, "Invalid") if refused else None

        async with playing(cap=1, interfere=refuse) as scene:
            scene.image("team-a")
            await scene.settle()
            assert scene.ready() == ("False", "Refused")
            assert scene.jobs() == {}
            scene.api.interfere = lambda request: None
            scene.image("team-b")
            await scene.settle()
            assert scene.running() == ["team-b/hello-1"]

    async def test_is_not_kept_by_a_secret_whose_job_was_never_made(self, narrow: Scene) -> None:
        """Its maker died between the two, and the user's own Secret has gone since."""
        narrow.secret("npm", npm="dG9rZW4=")
        narrow.api.interfere = lambda request: (
            refusal(503, "Away") if request.method == "POST" and "keelway-builds/jobs" in request.path else None
        )
        narrow.image("team-a", build=NEEDS_A_SECRET)
        await narrow.settle()
        assert len(narrow.secrets()) == 1
        narrow.api.interfere = lambda request: None
        narrow.drop_secret("npm")

        narrow.image("team-b")
        await narrow.later(10)

        assert narrow.running() == ["team-b/hello-1"]
        await narrow.later(600)
        assert [one["metadata"]["labels"]["keelway.dev/image-namespace"] for one in narrow.secrets()] == ["team-b"]

    async def test_is_not_asked_for_with_more_than_a_secret_holds(self, scene: Scene) -> None:
        scene.secret("npm", npm=base64.b64encode(b"x" * 1_100_000).decode())
        scene.image("team-a", build=NEEDS_A_SECRET)
        await scene.settle()
        assert scene.ready() == ("False", "BuildSecretsTooLarge")
        assert scene.jobs() == {}
        scene.secret("npm", npm="dG9rZW4=")
        await scene.later(10)
        assert scene.running() == ["team-a/hello-1"]

    async def test_is_not_kept_for_an_image_that_a_finalizer_keeps(self, narrow: Scene) -> None:
        narrow.image("team-b")
        await narrow.settle()
        narrow.image("team-a")
        await narrow.settle()
        going = narrow.get(IMAGES, "team-a", "hello")
        metadata = {**going["metadata"], "deletionTimestamp": "2026-01-02T12:00:00Z", "finalizers": ["example.com/x"]}
        narrow.put(IMAGES, {**going, "metadata": metadata})
        narrow.image("team-b", name="other")

        narrow.job_ends("team-b/hello-1")
        await narrow.settle()

        assert narrow.running() == ["team-b/other-1"]

    @pytest.mark.parametrize("trouble", ["repository", "source", "unreadable"])
    async def test_is_not_kept_for_an_image_that_cannot_decide(self, narrow: Scene, trouble: str) -> None:
        source = {"configMap": {"name": "files"}}
        metadata = {"name": "files", "namespace": "team-a"}
        narrow.api.put(CONFIG_MAPS, {"metadata": metadata, "data": {"Dockerfile": "FROM scratch"}})
        narrow.image("team-b")
        await narrow.settle()
        narrow.image("team-a", source=source)
        await narrow.settle()
        narrow.image("team-b", name="other")
        await narrow.settle()
        assert narrow.builds() == {"hello-1": "Open"}, "the first to wait"
        if trouble == "repository":
            narrow.image("team-a", source=source, repository=f"{narrow.settings.registry}/team-b/x")
        elif trouble == "source":
            narrow.api.drop(CONFIG_MAPS, "team-a", "files")
            narrow.image("team-a", source=source, poll={"intervalSeconds": 10})
            await narrow.later(60)
        else:
            narrow.image("team-a", source={"carrier": "pigeon"})
        await narrow.settle()

        narrow.job_ends("team-b/hello-1")
        await narrow.settle()
        await narrow.later(30)

        assert narrow.running() == ["team-b/other-1"]

    async def test_is_not_kept_by_a_job_whose_secret_a_quota_refuses(self, narrow: Scene) -> None:
        narrow.api.interfere = lambda request: (
            refusal(403, "Forbidden") if request.method == "POST" and "keelway-builds/secrets" in request.path else None
        )
        narrow.image("team-a")
        await narrow.settle()
        assert narrow.ready() == ("False", "Forbidden")
        assert narrow.jobs() == {}
        narrow.api.interfere = lambda request: None
        await narrow.later(15)
        assert narrow.running() == ["team-a/hello-1"]

    async def test_leaves_no_secret_where_a_quota_refuses_the_job(self, narrow: Scene) -> None:
        narrow.api.interfere = lambda request: (
            refusal(403, "Forbidden") if request.method == "POST" and "keelway-builds/jobs" in request.path else None
        )
        narrow.image("team-a")
        await narrow.settle()
        assert narrow.ready() == ("False", "Forbidden")
        assert narrow.secrets() == []

    async def test_goes_to_who_waits_when_a_build_is_asked_for_again_meanwhile(self, narrow: Scene) -> None:
        narrow.image("team-a")
        narrow.image("team-b")
        await narrow.settle()
        raw = narrow.get(IMAGES, "team-a", "hello")
        raw["metadata"]["annotations"] = {"keelway.dev/build-requested": "again"}
        narrow.put(IMAGES, raw)
        narrow.job_ends("team-a/hello-1")
        await narrow.settle()
        assert narrow.running() == ["team-b/hello-1"]

    async def test_goes_to_who_waits_when_the_build_of_a_suspended_image_ends(self, narrow: Scene) -> None:
        narrow.image("team-a")
        narrow.image("team-b")
        await narrow.settle()
        narrow.image("team-a", suspend=True)
        narrow.job_ends("team-a/hello-1")
        await narrow.settle()
        assert narrow.running() == ["team-b/hello-1"]

    @pytest.mark.parametrize("refused", ["team-b/builds/", "team-b/images/"])
    async def test_is_not_kept_by_who_cannot_write_its_status(self, narrow: Scene, refused: str) -> None:
        narrow.image("team-a")
        await narrow.settle()
        narrow.image("team-b")
        await narrow.settle()
        narrow.image("team-a", name="other")
        await narrow.settle()
        narrow.api.interfere = lambda request: (
            refusal(503, "Away") if request.method == "PATCH" and refused in request.path else None
        )
        narrow.image("team-b", repository=f"{narrow.settings.registry}/team-a/x")
        narrow.job_ends("team-a/hello-1")
        await narrow.settle()
        await narrow.later(30)
        assert narrow.running() == ["team-a/other-1"]

    async def test_is_not_kept_by_a_job_that_is_given_no_pod(self, narrow: Scene) -> None:
        narrow.image("team-a")
        await narrow.settle()
        job = narrow.jobs()["team-a/hello-1"]
        job["status"] = {"startTime": narrow.now.isoformat()}
        narrow.put(JOBS, job)
        # Somebody else's pod says nothing of it, whatever its labels are.
        labels = {**job["metadata"]["labels"], "batch.kubernetes.io/job-name": job["metadata"]["name"]}
        theirs = {"name": "x", "namespace": "team-b", "labels": labels}
        narrow.put(PODS, {"metadata": theirs, "status": {"phase": "Running"}})
        await narrow.settle()
        for _ in range(11):
            await narrow.later(60)
        assert narrow.builds()["hello-1"] == "BuildNotStarted"

    async def test_is_not_kept_by_a_job_whose_pod_cannot_start(self, narrow: Scene) -> None:
        narrow.image("team-a")
        narrow.image("team-b")
        await narrow.settle()
        job = narrow.jobs()["team-a/hello-1"]
        job["status"] = {"startTime": narrow.now.isoformat()}
        narrow.put(JOBS, job)
        waits = {"waiting": {"reason": "ImagePullBackOff", "message": "no route to host"}}
        status = {"phase": "Pending", "initContainerStatuses": [{"name": "fetch", "ready": False, "state": waits}]}
        labels = {**job["metadata"]["labels"], "batch.kubernetes.io/job-name": job["metadata"]["name"]}
        pod = {"name": "x", "namespace": BUILDS_NAMESPACE, "labels": labels}
        narrow.put(PODS, {"metadata": pod, "status": status})
        await narrow.settle()
        assert "no route to host" in narrow.message("team-a")

        for _ in range(11):
            await narrow.later(60)

        assert narrow.builds()["hello-1"] == "BuildNotStarted"
        assert narrow.running() == ["team-b/hello-1"]


class TestARecord:
    async def test_whose_creations_answer_was_lost_is_not_made_twice(self, scene: Scene) -> None:
        lost = iter([True])

        async def create(request: web.Request, plural: str, *where: str) -> web.Response:
            answer = await created(request, plural, *where)
            return refusal(504, "Timeout") if plural == "builds" and next(lost, False) else answer

        created = scene.api.do_post
        scene.api.do_post = create  # type: ignore[method-assign, assignment]
        scene.image("team-a")
        await scene.settle()
        await scene.later(10)
        assert scene.builds() == {"hello-1": "Open"}
        assert scene.running() == ["team-a/hello-1"]

    @pytest.mark.parametrize("told", [True, False])
    async def test_that_the_watch_has_yet_to_bring_is_not_made_again(self, scene: Scene, told: bool) -> None:
        """As after a start with lists of before. Either the status tells of it, or its name is found taken."""
        scene.image("team-a")
        await scene.settle()
        scene.job_ends("team-a/hello-1", BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="no"))
        await scene.settle()

        async with playing() as later:
            objects = [scene.get(BUILDS, "team-a", "hello-1"), scene.get(IMAGES, "team-a", "hello")]
            text = json.dumps(objects).replace(scene.settings.registry, later.settings.registry)
            record, image = json.loads(text)
            later.api.put(BUILDS, record)
            later.put(IMAGES, image if told else {**image, "status": {}})
            await later.settle()
            await later.later(10)

            assert list(later.builds()) == ["hello-1"]
            assert later.ready() == ("False", "BuildFailed")

    async def test_that_was_overtaken_is_closed(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        record = scene.get(BUILDS, "team-a", "hello-1")
        newer = {**record, "metadata": {**record["metadata"], "name": "hello-2", "uid": "newer"}}
        scene.put(BUILDS, {**newer, "spec": {**record["spec"], "number": 2}})
        await scene.settle()
        assert scene.builds() == {"hello-1": "Superseded", "hello-2": "Open"}
        assert scene.running() == ["team-a/hello-2"]

    async def test_that_is_deleted_takes_its_job_and_secrets_along(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        job = scene.jobs()["team-a/hello-1"]["metadata"]["uid"]
        scene.drop(BUILDS, "team-a", "hello-1")
        await scene.settle()
        assert job not in [one["metadata"]["uid"] for one in scene.jobs().values()]
        assert scene.running() == ["team-a/hello-2"], "and is made anew, with another number"

    async def test_in_another_repository_is_numbered_after_what_is_there(self, scene: Scene) -> None:
        scene.registry.tags["team-a/shared"] = {"v3", "build-4", "latest"}
        scene.image("team-a")
        await scene.settle()
        scene.job_ends("team-a/hello-1")
        await scene.settle()
        scene.image("team-a", repository=f"{scene.settings.registry}/team-a/shared")
        await scene.settle()
        assert list(scene.builds()) == ["hello-1", "hello-5"]

    @pytest.mark.parametrize("told", ["now", "v", "v99999999999999999999", "v0", ""])
    async def test_is_numbered_whatever_its_status_says(self, scene: Scene, told: str) -> None:
        """Anybody who may write the status may write anything there."""
        scene.image("team-a")
        latest = {"version": told, "reference": "r", "revision": "r", "builtAt": "2026-01-01T00:00:00Z"}
        raw = scene.get(IMAGES, "team-a", "hello")
        scene.put(IMAGES, {**raw, "status": {"latest": latest, "latestBuild": told}})
        await scene.settle()
        assert list(scene.builds()) == ["hello-1"]

    async def test_is_started_beside_an_image_of_another_schema(self, scene: Scene) -> None:
        metadata = {"name": "odd", "namespace": "team-a", "uid": "odd", "generation": 1}
        scene.put(IMAGES, {"metadata": metadata, "spec": None})
        scene.image("team-a", repository=f"{scene.settings.registry}/team-a/shared")
        await scene.settle()
        assert scene.running() == ["team-a/hello-1"]

    async def test_is_not_started_for_a_repository_that_is_another_images(self, narrow: Scene) -> None:
        shared = f"{narrow.settings.registry}/team-b/shared"
        narrow.image("team-a")
        narrow.image("team-b", repository=shared)
        await narrow.settle()
        assert narrow.builds("team-b") == {"hello-1": "Open"}, "it waits for its place"
        older = {**narrow.get(IMAGES, "team-b", "hello"), "status": {}}
        older["metadata"] = {
            **older["metadata"],
            "name": "older",
            "uid": "o",
            "creationTimestamp": "2025-01-01T00:00:00Z",
        }
        narrow.put(IMAGES, {**older, "spec": {**older["spec"], "suspend": True}})

        narrow.job_ends("team-a/hello-1")
        await narrow.settle()
        await narrow.later(60)

        assert narrow.ready("team-b") == ("False", "RepositoryInUse")
        assert narrow.running() == []

    async def test_is_not_numbered_after_a_tag_that_nobody_built(self, scene: Scene) -> None:
        scene.registry.tags["team-a/hello"] = {"v999999999", "v2"}
        scene.image("team-a")
        await scene.settle()
        assert list(scene.builds()) == ["hello-3"]


class TestAConfigMap:
    async def test_that_changed_before_its_build_began_is_built_as_it_is_now(self, scene: Scene) -> None:
        def config_map(text: str) -> None:
            metadata = {"name": "files", "namespace": "team-a"}
            scene.api.put(CONFIG_MAPS, {"metadata": metadata, "data": {"Dockerfile": text}})

        config_map("FROM one")
        scene.image("team-a", source={"configMap": {"name": "files"}})
        await scene.settle()
        config_map("FROM two")

        scene.image("team-a", source={"configMap": {"name": "files"}}, build={"target": "other"})
        await scene.settle()

        assert list(scene.builds().values()) == ["Superseded", "Superseded", "Open"]
        assert scene.running() == ["team-a/hello-3"]


async def test_a_version_costs_eight_writes_also_where_its_build_had_to_wait(narrow: Scene) -> None:
    narrow.image("team-b")
    await narrow.settle()
    narrow.api.requests.clear()
    narrow.image("team-a")
    await narrow.settle()
    assert narrow.ready() == ("Unknown", "Queued")
    waited = [one for one in narrow.api.writes if not one.endswith("/events")]

    narrow.job_ends("team-b/hello-1")
    narrow.api.requests.clear()
    await narrow.settle()
    narrow.job_ends("team-a/hello-1")
    await narrow.settle()

    after = [one for one in narrow.api.writes if not one.endswith("/events")]
    of_the_other = 3  # its Build's status, its Image's, its Secret's deletion
    assert narrow.ready() == ("True", "VersionReady")
    assert len(waited) + len(after) - of_the_other == 8


class TestAJob:
    async def test_that_somebody_deletes_is_made_anew_with_a_secret_of_its_own(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        first = scene.jobs()["team-a/hello-1"]
        scene.drop(JOBS, BUILDS_NAMESPACE, first["metadata"]["name"])
        await scene.settle()

        second = scene.jobs()["team-a/hello-1"]
        assert second["metadata"]["uid"] != first["metadata"]["uid"]
        (secret,) = scene.secrets()
        assert second["metadata"]["ownerReferences"][0]["uid"] == secret["metadata"]["uid"]
        assert first["metadata"]["ownerReferences"][0]["uid"] != secret["metadata"]["uid"]

    async def test_whose_maker_never_heard_the_answer_is_not_made_twice(self, scene: Scene) -> None:
        lost: list[str] = []

        def lose_the_answer(request: web.Request) -> web.Response | None:
            if request.method != "POST" or "keelway-builds/jobs" not in request.path or lost:
                return None
            (secret,) = scene.secrets()
            metadata = secret["metadata"]
            owner = {"kind": "Secret", "name": metadata["name"], "uid": metadata["uid"]}
            made = {"name": metadata["name"], "namespace": BUILDS_NAMESPACE, "labels": metadata["labels"]}
            scene.api.put(JOBS, {"metadata": {**made, "ownerReferences": [owner]}, "spec": {}})
            lost.append(metadata["uid"])
            return refusal(503, "Away")

        scene.api.interfere = lose_the_answer
        scene.image("team-a")
        await scene.settle()
        await scene.later(10)

        (secret,) = scene.secrets()
        assert [secret["metadata"]["uid"]] == lost
        assert scene.running() == ["team-a/hello-1"]

    async def test_that_the_watch_has_yet_to_bring_keeps_its_secret(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        (job,) = scene.jobs().values()
        scene.cluster.cache.remove(JOBS, job)
        scene.now += timedelta(minutes=10)
        for chore in scene.chores:
            await chore()
        assert len(scene.secrets()) == 1

    async def test_goes_with_its_secret_when_it_ended(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        scene.job_ends("team-a/hello-1")
        scene.api.requests.clear()
        await scene.settle()
        assert scene.secrets() == []
        assert scene.jobs() == {}
        deleted = [one for one in scene.api.writes if one.startswith("DELETE")]
        assert len(deleted) == 1, deleted

    async def test_of_somebody_elses_is_left_alone_whatever_its_labels_say(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        labels = {**scene.jobs()["team-a/hello-1"]["metadata"]["labels"], "keelway.dev/build-uid": "none"}
        scene.put(JOBS, {"metadata": {"name": "theirs", "namespace": "team-a", "labels": labels}, "spec": {}})
        await scene.settle()
        assert ("jobs", "team-a", "theirs") in scene.api.objects


class TestASuspendedImage:
    async def test_ends_its_build_and_keeps_no_secrets(self, scene: Scene) -> None:
        scene.image("team-a")
        await scene.settle()
        scene.image("team-a", suspend=True)
        scene.job_ends("team-a/hello-1")
        await scene.settle()
        assert scene.ready() == ("True", "Suspended")
        assert scene.status()["latest"]["version"] == "v1"
        assert scene.jobs() == {}

    async def test_begins_nothing(self, scene: Scene) -> None:
        scene.image("team-a", suspend=True)
        await scene.settle()
        scene.image("team-a", suspend=True, build={"target": "other"})
        await scene.settle()
        assert scene.builds() == {}


class TestACheck:
    async def test_that_held_has_passed_although_its_program_is_ended_before_a_longer_test(self, scene: Scene) -> None:
        scene.image("team-a", tests=[CHECK, TEST])
        await scene.settle()
        scene.job_ends("team-a/hello-1")
        await scene.settle()
        await scene.test_answers("hello-1", "listens")
        assert scene.get(BUILDS, "team-a", "hello-1")["status"]["passedTests"] == ["listens"]
        assert ("pods", "team-a", "hello-1-test-listens") not in scene.api.objects
        assert scene.ready() == ("Unknown", "Testing")

        await scene.test_ends("hello-1")

        assert scene.ready() == ("True", "VersionReady")

    async def test_is_not_tried_again_where_the_pass_was_cut_off_before_its_program_was_ended(
        self, scene: Scene
    ) -> None:
        scene.image("team-a", tests=[CHECK, TEST])
        await scene.settle()
        scene.job_ends("team-a/hello-1")
        await scene.settle()
        scene.api.interfere = lambda request: (
            refusal(503, "Away") if request.method == "DELETE" and "-test-listens" in request.path else None
        )
        await scene.test_answers("hello-1", "listens")
        assert ("pods", "team-a", "hello-1-test-listens") in scene.api.objects
        scene.api.interfere = lambda request: None
        await scene.later(10)
        assert ("pods", "team-a", "hello-1-test-listens") not in scene.api.objects
        await scene.test_ends("hello-1")
        assert scene.ready() == ("True", "VersionReady")


class TestATest:
    async def test_whose_pods_name_is_somebody_elses_is_no_verdict(self, scene: Scene) -> None:
        pod: dict[str, Any] = {"name": "hello-1-test-answers", "namespace": "team-a"}
        scene.api.put(PODS, {"metadata": pod, "status": {"phase": "Succeeded"}})
        scene.image("team-a", tests=[TEST])
        await scene.settle()
        scene.job_ends("team-a/hello-1")
        await scene.settle()
        assert scene.ready() == ("False", "NameConflict")
        scene.api.drop(PODS, "team-a", "hello-1-test-answers")
        await scene.later(10)
        assert scene.ready() == ("Unknown", "Testing")

    async def test_that_is_refused_by_the_api_server_fails_the_build(self, scene: Scene) -> None:
        scene.api.interfere = lambda request: (
            refusal(422, "Invalid") if request.method == "POST" and request.path.endswith("team-a/pods") else None
        )
        scene.image("team-a", tests=[TEST])
        await scene.settle()
        scene.job_ends("team-a/hello-1")
        await scene.settle()
        assert scene.ready() == ("False", "Refused")
