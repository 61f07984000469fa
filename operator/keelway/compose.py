"""Puts the reconcilers together: every part gets what it needs here, so that none has to know where it comes from.

`__main__` hands `assembly(settings)` to the engine, which opens it once for each term of leadership: what a term has in
memory and on the wire (places, known revisions, connections) ends with it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.engine.term import Assemble, Parts
from keelway.reconcile import buildkit
from keelway.reconcile.app import AppReconciler
from keelway.reconcile.build import Builds
from keelway.reconcile.children import Settler
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.image import ImageReconciler
from keelway.reconcile.image_of import ImageFinder
from keelway.reconcile.orphans import orphaned_jobs
from keelway.reconcile.outcome import Key
from keelway.reconcile.places import Places
from keelway.reconcile.request import Requests
from keelway.reconcile.source import Sources
from keelway.registry.client import Registry
from keelway.settings import Settings
from keelway.sources.guard import Guard, GuardedHttp


def assembly(settings: Settings) -> Assemble:
    """What makes the parts of a term."""

    @asynccontextmanager
    async def assemble(cluster: Cluster, wake: Callable[[Key], None]) -> AsyncIterator[Parts]:
        async with (
            Registry(frozenset(settings.insecure_registries), settings.registry_endpoints) as registry,
            GuardedHttp(Guard(settings.allowed_networks)) as http,
        ):
            yield _parts(settings, cluster, wake, registry, http)

    return assemble


def _parts(
    settings: Settings, cluster: Cluster, wake: Callable[[Key], None], registry: Registry, http: GuardedHttp
) -> Parts:
    events = Events(cluster, settings.pod_name)
    credentials = Credentials(cluster, settings)
    sources = Sources(cluster, http, _now)
    places = Places(cluster.cache, settings, wake)
    requests = Requests(cluster, sources, credentials, settings, _now)
    builds = Builds(cluster, registry, requests, credentials, places, events, settings, _now)
    finder = ImageFinder(cluster.cache, registry, credentials)

    async def build_service() -> timedelta:
        return await buildkit.settle(cluster, settings, _now())

    return Parts(
        reconcilers={
            "Image": ImageReconciler(cluster, registry, sources, builds, credentials, places, events, settings, _now),
            "App": AppReconciler(cluster, finder, Settler(cluster), events, _now),
        },
        orphans=lambda: orphaned_jobs(cluster.cache, settings),
        chores=(build_service,),
    )


def _now() -> datetime:
    return datetime.now(UTC)
