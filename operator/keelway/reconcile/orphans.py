"""PURE: Jobs whose Image is gone: they live in another namespace, so Kubernetes does not collect them (tenancy.md)."""

from collections.abc import Iterator
from typing import Any

from keelway.api.resources import IMAGES, JOBS, Resource
from keelway.children import names
from keelway.cluster.cache import Cache
from keelway.settings import Settings


def orphaned_jobs(cache: Cache, settings: Settings) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """The Jobs of the builds' namespace that no living Image has."""
    alive = {image["metadata"]["uid"] for image in cache.list(IMAGES)}
    for job in cache.list(JOBS, settings.builds_namespace):
        if job["metadata"].get("labels", {}).get(names.IMAGE_UID_LABEL) not in alive:
            yield JOBS, job
