"""The story of an Image: look at its source and records, do the one next thing, say what is so.

    source -> revision -> Build record -> Job -> pushed by digest -> tests -> version's tag -> status.latest

`decide.py` says what comes next, `build.py` brings a build further, `status/image.py` sums up. A pass may end anywhere
and be repeated: everything is found again in the records.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from keelway.api.image import Image
from keelway.api.resources import BUILDS, IMAGES, JOBS, PODS
from keelway.budget import Postponed
from keelway.children import names
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.cluster.indexes import last_part
from keelway.errors import KeelwayError, Terminal, Waiting
from keelway.reconcile.bases import Bases
from keelway.reconcile.build import Builds
from keelway.reconcile.decide import Attend, Cancel, Create, Decision, decide, open_request
from keelway.reconcile.jobs import Jobs
from keelway.reconcile.outcome import Key, Outcome
from keelway.reconcile.places import Places
from keelway.reconcile.records import Records, beyond_limit
from keelway.reconcile.repository import check_unique, repository
from keelway.reconcile.source import Sources
from keelway.reconcile.statuses import write_invalid, write_status
from keelway.reconcile.upstream import settles_by
from keelway.settings import Settings
from keelway.status.build import SUPERSEDED, Asked, Failure, Inputs, built, ended, succeeded
from keelway.status.conditions import READY, find
from keelway.status.diagnosis import Finding, diagnose_pending
from keelway.status.image import ImageObserved, Stage, image_status, suspended_status

# Seconds: a pod that is given no node makes no event, also when `status/job.py` gives it up.
_LOOK_AGAIN: Final[Mapping[Stage | None, float]] = MappingProxyType({Stage.BUILDING: 60.0, Stage.TESTING: 60.0})


@dataclass(frozen=True)
class ImageReconciler:
    """One pass over an Image: `await reconciler(key)`. Raises what ended the pass, after status was written."""

    cluster: Cluster
    records: Records
    sources: Sources
    bases: Bases
    builds: Builds
    jobs: Jobs
    places: Places
    events: Events
    settings: Settings
    clock: Callable[[], datetime]

    async def __call__(self, key: Key) -> Outcome:
        raw = self.cluster.cache.get(IMAGES, key.namespace, key.name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            self.sources.forget(key.namespace, key.name)
            self.bases.forget(key.namespace, key.name)
            await self._remove_jobs(key)
            return Outcome()
        try:
            image = Image.parse(raw)
        except Terminal as error:
            for record in self.cluster.cache.owned_by(BUILDS, raw["metadata"]["uid"]):
                self.places.pass_over(record["metadata"]["uid"])
            await write_invalid(self.cluster, self.events, IMAGES, raw, error, self.clock())
            raise
        if image.spec.suspend:
            return await self._pass_suspended(raw, image)
        return await self._pass(raw, image)

    async def _pass(self, raw: dict[str, Any], image: Image) -> Outcome:
        before = observed = await self._look(image)
        decision: Decision | None = None
        try:
            await self._close_overtaken(image, observed)
            decision = self._decide(image, observed)
            observed = await self._act(image, observed, decision)
        except KeelwayError as error:
            observed = replace(observed, builds=self.records.of(image), problem=error)
        try:
            await self._write_status(raw, image, image_status(image, observed, self.clock()).to_dict())
            await self._tidy(image, observed)
        finally:
            self._give_up_places(before, observed)
        if observed.problem is not None:
            await self._tell(raw, image, observed.problem)
            raise observed.problem
        return Outcome(self._come_back(observed, decision))

    def _give_up_places(self, before: ImageObserved, observed: ImageObserved) -> None:
        """A place that this pass left, or does not take although it is offered, is for whoever waits."""
        newest = observed.newest
        if (
            observed.problem is not None
            and newest is not None
            and not ended(newest)
            and not self.builds.started(newest)
        ):
            self.places.pass_over(newest.metadata.uid)
        if _left_places(observed) - _left_places(before):
            self.places.wake_next()

    async def _pass_suspended(self, raw: dict[str, Any], image: Image) -> Outcome:
        """Nothing begins, but a build that runs goes on to its end: its Job and Secrets must not stay."""
        before = observed = self._recorded(image)
        newest = observed.newest
        if newest is not None and not ended(newest) and observed.started:
            try:
                stage = await self.builds.advance(image, newest)
                observed = replace(observed, builds=self.records.of(image), stage=stage)
            except KeelwayError as error:
                observed = replace(observed, builds=self.records.of(image), problem=error)
        try:
            await self._write_status(raw, image, suspended_status(image, observed, self.clock()).to_dict())
            await self._tidy(image, observed)
        finally:
            self._give_up_places(before, observed)
        if observed.problem is not None:
            raise observed.problem
        return Outcome(self._come_back(observed, None))

    def _recorded(self, image: Image) -> ImageObserved:
        records = self.records.of(image)
        return ImageObserved(builds=records, started=bool(records) and self.builds.started(records[-1]))

    async def _look(self, image: Image) -> ImageObserved:
        """The records, and what should be built; a source that cannot be resolved is a finding, not the end."""
        await self.records.catch_up(image)
        observed = self._recorded(image)
        try:
            target = repository(image, self.settings)
            check_unique(image, target, self._rivals(image, target), self.settings)
        except KeelwayError as error:
            return replace(observed, problem=error)
        try:
            afresh = open_request(image, observed) is not None
            resolved = await self.sources.resolve(image, afresh=afresh)
        except Postponed as error:
            return replace(observed, next_check=self.clock() + timedelta(seconds=error.retry_after))
        except KeelwayError as error:
            return replace(observed, problem=error, source_problem=error)
        observed = replace(observed, revision=resolved.revision, next_check=resolved.next_check)
        return await self._look_at_bases(image, observed, Inputs(Asked.by_image(image, target), resolved.revision))

    async def _look_at_bases(self, image: Image, observed: ImageObserved, inputs: Inputs) -> ImageObserved:
        """What it builds on, asked afresh where a build is about to begin."""
        try:
            inputs = replace(inputs, images=self.bases.images(image))
        except KeelwayError as error:
            return replace(observed, problem=error)
        newest, last = observed.newest, observed.last
        idle = newest is None or ended(newest)
        due = last is None or open_request(image, observed) is not None or not inputs.made(last)
        today = await self.bases.today(image, observed.latest_good, afresh=idle and due)
        checks = [one for one in (observed.next_check, today.next_check) if one is not None]
        return replace(
            observed,
            inputs=replace(inputs, bases=today.bases),
            bases=today.check,
            upstream_by=settles_by(image, self.cluster.cache, self.records.of) if inputs.images else None,
            next_check=min(checks, default=None),
        )

    def _rivals(self, image: Image, target: str) -> Iterator[Image]:
        """The Images that may push to the same repository; two with default repositories never do."""
        for raw in self.cluster.cache.indexed(IMAGES, last_part(target)):
            if image.spec.repository is None and "repository" not in (raw.get("spec") or {}):
                continue
            with contextlib.suppress(Terminal):
                yield Image.parse(raw)

    def _decide(self, image: Image, observed: ImageObserved) -> Decision | None:
        if observed.inputs is not None:
            return decide(image, observed, observed.inputs, self.clock())
        newest = observed.newest
        # Without its source or repository an Image starts nothing, but a build that runs goes on.
        running = newest is not None and observed.started and not ended(newest)
        return Attend(newest) if newest is not None and running else None

    async def _act(self, image: Image, observed: ImageObserved, decision: Decision | None) -> ImageObserved:
        stage: Stage | None = None
        match decision:
            case Attend(build):
                stage = await self.builds.advance(image, build)
            case Cancel(build):
                await self.builds.fail(image, build, _SUPERSEDED)
                return await self._again(image, observed)
            case Create() if observed.inputs is not None:
                build = await self.records.create(image, observed, decision, observed.inputs)
                stage = await self.builds.advance(image, build)
        observed = replace(observed, builds=self.records.of(image), stage=stage)
        newest = observed.newest
        place = self.places.place(newest.metadata.uid) if newest is not None and stage is Stage.QUEUED else None
        observed = replace(observed, place=place, finding=self._finding(image, observed))
        if isinstance(decision, Attend) and stage is None and observed.inputs is not None:
            return await self._again(image, observed)
        return observed

    async def _close_overtaken(self, image: Image, observed: ImageObserved) -> None:
        """Only the newest record is attended to: an older one that is open would wait for its place for ever."""
        for build in observed.builds[:-1]:
            if not ended(build):
                await self.builds.fail(image, build, _SUPERSEDED)

    def _finding(self, image: Image, observed: ImageObserved) -> Finding | None:
        """What keeps the pods of the running build, its Job's or its tests', from starting."""
        build = observed.newest
        if build is None or observed.stage is None:
            return None
        # Anybody may put our labels on a pod of theirs.
        where = (image.metadata.namespace, self.settings.builds_namespace)
        pods = [
            pod
            for pod in self.cluster.cache.owned_by(PODS, image.metadata.uid)
            if pod["metadata"]["namespace"] in where
            and pod["metadata"]["labels"].get(names.BUILD_UID_LABEL) == build.metadata.uid
        ]
        return diagnose_pending(pods)

    async def _again(self, image: Image, observed: ImageObserved) -> ImageObserved:
        """The build just ended: what is next may be another one."""
        observed = replace(observed, builds=self.records.of(image), stage=None)
        decision = self._decide(image, observed)
        return await self._act(image, observed, decision) if isinstance(decision, Create) else observed

    async def _write_status(self, raw: dict[str, Any], image: Image, status: dict[str, Any]) -> None:
        if status != raw.get("status"):
            await write_status(self.cluster, self.events, IMAGES, raw, status)

    async def _tell(self, raw: dict[str, Any], image: Image, problem: KeelwayError) -> None:
        """An event where Ready got another reason. Ends of builds are told by `build.py`, brief faults by nobody."""
        was = find(image.status.conditions, READY)
        if isinstance(problem, Terminal | Waiting) and (was is None or was.reason != problem.reason):
            await self.events.warning(raw, problem.reason, problem.message)

    async def _tidy(self, image: Image, observed: ImageObserved) -> None:
        """Remove what ended builds leave: their Jobs, the pods of passed tests, records beyond the limit."""
        closed = {build.metadata.uid: build for build in observed.builds if ended(build)}
        running = {build.metadata.uid for build in observed.builds if not ended(build)}
        for job in self.cluster.cache.owned_by(JOBS, image.metadata.uid):
            # Anybody may put our labels on a Job of theirs.
            if job["metadata"]["namespace"] != self.settings.builds_namespace:
                continue
            # Also of a record that somebody deleted: nobody would ask for the Job's end, nor for its place.
            if job["metadata"]["labels"].get(names.BUILD_UID_LABEL) not in running:
                await self.jobs.remove(job)
                self.places.wake_next()
        newest = observed.newest
        for pod in self.cluster.cache.owned_by(PODS, image.metadata.uid):
            build = closed.get(pod["metadata"]["labels"].get(names.BUILD_UID_LABEL))
            # The pods of the newest failed tests stay, so that `kubectl logs` tells all.
            is_test = names.TEST_LABEL in pod["metadata"]["labels"]
            if build is not None and is_test and (succeeded(build) or build is not newest):
                await self.cluster.delete_object(PODS, pod)
        for build in beyond_limit(image, observed):
            await self.cluster.delete(BUILDS, build.metadata.namespace, build.metadata.name, uid=build.metadata.uid)

    async def _remove_jobs(self, key: Key) -> None:
        """Jobs live in another namespace, so Kubernetes does not collect them with their Image."""
        for job in self.cluster.cache.list(JOBS, self.settings.builds_namespace):
            labels = job["metadata"].get("labels", {})
            if labels.get(names.IMAGE_NAMESPACE_LABEL) == key.namespace and labels.get(names.IMAGE_LABEL) == key.name:
                await self.jobs.remove(job)
        self.places.wake_next()

    def _come_back(self, observed: ImageObserved, decision: Decision | None) -> float | None:
        times = [time for time in (observed.next_check, getattr(decision, "until", None)) if time is not None]
        delays = [max(0.0, (time - self.clock()).total_seconds()) for time in times]
        if observed.stage in _LOOK_AGAIN:
            delays.append(_LOOK_AGAIN[observed.stage])
        return min(delays, default=None)


def _left_places(observed: ImageObserved) -> set[str]:
    """uids of the records that take no place any more: tests run in the tenant's own namespace."""
    return {build.metadata.uid for build in observed.builds if ended(build) or built(build)}


_SUPERSEDED = Failure(SUPERSEDED, "Something newer was asked for meanwhile. A build of that follows.")
