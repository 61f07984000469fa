"""Whether the Images that an Image builds from are about to have new versions: then it waits, and builds once.

Where two of them build from a third, a change of that one would else build it twice, the first time on a mixture.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.resources import IMAGES
from keelway.cluster.cache import Cache
from keelway.errors import KeelwayError, Terminal
from keelway.reconcile.graph import reachable
from keelway.reconcile.versions import latest_version
from keelway.status.build import ended

# An Image that cannot build (its Secret is missing) must not keep others from what has changed.
_PATIENCE: Final = timedelta(minutes=30)


def settles_by(image: Image, cache: Cache, builds_of: Callable[[Image], Sequence[Build]]) -> datetime | None:
    """Until when to wait for the Images above it; None where they are as they should be."""
    namespace, start = image.metadata.namespace, image.metadata.name

    @functools.cache
    def moving(name: str) -> Image | None:
        return _moving(cache, namespace, name)

    def uses(name: str) -> Sequence[str]:
        """What is above one that stays as it is makes no difference."""
        return cache.images_used_by(namespace, name) if name == start or moving(name) else ()

    changes: list[datetime] = []
    is_behind = False
    for one in filter(None, map(moving, reachable(start, uses))):
        builds = builds_of(one)
        changes += _changes(one, builds)
        is_behind = is_behind or _is_behind(one, cache, builds)
    return max(changes) + _PATIENCE if is_behind and changes else None


def _moving(cache: Cache, namespace: str, name: str) -> Image | None:
    """The Image, where it may have a new latest version: not one that is suspended, pinned, or builds nothing."""
    raw = cache.get(IMAGES, namespace, name)
    if raw is None:
        return None
    try:
        image = Image.parse(raw)
    except Terminal:
        return None
    return None if image.spec.suspend or image.spec.pin is not None else image


def _changes(image: Image, builds: Sequence[Build]) -> Iterator[datetime]:
    """When its latest version, and its newest build, were made."""
    if image.status.latest is not None:
        yield image.status.latest.built_at
    if builds and builds[-1].metadata.creation_timestamp is not None:
        yield builds[-1].metadata.creation_timestamp


def _is_behind(image: Image, cache: Cache, builds: Sequence[Build]) -> bool:
    """Whether a build of it runs, or is due because what it builds from has moved on."""
    if not builds:
        return False
    if not ended(builds[-1]):
        return True
    used = {one.name: one.reference for one in builds[-1].spec.images}
    namespace = image.metadata.namespace
    try:
        latest = {one.name: latest_version(cache, namespace, one.image).reference for one in image.spec.build.images}
    except KeelwayError:
        return False
    return used != latest
