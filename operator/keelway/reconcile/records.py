"""An Image's Build records: read from the cache, claimed by number, and which of them are kept.

Neighbours: `decide.py` says when one is due, `build.py` brings it further, `image.py` tells the story.
"""

import contextlib
import re
from dataclasses import dataclass
from typing import Any, Final

from keelway.api.build import Build, BuildSpec
from keelway.api.image import Image
from keelway.api.meta import API_VERSION
from keelway.api.resources import BUILDS
from keelway.children import names
from keelway.cluster.cache import is_controlled_by
from keelway.cluster.client import Cluster
from keelway.errors import AlreadyExists, NotFound, Terminal, Transient
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.decide import Create
from keelway.registry.client import Registry
from keelway.registry.reference import Reference
from keelway.status.build import Asked, Inputs, ended
from keelway.status.image import ImageObserved

# Nobody has built a hundred million times: what looks so was put there by hand.
_NUMBERED_TAG: Final = re.compile(r"(?:v|build-)([1-9][0-9]{0,7})")


@dataclass(frozen=True)
class Records:
    """The records of Images."""

    cluster: Cluster
    registry: Registry
    credentials: Credentials

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
        """The record, before anything is done for it: creating is how a number is claimed (contract.md rule 5)."""
        number = await self._next_number(image, observed, inputs)
        while True:
            record = _record(image, number, decision, inputs)
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

    async def _next_number(self, image: Image, observed: ImageObserved, inputs: Inputs) -> int:
        """One more than every number that was ever given here: gaps are fine, reuse is not."""
        known = [build.spec.number for build in observed.builds]
        known += [image.status.latest.number if image.status.latest else 0, image.status.latest_number]
        newest = observed.newest
        if newest is None or newest.spec.repository != inputs.asked.repository:
            known += await self._numbers_in_registry(image, inputs.asked)
        return max(known) + 1

    async def _numbers_in_registry(self, image: Image, asked: Asked) -> list[int]:
        """What an earlier Image of this name has left in the repository."""
        secrets = (asked.push_secret_ref.name,) if asked.push_secret_ref else ()
        keyring = await self.credentials.keyring(image.metadata.namespace, secrets)
        tags: list[str] = []
        with contextlib.suppress(NotFound):
            tags = await self.registry.tags(Reference.parse(asked.repository), keyring)
        return [int(match[1]) for tag in tags if (match := _NUMBERED_TAG.fullmatch(tag))]


def _record(image: Image, number: int, decision: Create, inputs: Inputs) -> dict[str, Any]:
    asked, metadata = inputs.asked, image.metadata
    spec = BuildSpec(
        image=metadata.name,
        number=number,
        reason=decision.reason,
        requested=decision.requested,
        attempt=decision.attempt,
        revision=inputs.revision,
        source=asked.source,
        build=asked.build,
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
    """The oldest closed records over `history.limit`, but none that `decide.py` still goes by."""
    excess = len(observed.builds) - image.spec.history.limit
    needed = (observed.latest_good, observed.last, observed.newest)
    removable = [build for build in observed.builds if ended(build) and build not in needed]
    return removable[: max(0, excess)]
