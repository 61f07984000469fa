"""The cluster that is measured on, and an empty state of it before each measurement."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import objects
from bench.audit import AuditLog
from bench.kube import Kube, at_once, create_all, until
from devcluster import outside
from devcluster.settings import Settings
from keelway.api.resources import (
    APPS,
    BUILDS,
    DEPLOYMENTS,
    HPAS,
    IMAGES,
    JOBS,
    PODS,
    SECRETS,
    SERVICES,
    CONFIG_MAPS,
    NAMESPACES,
    Resource,
)
from keelway.cluster.connection import Connection

REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
_OWNERS: Final = (APPS, IMAGES)
_OWNED: Final = (BUILDS, HPAS, SERVICES, DEPLOYMENTS, REPLICA_SETS, PODS, ENDPOINT_SLICES)
_POLICY: Final = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
_GONE_SECONDS: Final = 300.0
# Leases and heartbeats of the cluster itself are some 3 writes a second.
_QUIET_WRITES: Final = 20
_QUIET_SECONDS: Final = 3
_QUIET_WITHIN_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Ground:
    """One cluster; `work` is a directory for kubeconfigs and logs."""

    settings: Settings
    kube: Kube
    work: Path

    @property
    def kubeconfig(self) -> Path:
        """The operator's service account's."""
        return self.work / "kubeconfig-operator"

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.settings)

    def operator(self, **environment: str) -> outside.Operator:
        """An operator that is not started yet, with a log of its own."""
        log = self.work / "operator.log"
        log.write_bytes(b"")
        return outside.Operator(self.settings, self.kubeconfig, log, environment=environment)

    async def namespace(self, name: str, pods: bool = False) -> None:
        """Make a namespace, with an Image that has a version."""
        await self.kube.ensure(NAMESPACES.path(None, name), objects.namespace(name, pods))
        await self.kube.create(IMAGES, objects.image(name))
        await self.kube.patch(IMAGES, name, objects.IMAGE, objects.image_status(name), "status")

    async def apps(self, namespace: str, count: int) -> None:
        """Make Apps; they follow the namespace's Image."""
        await create_all(self.kube, APPS, (objects.app(namespace, name) for name in objects.app_names(count)))

    async def clear(self) -> None:
        """Remove all Apps and Images of the cluster with what was made for them, and wait until it is at rest."""
        namespaces = {one["metadata"]["namespace"] for kind in _OWNERS for one in await self.kube.list_all(kind)}
        namespaces |= {one["metadata"]["name"] for one in await self.kube.list_all(NAMESPACES, selector=objects.NO_PODS)}
        await self._empty(namespaces)
        await self.quiet()

    async def _empty(self, namespaces: set[str]) -> None:
        pairs = [(kind, one) for one in namespaces for kind in _OWNERS]
        await at_once(lambda pair: self.kube.delete_all(*pair), pairs)
        pairs = [(kind, one) for one in namespaces for kind in _OWNED]
        # With their owners gone Kubernetes removes them by itself; asked for, it is faster.
        await at_once(lambda pair: self.kube.delete_all(*pair), pairs)
        for kind, one in pairs:
            await until(f"{kind} of {one} gone", lambda k=kind, n=one: self._none(k, n), _GONE_SECONDS)

    async def _none(self, resource: Resource, namespace: str) -> bool:
        found = await self.kube.list_all(resource, namespace)
        return all(one["metadata"]["name"] in ("kubernetes",) for one in found)

    async def quiet(self) -> None:
        """Wait until nobody has written much for some seconds: not the garbage collector, nor any controller."""
        calm = 0
        last = await self.kube.revision()

        async def is_calm() -> bool:
            nonlocal calm, last
            await asyncio.sleep(1)
            now = await self.kube.revision()
            calm, last = (calm + 1 if now - last <= _QUIET_WRITES else 0), now
            return calm >= _QUIET_SECONDS

        await until("a cluster at rest", is_calm, _QUIET_WITHIN_SECONDS, every=0)


@asynccontextmanager
async def prepared(settings: Settings, work: Path) -> AsyncIterator[Ground]:
    """The ground of the cluster of `settings`, empty, with the operator's rights and CRDs but no operator."""
    work.mkdir(parents=True, exist_ok=True)
    log = work / "prepare.log"
    outside.install(settings, log, "base")
    connection = await Connection.open(settings.context, settings.kubeconfig)
    try:
        ground = Ground(settings, Kube(connection), work)
        outside.write_kubeconfig(settings, ground.kubeconfig, log)
        policy, binding = objects.no_pods()
        await ground.kube.ensure(f"{_POLICY}/{objects.NO_PODS}", policy)
        await ground.kube.ensure(f"{_POLICY.removesuffix('ies')}ybindings/{objects.NO_PODS}", binding)
        await ground.clear()
        yield ground
        await ground.clear()
    finally:
        await connection.close()
