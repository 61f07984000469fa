"""The places at the build service: which waiting build may take one now. `admission.py` holds the rule.

What waits and what runs is read from the cache; only the moment between the decision and the Job's creation, which
other passes would not see there, is kept in memory.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.options import Priority
from keelway.api.resources import BUILDS, IMAGES, JOBS
from keelway.children import names
from keelway.cluster.cache import Cache, is_controlled_by
from keelway.cluster.indexes import OPEN
from keelway.errors import Terminal
from keelway.reconcile.admission import WaitingBuild, coarse, order
from keelway.reconcile.outcome import Key
from keelway.settings import Settings
from keelway.status.build import built
from keelway.status.job import job_finished

_PRIORITIES: Final[Mapping[str, int]] = MappingProxyType({Priority.HIGH: 1, Priority.NORMAL: 0, Priority.LOW: -1})
WAKE_INTERVAL: Final = timedelta(seconds=30)
"""How often `wake_next` is called although nobody has told of a free place."""
TELL_SECONDS: Final = 120.0
"""The least time between two places that are told of one build."""


class Places:
    """Admission of builds, over all namespaces."""

    def __init__(
        self,
        cache: Cache,
        settings: Settings,
        wake: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._settings = settings
        self._wake = wake
        self._taken: dict[str, str] = {}
        self._turns: dict[str, None] = {}  # namespaces, the one that got a place last at the end
        self._stuck: set[str] = set()
        self._told: dict[str, tuple[int, float]] = {}  # uid -> how many were before it, as its Image was told, and when

    @contextmanager
    def taking(self, image: Image, build: Build) -> Iterator[bool]:
        """Whether the build may start; its place is held until the block ends, and is free again if that fails.

        A build that cannot start (its Secret is missing) must not keep the place from others.
        """
        uid = build.metadata.uid
        self._stuck.discard(uid)
        following = self._order(self._waiting_builds())
        if uid not in following[: self._free()]:
            self._tell(uid, following)
            yield False
            return
        namespace = image.metadata.namespace
        self._taken[uid] = namespace
        self._turns.pop(namespace, None)
        self._turns[namespace] = None
        try:
            yield True
        except BaseException:
            self._stuck.add(uid)
            raise
        finally:
            del self._taken[uid]
            if uid in self._stuck:
                self.wake_next()

    def pass_over(self, uid: str) -> None:
        """The build of that uid waits, and its Image's pass cannot start it now: its turn is the others'."""
        if uid not in self._stuck:
            self._stuck.add(uid)
            self.wake_next()

    def wake_next(self) -> None:
        """A place may have become free: wake the Images whose builds may start now."""
        waiting = self._waiting_builds()
        following = self._order(waiting)
        free = self._free()
        concerned = {uid for place, uid in enumerate(following) if place < free or self._has_news(uid, place)}
        for build in waiting:
            if build.metadata.uid in concerned:
                self._wake(Key("Image", build.metadata.namespace, build.spec.image))

    def place(self, uid: str) -> int | None:
        """How many builds are before one that waits, in coarse steps. It only ever falls, and not more often than
        every two minutes: each step is a write of the Image's status."""
        told = self._told.get(uid)
        return told[0] if told is not None else None

    def _tell(self, uid: str, following: Sequence[str]) -> None:
        place = coarse(following.index(uid)) if uid in following else None
        if place is not None and (uid not in self._told or self._has_news(uid, place)):
            self._told[uid] = (place, self._clock())

    def _has_news(self, uid: str, place: int) -> bool:
        told, since = self._told.get(uid, (0, 0.0))
        return coarse(place) < told and self._clock() - since >= TELL_SECONDS

    def _free(self) -> int:
        return max(0, self._settings.max_builds - len(self._busy()))

    def _busy(self) -> list[str]:
        """The namespace of each build that has a place."""
        return [*self._running(), *self._taken.values()]

    def _order(self, builds: Sequence[Build]) -> list[str]:
        """The uids of the builds that could start, the next one first."""
        uids = {build.metadata.uid for build in builds}
        self._stuck &= uids
        self._told = {uid: place for uid, place in self._told.items() if uid in uids}
        waiting = [
            WaitingBuild(build.metadata.uid, build.metadata.namespace, _created(build), self._priority(build))
            for build in builds
            if build.metadata.uid not in self._stuck
        ]
        return list(order(waiting, self._busy(), tuple(self._turns)))

    def _running(self) -> list[str]:
        jobs = self._cache.list(JOBS, self._settings.builds_namespace)
        running = [job["metadata"].get("labels", {}) for job in jobs if not job_finished(job)]
        return [
            labels.get(names.IMAGE_NAMESPACE_LABEL, "")
            for labels in running
            if labels.get(names.BUILD_UID_LABEL) not in self._taken
        ]

    def _waiting_builds(self) -> list[Build]:
        """Records without a Job, of an Image that is there and not suspended."""
        found = []
        for raw in self._cache.indexed(BUILDS, OPEN):
            build = _parsed(raw)
            if build is None or built(build) or build.metadata.uid in self._taken:
                continue
            if self._has_job(build) or not self._is_of_active_image(build, raw):
                continue
            found.append(build)
        return found

    def _priority(self, build: Build) -> int:
        """As the Image has it now: who is in a hurry need not wait for a new record."""
        image = self._cache.get(IMAGES, build.metadata.namespace, build.spec.image) or {}
        options = (image.get("spec") or {}).get("build") or {}
        asked = options.get("priority") if isinstance(options, Mapping) else None
        return _PRIORITIES.get(asked if isinstance(asked, str) else "", 0)

    def _has_job(self, build: Build) -> bool:
        name = names.job_name(build.metadata.name, build.metadata.uid)
        return self._cache.get(JOBS, self._settings.builds_namespace, name) is not None

    def _is_of_active_image(self, build: Build, raw: Mapping[str, Any]) -> bool:
        """A record that somebody made by hand is nobody's: no pass would ever start it."""
        image = self._cache.get(IMAGES, build.metadata.namespace, build.spec.image)
        if image is None or not is_controlled_by(raw, image["metadata"]["uid"]):
            return False
        if "deletionTimestamp" in image["metadata"]:
            return False  # a finalizer keeps it, and its pass starts nothing any more
        return not (image.get("spec") or {}).get("suspend", False)


def _parsed(raw: Mapping[str, Any]) -> Build | None:
    try:
        return Build.parse(raw)
    except Terminal:
        return None  # stored under another schema: one record must not keep all others from a place


def _created(build: Build) -> str:
    created = build.metadata.creation_timestamp
    return created.isoformat() if created else ""
