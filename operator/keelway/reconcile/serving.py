"""What of an Image counts: the version that `spec.pin` names, and the extra tags that follow `status.latest`.

Both make the world agree with what is asked and known: repeated anywhere, they do nothing twice. Neighbours: `image.py`
calls this once a pass, `status/image.py` says which version is the latest, `records.py` knows the records of versions.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from keelway.api.build import Build
from keelway.api.image import Image, LatestImage
from keelway.api.version import TagStatus
from keelway.children import names
from keelway.errors import KeelwayError, NotFound, Terminal
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.records import version_record
from keelway.registry.client import Registry
from keelway.registry.reference import Reference
from keelway.status import quarantine
from keelway.status.build import succeeded, version_of
from keelway.status.image import latest_image, of_record
from keelway.status.observed import ImageObserved

_NAMED: Final = 5
_UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Serving:
    """Finds pinned versions, and moves tags."""

    registry: Registry
    credentials: Credentials

    async def settle(self, image: Image, observed: ImageObserved) -> ImageObserved:
        """What was seen, with the pinned version and the tags made; trouble with either is a finding, not the end."""
        try:
            observed = replace(observed, pinned=await self._pinned(image, observed))
        except KeelwayError as error:
            return replace(observed, serving_problem=error, tags=_made(image, latest_image(image, observed)))
        return await self._tag(image, observed)

    async def _pinned(self, image: Image, observed: ImageObserved) -> LatestImage | None:
        """Raises Terminal VersionNotFound or Quarantined, and what the registry raises."""
        pin = image.spec.pin
        if pin is None:
            return None
        record = version_record(observed.builds, pin)
        if record is not None:
            return _from_record(pin, record, observed.builds)
        known = image.status.latest
        if known is not None and _same(known.version, pin) and known.repository == observed.target:
            return _checked(pin, known, observed.builds)
        return await self._from_registry(image, pin, observed)

    async def _from_registry(self, image: Image, pin: str, observed: ImageObserved) -> LatestImage | None:
        """A version whose record is gone."""
        if observed.target is None:
            return None  # nobody may look there: the pass says why
        repository = Reference.parse(observed.target)
        keyring = await self.credentials.keyring(image.metadata.namespace, _push_secrets(image))
        tagged = Reference(repository.registry, repository.repository, names.version_tag(pin))
        try:
            digest = await self.registry.resolve(tagged, keyring)
        except NotFound:
            raise _not_there(pin, observed) from None
        config = await self.registry.image_config(repository.at(digest), keyring)
        user = config.user.partition(":")[0]
        found = LatestImage(
            version=pin,
            reference=str(repository.at(digest)),
            revision=config.revision or "",
            built_at=config.created or _UNKNOWN_TIME,
            user=config.user or None,
            run_as_user=0 if not user else int(user) if user.isdecimal() and len(user) < 10 else None,
        )
        return _checked(pin, found, observed.builds)

    async def _tag(self, image: Image, observed: ImageObserved) -> ImageObserved:
        latest = latest_image(image, observed)
        made = {one.name: one for one in _made(image, latest)}
        # Only where the Image may push today: the latest version may still be one of another repository.
        if latest is None or latest.repository != observed.target:
            return replace(observed, tags=tuple(made.values()))
        problem: KeelwayError | None = None
        try:
            for name in image.spec.tags:
                if name not in made or made[name].digest != latest.digest:
                    await self._move(image, name, latest, observed)
                    made[name] = TagStatus(name=name, digest=latest.digest)
        except KeelwayError as error:
            problem = error
        tags = tuple(made[name] for name in image.spec.tags if name in made)
        return replace(observed, tags=tags, serving_problem=problem)

    async def _move(self, image: Image, name: str, latest: LatestImage, observed: ImageObserved) -> None:
        versions = [latest.version, *(version_of(build) for build in observed.builds if succeeded(build))]
        if any(_same(version, name) for version in versions):
            raise Terminal(
                "TagIsVersion",
                f"spec.tags names {name}, a version of this Image, and versions never move. Take another name.",
            )
        keyring = await self.credentials.keyring(image.metadata.namespace, _push_secrets(image))
        await self.registry.tag(Reference.parse(latest.repository), latest.digest, name, keyring)


def _push_secrets(image: Image) -> tuple[str, ...]:
    return (image.spec.push_secret_ref.name,) if image.spec.push_secret_ref else ()


def _made(image: Image, latest: LatestImage | None) -> tuple[TagStatus, ...]:
    """The tags that status tells of; of another repository's nobody knows."""
    known = image.status.latest
    if known is None or latest is None or known.repository != latest.repository:
        return ()
    return tuple(one for one in image.status.tags or () if one.name in image.spec.tags)


def _same(version: str, other: str) -> bool:
    return names.version_tag(version) == names.version_tag(other)


def _from_record(pin: str, record: Build, builds: tuple[Build, ...]) -> LatestImage | None:
    found = quarantine.of_good(builds, record)
    if found is not None:
        raise _quarantined(pin, found)
    return of_record(record)


def _checked(pin: str, found: LatestImage, builds: tuple[Build, ...]) -> LatestImage:
    known_bad = quarantine.of_digest(builds, found.digest)
    if known_bad is not None:
        raise _quarantined(pin, known_bad)
    return found


def _quarantined(pin: str, found: Build) -> Terminal:
    return Terminal(
        quarantine.QUARANTINED,
        f"spec.pin names {pin}, which is in quarantine: {quarantine.cause(found)} "
        f"Pin another version. To let this one be tried again, release it: {quarantine.how_to_release(found)}",
    )


def _not_there(pin: str, observed: ImageObserved) -> Terminal:
    """A version that tests kept from being one is named as such."""
    for build in quarantine.evidence(observed.builds):
        if _same(version_of(build), pin):
            return _quarantined(pin, build)
    kept = [version_of(build) for build in reversed(observed.builds) if succeeded(build)]
    some = f"Kept are {', '.join(kept[:_NAMED])}" if kept else "None is kept"
    return Terminal(
        "VersionNotFound",
        f"spec.pin names {pin}, of which there is neither a Build nor a tag in {observed.target}. "
        f"{some}. Pin a version that is there, or remove spec.pin.",
    )
