"""What an Image builds on, as it is today: base images of registries, and other Images of its namespace.

The base images are those that a Build used, looked at every `poll.baseImagesIntervalSeconds`, at a mirror first where
the administrator named one. A registry that does not answer is told in a condition and never fails or starts a build.
`observe.py` says which Build, `decide.py` compares with the records.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from keelway.api.build import Build, PinnedBase, PinnedImage
from keelway.api.image import MAX_BASE_IMAGES, Image
from keelway.budget import spread
from keelway.cluster.cache import Cache
from keelway.errors import KeelwayError, NotFound, Terminal, Waiting
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.graph import find_cycle
from keelway.reconcile.outcome import Key
from keelway.reconcile.versions import latest_version
from keelway.registry.digests import Answer, Caller, Digests
from keelway.registry.mirrors import Mirrors
from keelway.registry.reference import Reference
from keelway.status.observed import BaseCheck

# A build that is about to begin takes what base images are now, not what they were an hour ago.
_FRESH: Final = timedelta(seconds=30)
_SECRET_AGAIN: Final = 60.0
_PENDING_AGAIN: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class Today:
    """The base images whose registries have told, and how looking at all of them went (None: there are none).

    `again` is when to look again, and `next_check` when those are looked at that have told: what does not answer is
    asked ever less often, and a status that told each of its times would be written for nothing. Not `complete`: a
    registry takes its time, and the Image is woken when it has answered.
    """

    bases: tuple[PinnedBase, ...] = ()
    check: BaseCheck | None = None
    next_check: datetime | None = None
    again: datetime | None = None
    complete: bool = True


@dataclass(frozen=True)
class _Known:
    asked: tuple[object, ...]
    today: Today


class Bases:
    """Looks at what Images build on, politely."""

    def __init__(
        self,
        cache: Cache,
        digests: Digests,
        credentials: Credentials,
        mirrors: Mirrors,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._digests = digests
        self._credentials = credentials
        self._mirrors = mirrors
        self._wake = wake
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}

    def images(self, image: Image) -> tuple[PinnedImage, ...]:
        """The latest versions of the Images that it uses.

        Raises Terminal ImageCycle, Waiting ImageNotFound or NoVersionYet.
        """
        namespace = image.metadata.namespace
        uses = image.spec.build.images
        if not uses:
            return ()
        cycle = find_cycle(image.metadata.name, lambda name: self._cache.images_used_by(namespace, name))
        if cycle is not None:
            raise Terminal(
                "ImageCycle",
                f"These Images build from each other in a circle: {' -> '.join(_shortened(cycle))}. "
                "None of them is built. Take one out of spec.build.images of another.",
            )
        return tuple(self._pinned(namespace, one.name, one.image) for one in uses)

    def _pinned(self, namespace: str, name: str, image: str) -> PinnedImage:
        latest = latest_version(self._cache, namespace, image)
        try:
            is_pinned = (Reference.parse(latest.reference).digest or "").startswith("sha256:")
        except Terminal:
            is_pinned = False  # written there by somebody else
        if not is_pinned:
            raise Waiting("NoVersionYet", f"Image {image} has no version with a digest. It gets one by itself.")
        return PinnedImage(name=name, version=latest.version, reference=latest.reference)

    async def today(
        self, image: Image, build: Build | None, *, afresh: bool = False, request: str | None = None
    ) -> Today:
        """What the base images that a Build used are now; `afresh` asks although it is not yet time.

        So does a `request`, once for all Images of the same one, whatever is known already.
        """
        interval = timedelta(seconds=image.spec.poll.base_images_interval_seconds)
        references = tuple(_watched(build)) if build is not None and interval else ()
        name = (image.metadata.namespace, image.metadata.name)
        known = self._known.pop(name, None)
        if not references:
            return Today()
        asked = (image.metadata.uid, references, interval, image.spec.push_secret_ref)
        if known is not None and known.asked != asked:
            known = None
        is_asked = afresh or request is not None
        if known is None or is_asked or self._is_due(known.today):
            today = await self._look(image, references, interval, _FRESH if is_asked else interval, request)
            known = _Known(asked, self._as_told(known.today if known is not None else None, today))
        self._known[name] = known
        return known.today

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is known of an Image that is gone."""
        self._known.pop((namespace, name), None)

    def _is_due(self, today: Today) -> bool:
        """The answer to a question that is under way may be there before the time to look again."""
        return not today.complete or today.again is None or self._clock() >= today.again

    def _as_told(self, before: Today | None, today: Today) -> Today:
        """A time that was told holds until it has come, or while it is not known what comes after it."""
        told = before.next_check if before is not None else None
        if told is None or (today.check is not None and today.check.problem is not None and today.next_check is None):
            return today
        if today.complete and today.next_check is not None:
            if told <= self._clock():
                return today
            return replace(today, next_check=told, again=min(told, today.again or told))
        return replace(today, next_check=told)

    async def _look(
        self,
        image: Image,
        references: tuple[Reference, ...],
        interval: timedelta,
        max_age: timedelta,
        request: str | None,
    ) -> Today:
        caller = self._caller(image, request)
        asked = await asyncio.gather(*(self._ask(image, one, min(max_age, interval), caller) for one in references))
        answers = [(one, answer) for one, answer in zip(references, asked, strict=True) if answer is not None]
        problems = [answer.problem for _, answer in answers if answer.problem is not None]
        told = [it.at + spread(1.0) * interval for _, it in answers if it.closed_until is None and not it.pending]
        closed = [it.closed_until for _, it in answers if it.closed_until is not None and not it.pending]
        is_complete = len(told) + len(closed) == len(references)
        pending = [] if is_complete else [self._clock() + _PENDING_AGAIN]  # it is woken before
        return Today(
            tuple(PinnedBase(reference=str(one), digest=it.seen.digest) for one, it in answers if it.seen is not None),
            BaseCheck(
                len(references),
                problems[0] if problems else None,
                told=len(answers) == len(references) and all(it.seen is not None for _, it in answers),
                references=tuple(map(str, references)),
            ),
            min(told, default=None),
            min(told + closed + pending),
            complete=is_complete,
        )

    async def _ask(self, image: Image, reference: Reference, max_age: timedelta, caller: Caller) -> Answer | None:
        """As BuildKit does: a mirror first, and the registry itself where that has nothing.

        What a mirror said before holds while it is away: it may lag behind the registry, and a base image that goes
        forth with an outage and back after it would be built on twice.
        """
        mirrored = self._mirrors.of(reference)
        if mirrored is not None:
            keyring = self._credentials.own_keyring()
            at_mirror = await self._digests.look(mirrored, keyring, max_age, caller)
            if at_mirror is None or at_mirror.problem is None or _holds(at_mirror):
                return at_mirror
        return await self._ask_itself(image, reference, max_age, caller)

    async def _ask_itself(
        self, image: Image, reference: Reference, max_age: timedelta, caller: Caller
    ) -> Answer | None:
        """With the credentials that a build has for it."""
        push = image.spec.push_secret_ref
        namespace = image.metadata.namespace
        try:
            keyring = await self._credentials.keyring_for(reference, namespace, (push.name,) if push else ())
        except KeelwayError as error:
            now = self._clock()
            return Answer(now, problem=error, closed_until=now + timedelta(seconds=spread(_SECRET_AGAIN)))
        return await self._digests.look(reference, keyring, max_age, caller)

    def _caller(self, image: Image, request: str | None) -> Caller:
        key = Key("Image", image.metadata.namespace, image.metadata.name)
        return Caller(key, lambda: self._wake(key), request)


def _holds(at_mirror: Answer) -> bool:
    """Whether a mirror that does not tell now has told before; one that says it has nothing has told just that."""
    return at_mirror.seen is not None and not isinstance(at_mirror.problem, NotFound)


def _watched(build: Build) -> Iterator[Reference]:
    """Of a record somebody may have written by hand, what are references; those with a digest never change.

    Only what it used: a Dockerfile that gives a digest beside the tag does not care what the tag names. Nor the Image's
    own tags (COPY --from=...:stable): each build moves them, so each would start the next.
    """
    for text in list(dict.fromkeys(one.reference for one in build.status.materials))[:MAX_BASE_IMAGES]:
        try:
            reference = Reference.parse(text)
        except Terminal:
            continue
        # As BuildKit writes it: the pin must meet the very name that it looks up.
        if reference.name == build.spec.repository:
            continue
        if reference.tag is not None and reference.digest is None and str(reference) == text:
            yield reference


def _shortened(cycle: tuple[str, ...]) -> tuple[str, ...]:
    return cycle if len(cycle) <= 12 else (*cycle[:6], "...", *cycle[-5:])
