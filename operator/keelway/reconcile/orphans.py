"""PURE: Jobs whose Image is gone: they live in another namespace, so Kubernetes does not collect them (tenancy.md)."""

from collections.abc import Iterator, Mapping
from typing import Any

from keelway.api.resources import IMAGES, JOBS, SECRETS, Resource
from keelway.children import names
from keelway.cluster.cache import Cache
from keelway.settings import Settings


def orphaned_jobs(cache: Cache, settings: Settings) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """The Jobs of the builds' namespace that no living Image has, each after the Secret that owns it."""
    alive = {image["metadata"]["uid"] for image in cache.list(IMAGES)}
    for job in cache.list(JOBS, settings.builds_namespace):
        if job["metadata"].get("labels", {}).get(names.IMAGE_UID_LABEL) not in alive:
            yield from _secrets(job)
            yield JOBS, job


def _secrets(job: Mapping[str, Any]) -> Iterator[tuple[Resource, dict[str, Any]]]:
    metadata = job["metadata"]
    for owner in metadata.get("ownerReferences", ()):
        if owner["kind"] == SECRETS.kind:
            yield SECRETS, {"metadata": {**owner, "namespace": metadata["namespace"]}}
