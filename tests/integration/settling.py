"""A settler on the dev cluster's real API server, with an owner and children in a namespace of the test's own.

No watch runs: `look` does what one would, so that each test says itself what the operator has seen.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keelway.api.resources import CONFIG_MAPS, DEPLOYMENTS, HPAS, SERVICES, Resource
from keelway.children.deployment import DEPLOYMENT
from keelway.children.hpa import HPA
from keelway.children.service import SERVICE
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.connection import Connection
from keelway.cluster.gate import always_open
from keelway.reconcile.children import Settled, Settler
from tests.kubectl import CONTEXT

Object = dict[str, Any]
LABELS = {"app.kubernetes.io/managed-by": "keelway"}
SELECTOR = {"app": "web"}


@dataclass
class Settling:
    """The owner stands for an App: a ConfigMap, so that no CRD is needed, with the spec that an App would have."""

    cluster: Cluster
    owner: Object
    writes: list[str]

    @property
    def namespace(self) -> str:
        return str(self.owner["metadata"]["namespace"])

    async def settle(
        self, service: Object | None = None, deployment: Object | None = None, hpa: Object | None = None
    ) -> Settled:
        """One pass, and what it wrote in `writes`; a child that is not given is not wanted."""
        self.writes.clear()
        settler = Settler(self.cluster)
        return await settler.settle(self.owner, [(SERVICE, service), (DEPLOYMENT, deployment), (HPA, hpa)])

    async def look(self, resource: Resource, name: str = "web") -> Object:
        """The object as it is; the cache sees it as by a watch."""
        found = await self.cluster.get(resource, self.namespace, name)
        assert found is not None
        return found

    async def gone(self, resource: Resource, name: str = "web") -> bool:
        return await self.cluster.get_metadata(resource, self.namespace, name) is None


@asynccontextmanager
async def settling(kubeconfig: Path, namespace: str) -> AsyncIterator[Settling]:
    """A settler whose every write is noted."""
    writes: list[str] = []

    def observed(method: str, status: int) -> None:
        if method != "GET":
            writes.append(f"{method} {status}")

    connection = await Connection.open(CONTEXT, kubeconfig, observed)
    try:
        cluster = Cluster(connection, Cache(), always_open())
        bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}}
        made = await cluster.create(CONFIG_MAPS, bare)
        made["metadata"]["generation"] = 1
        yield Settling(cluster, {**made, "spec": {"image": {"reference": "nginx"}}}, writes)
    finally:
        await connection.close()


def service(port: int = 80) -> Object:
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    return _child(SERVICES, {"selector": SELECTOR, "ports": ports})


def deployment(replicas: int | None = 0, port: int = 8080, **pod: Any) -> Object:
    container = {
        "name": "app",
        "image": "registry.invalid/app@sha256:" + "0" * 64,
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
        "resources": {"requests": {"cpu": "0.1", "memory": "128Mi"}},
    }
    template = {"metadata": {"labels": SELECTOR}, "spec": {"containers": [container], **pod}}
    spec: Object = {"selector": {"matchLabels": SELECTOR}, "template": template}
    if replicas is not None:
        spec["replicas"] = replicas
    return _child(DEPLOYMENTS, spec)


def hpa() -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    return _child(HPAS, {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 20, "metrics": [metric]})


def _child(resource: Resource, spec: Object) -> Object:
    metadata = {"name": "web", "labels": LABELS}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
