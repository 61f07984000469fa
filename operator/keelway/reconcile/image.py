"""The story of an Image: look at its source and records, do the one next thing, say what is so.

    source -> revision -> Build record -> Job -> pushed by digest -> tests -> version's tag -> status.latest

`decide.py` says what comes next, `build.py` brings a build further, `status/image.py` sums up. A pass may end anywhere
and be repeated: everything is found again in the records.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from keelway.api.build import Build, BuildSpec
from keelway.api.image import Image
from keelway.api.meta import API_VERSION
from keelway.api.resources import BUILDS, IMAGES, JOBS, PODS
from keelway.children import names
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.errors import AlreadyExists, KeelwayError, NotFound, Terminal, Waiting
from keelway.reconcile.build import Builds
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.decide import Attend, Cancel, Create, Decision, decide, open_request
from keelway.reconcile.outcome import Key, Outcome
from keelway.reconcile.places import Places
from keelway.reconcile.repository import check_unique, repository
from keelway.reconcile.source import Sources
from keelway.registry.client import Registry
from keelway.registry.reference import Reference
from keelway.settings import Settings
from keelway.status.build import SUPERSEDED, Asked, Failure, Inputs, ended, succeeded
from keelway.status.conditions import READY, find, invalid_status
from keelway.status.diagnosis import Finding, diagnose_pending
from keelway.status.image import ImageObserved, Stage, image_status, suspended_status

# While tests run: a pod that is given no node makes no event, also when `status/job.py` gives it up.
_LOOK_AGAIN: Final = 60.0
_NUMBERED_TAG: Final = re.compile(r"(?:v|build-)([1-9][0-9]{0,8})")


class ImageReconciler:
    """One pass over an Image: `await reconciler(key)`. Raises what ended the pass, after status was written."""

    def __init__(
        self,
        cluster: Cluster,
        registry: Registry,
        sources: Sources,
        builds: Builds,
        credentials: Credentials,
        places: Places,
        events: Events,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._registry = registry
        self._sources = sources
        self._builds = builds
        self._credentials = credentials
        self._places = places
        self._events = events
        self._settings = settings
        self._clock = clock

    async def __call__(self, key: Key) -> Outcome:
        raw = self._cluster.cache.get(IMAGES, key.namespace, key.name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            self._sources.forget(key.namespace, key.name)
            await self._remove_jobs(key)
            return Outcome()
        try:
            image = Image.parse(raw)
        except Terminal as error:
            status = invalid_status(raw, error, self._clock())
            await self._cluster.patch_status(IMAGES, raw, status)
            raise
        if image.spec.suspend:
            await self._write_status(raw, image, suspended_status(image, self._clock()).to_dict())
            return Outcome()
        return await self._pass(raw, image)

    async def _pass(self, raw: dict[str, Any], image: Image) -> Outcome:
        observed = await self._look(image)
        decision: Decision | None = None
        try:
            decision = self._decide(image, observed)
            observed = await self._act(image, observed, decision)
        except KeelwayError as error:
            observed = replace(observed, builds=self._records(image), problem=error)
        await self._write_status(raw, image, image_status(image, observed, self._clock()).to_dict())
        await self._tidy(image, observed)
        if observed.problem is not None:
            await self._tell(raw, image, observed.problem)
            raise observed.problem
        return Outcome(self._come_back(observed, decision))

    async def _look(self, image: Image) -> ImageObserved:
        """The records, and what should be built; a source that cannot be resolved is a finding, not the end."""
        records = self._records(image)
        started = bool(records) and self._builds.started(records[-1])
        observed = ImageObserved(builds=records, started=started)
        try:
            target = repository(image, self._settings)
            check_unique(image, target, self._rivals(image), self._settings)
        except KeelwayError as error:
            return replace(observed, problem=error)
        try:
            afresh = open_request(image, observed) is not None
            resolved = await self._sources.resolve(image, afresh=afresh)
        except KeelwayError as error:
            return replace(observed, problem=error, source_problem=error)
        inputs = Inputs(Asked.by_image(image, target), resolved.revision)
        return replace(observed, inputs=inputs, next_check=resolved.next_check)

    def _rivals(self, image: Image) -> Iterator[Image]:
        """The Images that may push to the same repository; two with default repositories never do."""
        for raw in self._cluster.cache.list(IMAGES):
            if image.spec.repository is None and "repository" not in raw["spec"]:
                continue
            with contextlib.suppress(Terminal):
                yield Image.parse(raw)

    def _decide(self, image: Image, observed: ImageObserved) -> Decision | None:
        if observed.inputs is not None:
            return decide(image, observed, observed.inputs, self._clock())
        newest = observed.newest
        # Without its source an Image starts nothing, but a build that runs goes on.
        return Attend(newest) if newest is not None and not ended(newest) else None

    async def _act(self, image: Image, observed: ImageObserved, decision: Decision | None) -> ImageObserved:
        stage: Stage | None = None
        match decision:
            case Attend(build):
                stage = await self._builds.advance(image, build)
            case Cancel(build):
                await self._builds.fail(image, build, _SUPERSEDED)
                return await self._again(image, observed)
            case Create() if observed.inputs is not None:
                build = await self._create(image, observed, decision, observed.inputs)
                stage = await self._builds.advance(image, build)
        observed = replace(observed, builds=self._records(image), stage=stage)
        observed = replace(observed, finding=self._finding(image, observed))
        if isinstance(decision, Attend) and stage is None:
            self._places.wake_next()
            if observed.inputs is not None:
                return await self._again(image, observed)
        return observed

    def _finding(self, image: Image, observed: ImageObserved) -> Finding | None:
        """What keeps the pods of the running build, its Job's or its tests', from starting."""
        build = observed.newest
        if build is None or observed.stage is None:
            return None
        pods = self._cluster.cache.owned_by(PODS, image.metadata.uid)
        uid = build.metadata.uid
        return diagnose_pending(pod for pod in pods if pod["metadata"]["labels"].get(names.BUILD_UID_LABEL) == uid)

    async def _again(self, image: Image, observed: ImageObserved) -> ImageObserved:
        """The build just ended: what is next may be another one."""
        observed = replace(observed, builds=self._records(image), stage=None)
        decision = self._decide(image, observed)
        return await self._act(image, observed, decision) if isinstance(decision, Create) else observed

    async def _create(self, image: Image, observed: ImageObserved, decision: Create, inputs: Inputs) -> Build:
        """The record, before anything is done for it: creating is how a number is claimed (contract.md rule 5)."""
        number = await self._next_number(image, observed, inputs)
        while True:
            record = _record(image, number, decision, inputs)
            try:
                return Build.parse(await self._cluster.create(BUILDS, record))
            except AlreadyExists:
                # Another Image's leftover of the same name, or a record of ours that the watch has not brought yet.
                await self._cluster.get(BUILDS, image.metadata.namespace, record["metadata"]["name"])
                number += 1

    async def _next_number(self, image: Image, observed: ImageObserved, inputs: Inputs) -> int:
        """One more than every number that was ever given here: gaps are fine, reuse is not."""
        known = [build.spec.number for build in observed.builds]
        if image.status.latest is not None:
            known.append(int(image.status.latest.version[1:]))
        if image.status.latest_build is not None:
            known.append(int(image.status.latest_build.rpartition("-")[2]))
        if not known:
            known = [0, *await self._numbers_in_registry(image, inputs.asked)]
        return max(known) + 1

    async def _numbers_in_registry(self, image: Image, asked: Asked) -> list[int]:
        """What an earlier Image of this name has left in the repository."""
        secrets = (asked.push_secret_ref.name,) if asked.push_secret_ref else ()
        keyring = await self._credentials.keyring(image.metadata.namespace, secrets)
        tags: list[str] = []
        with contextlib.suppress(NotFound):
            tags = await self._registry.tags(Reference.parse(asked.repository), keyring)
        return [int(match[1]) for tag in tags if (match := _NUMBERED_TAG.fullmatch(tag))]

    def _records(self, image: Image) -> tuple[Build, ...]:
        owned = self._cluster.cache.owned_by(BUILDS, image.metadata.uid)
        return tuple(sorted(map(Build.parse, owned), key=lambda build: build.spec.number))

    async def _write_status(self, raw: dict[str, Any], image: Image, status: dict[str, Any]) -> None:
        if status != raw.get("status"):
            await self._cluster.patch_status(IMAGES, raw, status)

    async def _tell(self, raw: dict[str, Any], image: Image, problem: KeelwayError) -> None:
        """An event where Ready got another reason. Ends of builds are told by `build.py`, brief faults by nobody."""
        was = find(image.status.conditions, READY)
        if isinstance(problem, Terminal | Waiting) and (was is None or was.reason != problem.reason):
            await self._events.warning(raw, problem.reason, problem.message)

    async def _tidy(self, image: Image, observed: ImageObserved) -> None:
        """Remove what ended builds leave: their Jobs, the pods of passed tests, records beyond the limit."""
        closed = {build.metadata.uid: build for build in observed.builds if ended(build)}
        for job in self._cluster.cache.owned_by(JOBS, image.metadata.uid):
            if job["metadata"]["labels"].get(names.BUILD_UID_LABEL) in closed:
                await self._cluster.delete_object(JOBS, job)
        newest = observed.newest
        for pod in self._cluster.cache.owned_by(PODS, image.metadata.uid):
            build = closed.get(pod["metadata"]["labels"].get(names.BUILD_UID_LABEL))
            # The pods of the newest failed tests stay, so that `kubectl logs` tells all.
            is_test = names.TEST_LABEL in pod["metadata"]["labels"]
            if build is not None and is_test and (succeeded(build) or build is not newest):
                await self._cluster.delete_object(PODS, pod)
        for build in _beyond_limit(image, observed):
            await self._cluster.delete(BUILDS, build.metadata.namespace, build.metadata.name, uid=build.metadata.uid)

    async def _remove_jobs(self, key: Key) -> None:
        """Jobs live in another namespace, so Kubernetes does not collect them with their Image."""
        self._places.wake_next()
        for job in self._cluster.cache.list(JOBS, self._settings.builds_namespace):
            labels = job["metadata"].get("labels", {})
            if labels.get(names.IMAGE_NAMESPACE_LABEL) == key.namespace and labels.get(names.IMAGE_LABEL) == key.name:
                await self._cluster.delete_object(JOBS, job)

    def _come_back(self, observed: ImageObserved, decision: Decision | None) -> float | None:
        times = [time for time in (observed.next_check, getattr(decision, "until", None)) if time is not None]
        delays = [max(0.0, (time - self._clock()).total_seconds()) for time in times]
        if observed.stage is Stage.TESTING:
            delays.append(_LOOK_AGAIN)
        return min(delays, default=None)


_SUPERSEDED = Failure(SUPERSEDED, "Something newer was asked for meanwhile. A build of that follows.")


def _record(image: Image, number: int, decision: Create, inputs: Inputs) -> dict[str, Any]:
    asked, metadata = inputs.asked, image.metadata
    spec = BuildSpec(
        image=metadata.name,
        number=number,
        reason=decision.reason,
        requested=decision.requested,
        revision=inputs.revision,
        source=asked.source,
        build=asked.build,
        tests=asked.tests,
        repository=asked.repository,
        push_secret_ref=asked.push_secret_ref,
    )
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Image",
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Build",
        "metadata": {
            "name": names.build_name(metadata.name, number),
            "namespace": metadata.namespace,
            "labels": names.image_labels(metadata.namespace, metadata.name, metadata.uid),
            "ownerReferences": [owner],
        },
        "spec": spec.to_dict(),
    }


def _beyond_limit(image: Image, observed: ImageObserved) -> list[Build]:
    """The oldest closed records over `history.limit`, but none that `decide.py` still goes by."""
    excess = len(observed.builds) - image.spec.history.limit
    needed = (observed.latest_good, observed.last, observed.newest)
    removable = [build for build in observed.builds if ended(build) and build not in needed]
    return removable[: max(0, excess)]
