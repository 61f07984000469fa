"""What a pass over an Image sees before it does anything: its records, its source, and what it builds on.

Neighbours: `image.py` goes on from here, `status/observed.py` is what is seen; `source.py` and `bases.py` ask others,
politely. What cannot be found out is a finding, not the end of the pass.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.resources import IMAGES
from keelway.budget import Postponed, is_busy
from keelway.cluster.cache import Cache
from keelway.cluster.indexes import last_part
from keelway.errors import KeelwayError, Terminal, Transient, Waiting
from keelway.reconcile.bases import Bases
from keelway.reconcile.build import Builds
from keelway.reconcile.checks import open_check
from keelway.reconcile.decide import Attend, Create, Rest, decide, open_request
from keelway.reconcile.outcome import Key
from keelway.reconcile.records import Records
from keelway.reconcile.repository import check_unique, repository
from keelway.reconcile.source import CHECK_PAUSE, Sources, pause
from keelway.reconcile.upstream import settles_by
from keelway.settings import Settings
from keelway.status.build import Asked, Inputs, built
from keelway.status.observed import ImageObserved


@dataclass(frozen=True)
class Observer:
    """Looks at an Image and around it."""

    cache: Cache
    records: Records
    sources: Sources
    bases: Bases
    builds: Builds
    settings: Settings
    clock: Callable[[], datetime]

    async def look(self, image: Image) -> ImageObserved:
        """The records, and what should be built."""
        await self.records.catch_up(image)
        observed = self.with_target(image, self.recorded(image))
        target = observed.target
        if target is None:
            return observed
        request = open_check(image)
        try:
            afresh = open_request(image, observed) is not None
            resolved = await self.sources.resolve(image, afresh=afresh, asked=request is not None)
        except KeelwayError as error:
            return self._without_source(image, observed, error)
        times = [resolved.next_check]
        if request is not None and not resolved.is_news and resolved.at is not None:
            request = None  # the last look is just past
            times.append(resolved.at + CHECK_PAUSE)
        again = _first(times)
        observed = replace(
            observed,
            revision=resolved.revision,
            source_problem=resolved.problem,
            next_check=again,
            source_again=again,
            git_tag=resolved.git_tag,
        )
        inputs = Inputs(Asked.by_image(image, target), resolved.revision)
        return await self._look_at_bases(image, observed, inputs, request)

    def recorded(self, image: Image) -> ImageObserved:
        """The records alone."""
        records = self.records.of(image)
        return ImageObserved(builds=records, started=bool(records) and self.builds.started(records[-1]))

    def with_target(self, image: Image, observed: ImageObserved) -> ImageObserved:
        """The repository that is the Image's to push to, or why there is none."""
        try:
            target = repository(image, self.settings)
            check_unique(image, target, self._rivals(image, target), self.settings)
        except KeelwayError as error:
            return replace(observed, problem=error)
        return replace(observed, target=target)

    def forget(self, key: Key) -> None:
        """Drop what is known of an Image that is gone."""
        self.sources.forget(key.namespace, key.name)
        self.bases.forget(key.namespace, key.name)

    def _without_source(self, image: Image, observed: ImageObserved, error: KeelwayError) -> ImageObserved:
        """That a host would answer later says nothing of what was built: it is told only where nothing was."""
        is_first = observed.newest is None
        if not is_busy(error) or not (_is_of_today(image, observed) or (is_first and isinstance(error, Postponed))):
            return replace(observed, problem=error, source_problem=error)
        asked = error.retry_after if isinstance(error, Waiting | Transient) else None
        told = None if isinstance(error, Postponed) else error
        again = self.clock() + timedelta(seconds=asked or pause(image))
        return replace(observed, source_problem=told, next_check=again, source_again=again)

    async def _look_at_bases(
        self, image: Image, observed: ImageObserved, inputs: Inputs, request: str | None
    ) -> ImageObserved:
        """What it builds on, asked afresh where a build is about to begin, and for a request."""
        try:
            inputs = replace(inputs, images=self.bases.images(image))
        except KeelwayError as error:
            return replace(observed, problem=error)
        afresh = isinstance(decide(image, observed, inputs, self.clock()), Create)
        today = await self.bases.today(image, _base_of(observed, inputs), afresh=afresh, request=request)
        observed = replace(
            observed,
            inputs=replace(inputs, bases=today.bases),
            bases=today.check,
            next_check=_first((observed.next_check, today.next_check)),
            bases_again=today.again,
            checked=request is not None and today.complete,
        )
        return self._look_above(image, observed)

    def _look_above(self, image: Image, observed: ImageObserved) -> ImageObserved:
        """Whether the Images above are settled: only where something begins, for it is a walk through all of them."""
        if observed.inputs is None or not observed.inputs.images:
            return observed
        if isinstance(decide(image, observed, observed.inputs, self.clock()), Rest | Attend):
            return observed
        return replace(observed, upstream_by=settles_by(image, self.cache, self.records.of))

    def _rivals(self, image: Image, target: str) -> Iterator[Image]:
        """The Images that may push to the same repository; two with default repositories never do."""
        for raw in self.cache.indexed(IMAGES, last_part(target)):
            if image.spec.repository is None and "repository" not in (raw.get("spec") or {}):
                continue
            with contextlib.suppress(Terminal):
                yield Image.parse(raw)


def _first(times: Iterable[datetime | None]) -> datetime | None:
    return min((one for one in times if one is not None), default=None)


def _base_of(observed: ImageObserved, inputs: Inputs) -> Build | None:
    """The build whose base images count: the newest of what is asked, though its tests failed, else the last good one.

    Where such a base image changes, a build in quarantine is one of other inputs, and is tried again.
    """
    of_today = (build for build in reversed(observed.builds) if built(build) and inputs.asks(build))
    return next(of_today, observed.latest_good)


def _is_of_today(image: Image, observed: ImageObserved) -> bool:
    """Whether the last build is of what the spec asks today, of whatever revision."""
    last, target = observed.last, observed.target
    return last is not None and target is not None and Asked.by_build(last) == Asked.by_image(image, target)
