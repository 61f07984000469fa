"""An Image's Build records: read from the cache, claimed by number, and which of them are kept.

Neighbours: `decide.py` says when one is due, `build.py` brings it further, `image.py` tells the story.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from keelway.api.build import Build, BuildSpec
from keelway.api.image import Image
from keelway.api.meta import API_VERSION
from keelway.api.resources import BUILDS
from keelway.api.version import VersionScheme
from keelway.children import names
from keelway.cluster.cache import is_controlled_by
from keelway.cluster.client import Cluster
from keelway.errors import AlreadyExists, NotFound, Terminal, Transient
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.decide import Create
from keelway.reconcile.version import Candidate, is_sequential, next_version
from keelway.registry.client import Registry
from keelway.registry.reference import Reference
from keelway.status import quarantine
from keelway.status.build import Asked, Inputs, ended, succeeded, version_of
from keelway.status.observed import ImageObserved

# Nobody has built a hundred million times: what looks so was put there by hand.
_NUMBERED_TAG: Final = re.compile(r"(v|build-)([1-9][0-9]{0,7})")


@dataclass(frozen=True)
class Records:
    """The records of Images."""

    cluster: Cluster
    registry: Registry
    credentials: Credentials
    clock: Callable[[], datetime]

    def of(self, image: Image) -> tuple[Build, ...]:
        """By number."""
        records = []
        for raw in self.cluster.cache.owned_by(BUILDS, image.metadata.uid):
            # A record that another version of the operator wrote, and this one cannot read, says nothing.
            with contextlib.suppress(Terminal):
                build = Build.parse(raw)
                if build.metadata.namespace == image.metadata.namespace:
                    records.append(build)
        return tuple(sorted(records, key=lambda build: build.spec.number))

    async def catch_up(self, image: Image) -> None:
        """Read the newest record that the status tells of, where the cache has none of that name.

        Somebody has deleted it, or the watch is behind: then the same inputs would be built again.
        """
        number, namespace = image.status.latest_number, image.metadata.namespace
        name = names.build_name(image.metadata.name, number)
        if number and self.cluster.cache.get(BUILDS, namespace, name) is None:
            await self.cluster.get(BUILDS, namespace, name)

    async def create(self, image: Image, observed: ImageObserved, decision: Create, inputs: Inputs) -> Build:
        """The record, before anything is done for it: creating is how a number is claimed (contract.md rule 5).

        Raises Terminal where the Image's rules give no version that is free.
        """
        tags = await self._tags(image, inputs.asked) if _asks_registry(image, observed, inputs) else ()
        taken = _taken(image, observed, tags)
        number = _next_number(image, observed, tags)
        while True:
            due = Candidate(number, inputs.revision, observed.git_tag, self.clock())
            version = next_version(image.spec.version, taken, due)
            record = _record(image, number, version, decision, inputs)
            try:
                return Build.parse(await self.cluster.create(BUILDS, record))
            except AlreadyExists:
                found = await self.cluster.get(BUILDS, image.metadata.namespace, record["metadata"]["name"])
                build = _record_of(image, found)
                if build is None:
                    number += 1  # another Image's leftover of the same name, or one that nobody can read
                elif not ended(build):
                    return build  # made by a pass whose answer was lost
                else:
                    # It may be of these very inputs.
                    raise Transient(
                        "RecordsBehind",
                        f"Build {build.metadata.name} is there already, and known from now on. "
                        "What comes next is decided anew by itself.",
                    ) from None

    async def _tags(self, image: Image, asked: Asked) -> Sequence[str]:
        """What is in the repository, also what an earlier Image of this name has left there."""
        secrets = (asked.push_secret_ref.name,) if asked.push_secret_ref else ()
        keyring = await self.credentials.keyring(image.metadata.namespace, secrets)
        with contextlib.suppress(NotFound):
            return await self.registry.tags(Reference.parse(asked.repository), keyring)
        return ()


def _asks_registry(image: Image, observed: ImageObserved, inputs: Inputs) -> bool:
    """Not where sequential versions just go on: a number that no record of this repository has is free there."""
    newest = observed.newest
    if newest is None or newest.spec.repository != inputs.asked.repository:
        return True
    goes_on = is_sequential(newest.spec.version, newest.spec.number)
    return not goes_on or image.spec.version.scheme is not VersionScheme.SEQUENTIAL


def _next_number(image: Image, observed: ImageObserved, tags: Iterable[str]) -> int:
    """One more than every number that was ever given here: gaps are fine, reuse is not."""
    known = [build.spec.number for build in observed.builds]
    known += [image.status.latest.number if image.status.latest else 0, image.status.latest_number]
    # With other schemes a v7 may be anything.
    prefixes = ("v", "build-") if image.spec.version.scheme is VersionScheme.SEQUENTIAL else ("build-",)
    found = [match for tag in tags if (match := _NUMBERED_TAG.fullmatch(tag)) is not None]
    known += [int(match[2]) for match in found if match[1] in prefixes]
    return max(known) + 1


def _taken(image: Image, observed: ImageObserved, tags: Iterable[str]) -> frozenset[str]:
    """The tags that no new version may have: those of versions, of whatever else is there, and `spec.tags`."""
    versions = [build.status.version for build in observed.builds if build.status.version is not None]
    if image.status.latest is not None:
        versions.append(image.status.latest.version)
    return frozenset([*(names.version_tag(version) for version in versions), *tags, *image.spec.tags])


def _record(image: Image, number: int, version: str, decision: Create, inputs: Inputs) -> dict[str, Any]:
    asked, metadata = inputs.asked, image.metadata
    spec = BuildSpec(
        image=metadata.name,
        number=number,
        version=version,
        reason=decision.reason,
        requested=decision.requested,
        attempt=decision.attempt,
        revision=inputs.revision,
        source=asked.source,
        build=asked.build,
        output=asked.output,
        tests=asked.tests,
        repository=asked.repository,
        push_secret_ref=asked.push_secret_ref,
        bases=inputs.bases,
        images=inputs.images,
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


def _record_of(image: Image, raw: dict[str, Any] | None) -> Build | None:
    if raw is None or not is_controlled_by(raw, image.metadata.uid):
        return None
    try:
        return Build.parse(raw)
    except Terminal:
        return None


def beyond_limit(image: Image, observed: ImageObserved) -> list[Build]:
    """The oldest closed records over `history.limit`, but none that is still gone by.

    Those in quarantine do not count for the limit; there are bounds of their own (`status/quarantine.py`).
    """
    held = {build.metadata.uid for build in quarantine.evidence(observed.builds)}
    counted = [build for build in observed.builds if build.metadata.uid not in held]
    needed = [observed.latest_good, observed.last, observed.newest]
    if image.spec.pin is not None:
        needed.append(version_record(observed.builds, image.spec.pin))
    removable = [build for build in counted if ended(build) and build not in needed]
    return removable[: max(0, len(counted) - image.spec.history.limit)]


def version_record(builds: Iterable[Build], version: str) -> Build | None:
    """The record that became that version; `1.2.3+8` may also be written as its tag, `1.2.3_8`."""
    tag = names.version_tag(version)
    return next((build for build in builds if succeeded(build) and names.version_tag(version_of(build)) == tag), None)
