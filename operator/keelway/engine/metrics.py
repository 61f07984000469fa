"""The numbers on `/metrics`, in a registry that is made once and passed around."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from keelway.api.resources import Resource

_PASS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
_BUILD_SECONDS: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
# A Build's end is seen by its writer and again after a restart's listing; this many are recognised.
_BUILDS_REMEMBERED: Final = 10_000


class Metrics:
    """Every metric of the operator, and `registry` to serve them from."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.leader = Gauge("keelway_leader", "1 on the replica that leads.", registry=self.registry)
        self.reconciles = Counter(
            "keelway_reconciles", "Passes, by kind and how they ended.", ["kind", "result"], registry=self.registry
        )
        self.duration = Histogram(
            "keelway_reconcile_duration_seconds",
            "How long a pass took.",
            ["kind"],
            buckets=_PASS_SECONDS,
            registry=self.registry,
        )
        self.errors = Counter(
            "keelway_reconcile_errors", "Passes that failed, by reason.", ["kind", "reason"], registry=self.registry
        )
        self.events = Counter(
            "keelway_watch_events", "Watch events, by whether they told anything new.", ["resource", "news"],
            registry=self.registry,
        )  # fmt: skip
        self.missed = Counter(
            "keelway_sweep_missed", "Changes that no watch had told when a sweep found them.", ["resource"],
            registry=self.registry,
        )  # fmt: skip
        self.requests = Counter(
            "keelway_api_requests", "Requests to the API server, without the watches.", ["method", "code"],
            registry=self.registry,
        )  # fmt: skip
        self.builds = Counter("keelway_builds", "Builds that ended.", ["result"], registry=self.registry)
        self.build_duration = Histogram(
            "keelway_build_duration_seconds",
            "From a build's start to its end.",
            ["result"],
            buckets=_BUILD_SECONDS,
            registry=self.registry,
        )
        self.deliveries = Counter(
            "keelway_webhook_deliveries", "Webhooks' deliveries, and what became of them.", ["sender", "result"],
            registry=self.registry,
        )  # fmt: skip
        self._since = datetime.now(UTC)
        self._counted: OrderedDict[str, None] = OrderedDict()

    def requested(self, method: str, code: int) -> None:
        """Count a request to the API server; 0 stands for one without an answer."""
        self.requests.labels(method, str(code)).inc()

    def watch_queue(self, depth: Callable[[], float], oldest: Callable[[], float]) -> None:
        """Show the queue of this process."""
        self._gauge("keelway_queue_depth", "Objects that wait for a pass.", depth)
        self._gauge("keelway_queue_oldest_seconds", "How long the first of them has waited.", oldest)

    def watch_age(self, resources: Mapping[Resource, Callable[[], float]]) -> None:
        """Show how long ago each watch last told something."""
        gauge = Gauge(
            "keelway_watch_age_seconds", "Since the last event of a watch.", ["resource"], registry=self.registry
        )
        for resource, age in resources.items():
            gauge.labels(str(resource)).set_function(age)

    def build_ended(self, build: Mapping[str, Any]) -> None:
        """Count a Build once, when its status says that it is over."""
        status, uid = build.get("status") or {}, build["metadata"]["uid"]
        if "finishedAt" not in status or uid in self._counted:
            return
        ended = datetime.fromisoformat(status["finishedAt"])
        if ended < self._since:
            return  # history, which another process has counted
        self._counted[uid] = None
        if len(self._counted) > _BUILDS_REMEMBERED:
            self._counted.popitem(last=False)
        result = "succeeded" if _succeeded(status) else "failed"
        self.builds.labels(result).inc()
        if "startedAt" in status:
            begun = datetime.fromisoformat(status["startedAt"])
            self.build_duration.labels(result).observe((ended - begun).total_seconds())

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(name, text, registry=self.registry).set_function(value)


def _succeeded(status: Mapping[str, Any]) -> bool:
    conditions = status.get("conditions") or ()
    return any(one["type"] == "Succeeded" and one["status"] == "True" for one in conditions)
