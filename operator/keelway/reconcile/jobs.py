"""A build's Job and its Secret in the cluster: made, removed, and what is left of either found again (docs/adr/0013).

The Secret is there first and owns the Job, so each takes one request to make and both take one to remove.
Neighbours: `children/job.py` says what the two are, `build.py` when there is a Job, `orphans.py` which are nobody's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from keelway.api.labels import IMAGE_UID_LABEL
from keelway.api.resources import JOBS, SECRETS
from keelway.children import job as children
from keelway.children.context import JobContext
from keelway.cluster.client import Cluster
from keelway.errors import AlreadyExists, KeelwayError, Transient
from keelway.status.job import job_finished

_SWEEP_INTERVAL: Final = timedelta(minutes=5)
# Longer than a pass may be between the two creations, which wait for their turns where other writes hang.
_WITHOUT_JOB: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Jobs:
    """Jobs of the builds' `namespace`."""

    cluster: Cluster
    namespace: str
    clock: Callable[[], datetime]

    async def create(self, context: JobContext) -> None:
        """Secret and Job, also where a pass before was cut off between the two or before an answer.

        Raises Waiting where either is not allowed (by a quota, say), and leaves nothing then.
        """
        secret = children.secret(context)
        try:
            created = await self.cluster.create(SECRETS, secret)
        except AlreadyExists:
            if await self.cluster.get(JOBS, self.namespace, secret["metadata"]["name"]) is not None:
                return  # the watch is about to bring it
            created = await self._create_anew(secret)
        try:
            await self.cluster.create(JOBS, children.job(context, created["metadata"]["uid"]))
        except AlreadyExists:
            # Of a Secret that somebody took away: it goes, too, which its watch tells.
            return
        except Transient:
            raise  # it may have been made
        except KeelwayError:
            await self.cluster.delete_object(SECRETS, created)
            raise

    async def _create_anew(self, secret: dict[str, Any]) -> dict[str, Any]:
        """In place of one that never had a Job: its certificate may have run out, its credentials may be old."""
        found = await self.cluster.get(SECRETS, self.namespace, secret["metadata"]["name"])
        if found is not None:
            await self.cluster.delete_object(SECRETS, found)
        return await self.cluster.create(SECRETS, secret)

    async def remove(self, job: Mapping[str, Any]) -> None:
        """Delete its Secret; Kubernetes collects Job and pod after it, and the cache need not wait for that."""
        metadata = job["metadata"]
        owners = [owner for owner in metadata.get("ownerReferences", ()) if owner["kind"] == SECRETS.kind]
        for owner in owners:
            await self.cluster.delete(SECRETS, metadata["namespace"], owner["name"], uid=owner["uid"])
        if owners and job_finished(job):
            self.cluster.collected(JOBS, job)
        else:
            # Its place at the build service is wanted now.
            await self.cluster.delete_object(JOBS, job)

    async def sweep_secrets(self) -> timedelta:
        """Delete the Secrets whose Job was never made, or was taken away; gives the time until the next sweep."""
        async for secret in self.cluster.list(SECRETS, self.namespace, IMAGE_UID_LABEL, metadata_only=True):
            metadata = secret["metadata"]
            age = self.clock() - datetime.fromisoformat(metadata["creationTimestamp"])
            if age > _WITHOUT_JOB and not await self._has_job(metadata["name"]):
                await self.cluster.delete_object(SECRETS, secret)
        return _SWEEP_INTERVAL

    async def _has_job(self, name: str) -> bool:
        """Asked afresh where the cache has none: the watch may be behind, and a Secret taken breaks a running build."""
        known = self.cluster.cache.get(JOBS, self.namespace, name)
        return known is not None or await self.cluster.get(JOBS, self.namespace, name) is not None
