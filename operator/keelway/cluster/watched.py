"""What is watched, cached and swept: one list, so that the three can never disagree.

Kinds of ours are watched whole; of built-in kinds only what carries our label, selected by the API server: 30,000
foreign Deployments cost nothing. Secrets and ConfigMaps of users are never watched (tenancy.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keelway.api.labels import IMAGE_UID_LABEL, MANAGED_BY, MANAGER
from keelway.api.resources import APPS, BUILDS, DEPLOYMENTS, HPAS, IMAGES, JOBS, PODS, SERVICES, Resource


@dataclass(frozen=True)
class Watched:
    """A kind, and the label that an object must carry (with `value`, where one is given) to be ours."""

    resource: Resource
    label: str | None = None
    value: str | None = None

    @property
    def selector(self) -> str | None:
        """As the API takes it: "key=value", or "key" for "has it"."""
        if self.label is None:
            return None
        return self.label if self.value is None else f"{self.label}={self.value}"

    def selects(self, obj: Mapping[str, Any]) -> bool:
        """Whether the API server would send the object to this watch."""
        if self.label is None:
            return True
        found = (obj["metadata"].get("labels") or {}).get(self.label)
        return found is not None and self.value in (None, found)


def _managed(resource: Resource) -> Watched:
    return Watched(resource, MANAGED_BY, MANAGER)


WATCHED: Final[tuple[Watched, ...]] = (
    Watched(IMAGES),
    Watched(BUILDS),
    Watched(APPS),
    _managed(DEPLOYMENTS),
    _managed(SERVICES),
    _managed(HPAS),
    Watched(JOBS, IMAGE_UID_LABEL),
    Watched(PODS, IMAGE_UID_LABEL),
)
