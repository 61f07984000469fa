"""One build, from its record to a version: Job, report, tests, tag. A step cut off anywhere is found again.

Neighbours: `image.py` decides that a build is due and makes its record; `status/build.py` says what the record becomes;
`jobs.py` makes the Job; `request.py` gathers what it is given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keelway.api.build import Build, BuildStatus
from keelway.api.buildrequest import BuildReport
from keelway.api.image import Image
from keelway.api.pod import SecurityContext
from keelway.api.resources import BUILDS, JOBS, PODS
from keelway.api.test import TestSpec
from keelway.children import names, test_pod
from keelway.children.context import JobContext, TestContext
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.errors import AlreadyExists, Invalid, Terminal, Waiting
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.jobs import Jobs
from keelway.reconcile.places import Places
from keelway.reconcile.records import Records
from keelway.reconcile.request import JobData, Requests
from keelway.registry.client import Registry
from keelway.registry.reference import Reference
from keelway.settings import Settings
from keelway.status import quarantine
from keelway.status.build import (
    SUPERSEDED,
    Failure,
    built,
    built_status,
    failed_status,
    passed_status,
    version_of,
    version_status,
    warned,
)
from keelway.status.job import (
    Passed,
    TestResult,
    first_failure,
    job_finished,
    job_result,
    job_started,
    not_started,
    report_failure,
    test_result,
)
from keelway.status.observed import Stage
from keelway.status.user import check_user, uid_for_name


@dataclass(frozen=True)
class Builds:
    """Brings a build one step further at a time. All methods raise Waiting or Transient and may be called again."""

    cluster: Cluster
    records: Records
    registry: Registry
    jobs: Jobs
    requests: Requests
    credentials: Credentials
    places: Places
    events: Events
    settings: Settings
    clock: Callable[[], datetime]

    async def advance(self, image: Image, build: Build) -> Stage | None:
        """As far as it gets now; None once the record is closed."""
        try:
            return await self._advance(image, build)
        except Invalid as refused:
            # The API server will not have what this record asks for, however often it is asked.
            await self.fail(image, build, Failure("Refused", refused.message))
            return None

    async def _advance(self, image: Image, build: Build) -> Stage | None:
        if built(build):
            return await self._test(image, build)
        job = self._job(build)
        if job is None:
            return await self._start(image, build)
        if job_finished(job):
            return await self._harvest(image, build, job)
        told = not_started(job, self._pods_of(job), self.clock())
        if told is None:
            return Stage.BUILDING
        await self.fail(image, build, told, job_started(job))
        return None

    def started(self, build: Build) -> bool:
        """Whether anything was done for the record yet."""
        return built(build) or self._job(build) is not None

    async def fail(self, image: Image, build: Build, told: Failure, started: datetime | None = None) -> None:
        """Close the record without a version."""
        latest = image.status.latest
        serving = latest.digest if latest else None
        found = quarantine.verdict(build, told, self.records.of(image), self.clock(), serving=serving)
        await self._write(build, failed_status(build, told, self.clock(), started, found))
        await self.events.warning(image.to_dict(), told.reason, f"{build.metadata.name}: {told.message}")

    async def release(self, build: Build) -> None:
        """Let a record out of quarantine."""
        await self._write(build, quarantine.released_status(build, self.clock()))

    async def _start(self, image: Image, build: Build) -> Stage | None:
        with self.places.taking(image, build) as admitted:
            if not admitted:
                return Stage.QUEUED
            context = await self._job_context(image, build)
            if context is None:
                await self.fail(image, build, _MOVED_ON)
                return Stage.QUEUED
            await self.jobs.create(context)
        await self.events.normal(image.to_dict(), "BuildStarted", _started(build))
        return Stage.BUILDING

    async def _job_context(self, image: Image, build: Build) -> JobContext | None:
        data: JobData | None = await self.requests.job_data(image, build)
        if data is None:
            return None
        return JobContext(
            image=image,
            build=build,
            namespace=self.settings.builds_namespace,
            operator_image=self.settings.operator_image,
            buildkit_replica=data.replica,
            deadline_seconds=data.deadline_seconds,
            data=data.files,
        )

    async def _harvest(self, image: Image, build: Build, job: dict[str, Any]) -> Stage | None:
        started = job_started(job)
        result = job_result(job, await self._job_pods(job))
        if isinstance(result, BuildReport) and not result.ok:
            result = report_failure(result)
        if isinstance(result, Failure):
            await self.fail(image, build, result, started)
            return None
        status = built_status(build, result, started, self.clock())
        known_bad = quarantine.of_built(self.records.of(image), build, status.digest or "")
        if known_bad is not None:
            pushed = build.model_copy(update={"status": status})
            await self.fail(image, pushed, quarantine.held_back(build, known_bad, status.digest or ""), started)
            return None
        if not build.spec.tests:
            await self._release(image, build, status)
            return None
        return await self._test(image, await self._write(build, status))

    async def _test(self, image: Image, build: Build) -> Stage | None:
        try:
            results = [await self._test_one(image, build, test) for test in build.spec.tests]
        except Terminal as refused:
            await self.fail(image, build, Failure(refused.reason, refused.message))
            return None
        build = await self._keep_passed(build, results)
        failure = first_failure(results)
        if failure is not None:
            await self.fail(image, build, failure)
            return None
        if not all(isinstance(result, Passed) for result in results):
            return Stage.TESTING
        await self._release(image, build, build.status)
        return None

    async def _keep_passed(self, build: Build, results: Sequence[TestResult]) -> Build:
        """A check that held is written down before its program is ended: a test that takes longer must not undo it."""
        for test, result in zip(build.spec.tests, results, strict=True):
            if test.check is None or not isinstance(result, Passed):
                continue
            if test.name not in (build.status.passed_tests or ()):
                build = await self._write(build, passed_status(build, test.name))
            pod = self.cluster.cache.get(PODS, build.metadata.namespace, _pod_name(build, test))
            if pod is not None and _is_of(build, pod) and "deletionTimestamp" not in pod["metadata"]:
                await self.cluster.delete_object(PODS, pod)
        return build

    async def _test_one(self, image: Image, build: Build, test: TestSpec) -> TestResult:
        if test.name in (build.status.passed_tests or ()):
            return Passed()
        check_user(test.security, SecurityContext(), build.status.user, build.status.run_as_user)
        namespace, name = image.metadata.namespace, _pod_name(build, test)
        pod = self.cluster.cache.get(PODS, namespace, name)
        if pod is None:
            wanted = test_pod.build(TestContext(image, build, test, _uid(build)))
            try:
                pod = await self.cluster.create(PODS, wanted)
            except AlreadyExists:
                pod = await self.cluster.get(PODS, namespace, name)
        if pod is None:
            raise Waiting("TestPodGone", f"The pod of test {test.name} was removed. It is made again by itself.")
        if not _is_of(build, pod):
            raise Waiting("NameConflict", f"There is a pod {name} already, which is somebody else's. Delete it.")
        return test_result(test, pod, self.clock())

    async def _release(self, image: Image, build: Build, status: BuildStatus) -> None:
        """The tag first, then the record: a tag without a record is put right by the next pass, not the other way."""
        version = version_of(build)
        assert status.digest is not None
        keyring = await self.credentials.keyring(image.metadata.namespace, push_secrets(build))
        tag = names.version_tag(version)
        await self.registry.tag(Reference.parse(build.spec.repository), status.digest, tag, keyring)
        await self._write(build, version_status(build, status, version, self.clock()))
        told = f"{version} is {status.reference}.{warned(build, status)}"
        await self.events.normal(image.to_dict(), "VersionReady", told)

    async def _write(self, build: Build, status: BuildStatus) -> Build:
        metadata = build.metadata
        raw = self.cluster.cache.get(BUILDS, metadata.namespace, metadata.name)
        if raw is None or raw["metadata"]["uid"] != metadata.uid:
            raise Waiting("BuildGone", f"Build {metadata.name} was deleted. A new one is made by itself.")
        return Build.parse(await self.cluster.patch_status(BUILDS, raw, status.to_dict()))

    def _job(self, build: Build) -> dict[str, Any] | None:
        name = names.job_name(build.metadata.name, build.metadata.uid)
        return self.cluster.cache.get(JOBS, self.settings.builds_namespace, name)

    def _pods_of(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """As the watch has told of them."""
        uid = job["metadata"]["labels"][names.IMAGE_UID_LABEL]
        pods = self.cluster.cache.owned_by(PODS, uid)
        name = job["metadata"]["name"]
        return [
            pod
            for pod in pods
            # Anybody may put these labels on a pod of theirs.
            if pod["metadata"]["namespace"] == job["metadata"]["namespace"]
            and pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == name
        ]

    async def _job_pods(self, job: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Asked afresh: the Job's end may be known here before the watch has told of its pod's."""
        selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
        namespace = self.settings.builds_namespace
        return [pod async for pod in self.cluster.list(PODS, namespace, label_selector=selector)]


def push_secrets(build: Build) -> tuple[str, ...]:
    """The user's Secrets that count for the build's repository."""
    return (build.spec.push_secret_ref.name,) if build.spec.push_secret_ref else ()


def _pod_name(build: Build, test: TestSpec) -> str:
    return names.test_pod_name(build.metadata.name, test.name)


def _is_of(build: Build, pod: Mapping[str, Any]) -> bool:
    return (pod["metadata"].get("labels") or {}).get(names.BUILD_UID_LABEL) == build.metadata.uid


_MOVED_ON = Failure(
    SUPERSEDED, "The source changed before the build began. A build of what it is now follows.", retry=True
)


def _started(build: Build) -> str:
    return f"{build.metadata.name} ({build.spec.reason.value}): {build.spec.revision} to {build.spec.repository}"


def _uid(build: Build) -> int | None:
    return uid_for_name(build.status.user, build.status.run_as_user)
