"""The story of an Image: look at its source and records, do the one next thing, say what is so.

    source -> revision -> Build record -> Job -> pushed by digest -> tests -> version's tag -> status.latest

`observe.py` looks, `decide.py` says what comes next, `build.py` brings a build further, `status/image.py` sums up. A
pass may end anywhere and be repeated: everything is found again in the records.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from keelway.api.image import Image
from keelway.api.resources import BUILDS, IMAGES, JOBS, PODS
from keelway.children import names
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.errors import KeelwayError, Terminal, Waiting
from keelway.reconcile.build import Builds
from keelway.reconcile.decide import Attend, Cancel, Create, Decision, decide
from keelway.reconcile.jobs import Jobs
from keelway.reconcile.observe import Observer
from keelway.reconcile.outcome import Key, Outcome
from keelway.reconcile.places import Places
from keelway.reconcile.records import Records, beyond_limit
from keelway.reconcile.serving import Serving
from keelway.reconcile.statuses import write_invalid, write_status
from keelway.settings import Settings
from keelway.status import quarantine
from keelway.status.build import SUPERSEDED, Failure, built, ended, succeeded
from keelway.status.conditions import READY, find
from keelway.status.diagnosis import Finding, diagnose_pending
from keelway.status.image import image_status, shown_problem, suspended_status
from keelway.status.observed import ImageObserved, Stage

# Seconds: a pod that is given no node makes no event, also when `status/job.py` gives it up.
_LOOK_AGAIN: Final[Mapping[Stage | None, float]] = MappingProxyType({Stage.BUILDING: 60.0, Stage.TESTING: 60.0})


@dataclass(frozen=True)
class ImageReconciler:
    """One pass over an Image: `await reconciler(key)`. Raises what ended the pass, after status was written."""

    cluster: Cluster
    records: Records
    observer: Observer
    builds: Builds
    serving: Serving
    jobs: Jobs
    places: Places
    events: Events
    settings: Settings
    clock: Callable[[], datetime]

    async def __call__(self, key: Key) -> Outcome:
        raw = self.cluster.cache.get(IMAGES, key.namespace, key.name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            self.observer.forget(key)
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
        before = observed = await self.observer.look(image)
        decision: Decision | None = None
        try:
            observed = await self._release(raw, image, observed)
            await self._close_overtaken(image, observed)
            decision = self._decide(image, observed)
            observed = await self._act(image, observed, decision)
        except KeelwayError as error:
            observed = replace(observed, builds=self.records.of(image), problem=error)
        observed = await self.serving.settle(image, observed)
        try:
            await self._write_status(raw, image, image_status(image, observed, self.clock()).to_dict())
            await self._tidy(image, observed)
        finally:
            self._give_up_places(before, observed)
        return await self._end(raw, image, observed, self._come_back(observed, decision))

    async def _end(
        self, raw: dict[str, Any], image: Image, observed: ImageObserved, come_back: float | None
    ) -> Outcome:
        """When to look again. Raises what is the matter, unless the source is to be looked at whatever it is."""
        shown = shown_problem(observed)
        if shown is not None:
            await self._tell(raw, image, shown)
        problem = observed.problem or observed.serving_problem
        if problem is None or (isinstance(problem, Terminal) and come_back is not None):
            return Outcome(come_back)
        raise problem

    def _give_up_places(self, before: ImageObserved, observed: ImageObserved) -> None:
        """A place that this pass left, or does not take although it is offered, is for whoever waits."""
        newest = observed.newest
        if (
            (observed.problem is not None or observed.inputs is None)
            and newest is not None
            and not ended(newest)
            and not self.builds.started(newest)
        ):
            self.places.pass_over(newest.metadata.uid)
        if _left_places(observed) - _left_places(before):
            self.places.wake_next()

    async def _pass_suspended(self, raw: dict[str, Any], image: Image) -> Outcome:
        """Nothing begins, but a build that runs goes on to its end: its Job and Secrets must not stay."""
        before = observed = self.observer.recorded(image)
        newest = observed.newest
        if newest is not None and not ended(newest) and observed.started:
            try:
                stage = await self.builds.advance(image, newest)
                observed = replace(observed, builds=self.records.of(image), stage=stage)
            except KeelwayError as error:
                observed = replace(observed, builds=self.records.of(image), problem=error)
        target = self.observer.with_target(image, observed).target
        observed = await self.serving.settle(image, replace(observed, target=target))
        try:
            await self._write_status(raw, image, suspended_status(image, observed, self.clock()).to_dict())
            await self._tidy(image, observed)
        finally:
            self._give_up_places(before, observed)
        problem = observed.problem or observed.serving_problem
        if problem is not None:
            raise problem
        return Outcome(self._come_back(observed, None))

    async def _release(self, raw: dict[str, Any], image: Image, observed: ImageObserved) -> ImageObserved:
        """Lift the quarantines that a new request names, and those that a corrected test has answered."""
        request = image.metadata.annotations.get(names.RELEASE_QUARANTINE, "")
        is_new = bool(request) and request != image.status.observed_quarantine_release
        asked = quarantine.named(observed.builds, request) if is_new else ()
        if is_new and not asked:
            text = f"No Build in quarantine goes by {request:.80}: name one of status.quarantine, its digest, or all."
            await self.events.warning(raw, "NothingToRelease", text)
        answered = quarantine.answered(observed.builds)
        lifted = [one for one in observed.builds if quarantine.in_quarantine(one) and one in (*asked, *answered)]
        for build in lifted:
            await self.builds.release(build)
        return replace(observed, builds=self.records.of(image) if lifted else observed.builds, release=request)

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
        # Not `next_check`: that is what was told, and stays in the past while a registry keeps its answer to itself.
        asked = (observed.source_again, observed.bases_again, getattr(decision, "until", None))
        times = [time for time in asked if time is not None]
        delays = [max(0.0, (time - self.clock()).total_seconds()) for time in times]
        if observed.stage in _LOOK_AGAIN:
            delays.append(_LOOK_AGAIN[observed.stage])
        return min(delays, default=None)


def _left_places(observed: ImageObserved) -> set[str]:
    """uids of the records that take no place any more: tests run in the tenant's own namespace."""
    return {build.metadata.uid for build in observed.builds if ended(build) or built(build)}


_SUPERSEDED = Failure(SUPERSEDED, "Something newer was asked for meanwhile. A build of that follows.")
