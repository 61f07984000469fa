"""Puts the reconcilers together: every part gets what it needs here, so that none has to know where it comes from.

`__main__` hands `assembly(settings)` to the engine, which opens it once for each term of leadership: what a term has in
memory and on the wire (places, known revisions, connections) ends with it. `webhooks(...)` are taken all along.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from keelway.budget import Budget
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.connection import Connection
from keelway.cluster.events import Events
from keelway.cluster.gate import always_open
from keelway.engine.deliveries import Deliveries
from keelway.engine.metrics import Metrics
from keelway.engine.term import Assemble, Parts
from keelway.engine.webhook import WebhookServer
from keelway.reconcile import buildkit
from keelway.reconcile.app import AppReconciler
from keelway.reconcile.bases import Bases
from keelway.reconcile.build import Builds
from keelway.reconcile.children import Settler
from keelway.reconcile.credentials import Credentials
from keelway.reconcile.image import ImageReconciler
from keelway.reconcile.image_of import ImageFinder
from keelway.reconcile.jobs import Jobs
from keelway.reconcile.observe import Observer
from keelway.reconcile.orphans import orphaned_jobs
from keelway.reconcile.outcome import Key
from keelway.reconcile.places import WAKE_INTERVAL, Places
from keelway.reconcile.records import Records
from keelway.reconcile.request import Requests
from keelway.reconcile.serving import Serving
from keelway.reconcile.source import Sources
from keelway.registry.client import Registry
from keelway.registry.digests import Digests
from keelway.settings import Settings
from keelway.sources.guard import Guard, GuardedHttp
from keelway.sources.transport import GuardedTransport

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def assembly(settings: Settings, clock: Clock = _now) -> Assemble:
    """What makes the parts of a term; `clock` tells the time in UTC."""

    @asynccontextmanager
    async def assemble(cluster: Cluster, wake: Callable[[Key], None]) -> AsyncIterator[Parts]:
        async with (
            registry_client(settings, budget := Budget()) as registry,
            GuardedHttp(Guard(settings.allowed_networks), budget) as http,
            Digests(registry, clock) as digests,
        ):
            yield _parts(settings, clock, cluster, wake, registry, digests, http)

    return assemble


@asynccontextmanager
async def webhooks(
    settings: Settings, connection: Connection, metrics: Metrics, clock: Clock = _now
) -> AsyncIterator[None]:
    """Takes webhooks for as long as the block, where the administrator gives them a port. Raises OSError where that is
    taken.

    What is written for them needs no leadership (docs/adr/0023): its way to the API server has no gate and no cache.
    """
    if settings.webhook_port is None:
        yield
        return
    async with Deliveries(Cluster(connection, Cache(()), always_open()), settings.mirrors) as deliveries:
        server = WebhookServer(settings.webhook_port, settings.webhook_tokens, deliveries, metrics, clock)
        await server.start()
        try:
            yield
        finally:
            await server.stop()


def registry_client(settings: Settings, budget: Budget | None = None) -> Registry:
    """The client of registries: what a tenant may name is guarded, what the administrator names is reached anywhere."""
    mirrors = settings.mirrors
    return Registry(
        mirrors.plain_hosts.union(settings.insecure_registries),
        settings.registry_endpoints,
        own=settings.registry_host,
        # Which registries are spoken to by plain http is the administrator's choice.
        guard=GuardedTransport(settings.allowed_networks, plain_http=True),
        budget=budget,
        mirrors=mirrors.hosts,
    )


def _parts(
    settings: Settings,
    clock: Clock,
    cluster: Cluster,
    wake: Callable[[Key], None],
    registry: Registry,
    digests: Digests,
    http: GuardedHttp,
) -> Parts:
    events = Events(cluster, settings.pod_name)
    credentials = Credentials(cluster, settings)
    sources = Sources(cluster, http, clock)
    bases = Bases(cluster.cache, digests, credentials, settings.mirrors, wake, clock)
    places = Places(cluster.cache, settings, wake)
    requests = Requests(cluster, sources, credentials, settings, clock)
    jobs = Jobs(cluster, settings.builds_namespace, clock)
    records = Records(cluster, registry, credentials, clock)
    builds = Builds(cluster, records, registry, jobs, requests, credentials, places, events, settings, clock)
    observer = Observer(cluster.cache, records, sources, bases, builds, settings, clock)
    serving = Serving(registry, credentials)
    images = ImageReconciler(cluster, records, observer, builds, serving, jobs, places, events, settings, clock)
    finder = ImageFinder(cluster.cache, registry, credentials)

    async def build_service() -> timedelta:
        return await buildkit.settle(cluster, settings, clock())

    async def wake_waiting() -> timedelta:
        # Whoever frees a place wakes who is next, but may be cut off between the two.
        places.wake_next()
        return WAKE_INTERVAL

    return Parts(
        reconcilers={
            "Image": images,
            "App": AppReconciler(cluster, finder, Settler(cluster), events, clock),
        },
        orphans=lambda: orphaned_jobs(cluster.cache, settings),
        chores=(build_service, wake_waiting, jobs.sweep_secrets),
    )
