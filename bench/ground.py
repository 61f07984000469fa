"""The cluster that is measured on, and an empty state of it before each measurement."""

import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import objects
from bench.audit import AuditLog
from bench.kube import Kube, at_once, create_all, quiet, until
from devcluster import outside
from devcluster.outside import Operator
from devcluster.settings import Settings
from keelway.api.resources import (
    APPS,
    BUILDS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    HPAS,
    IMAGES,
    JOBS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from keelway.cluster.connection import Connection

MANIFESTS: Final = "base"
"""Under manifests/: no registry, for what is built here is built by nobody."""
BUILDS_NAMESPACE: Final = "keelway-builds"
_BUILDKIT: Final = ("keelway-buildkit", "buildkitd")
_REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
_STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
_OWNERS: Final = (APPS, IMAGES)
_OWNED: Final = (BUILDS, HPAS, SERVICES, DEPLOYMENTS, _REPLICA_SETS, PODS, CONFIG_MAPS, SECRETS)
_POLICIES: Final = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
_BINDINGS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings"
_GONE_SECONDS: Final = 600.0
# Made in every namespace by Kubernetes itself, and again where it is deleted.
_STANDING: Final = frozenset({"kube-root-ca.crt"})
_LOGS: Final = "operator-*.log"
KEELWAY: Final = (sys.executable, "-m", "keelway")


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
        """What its API server says of that account."""
        return AuditLog(self.settings)

    def operator(self, environment: Mapping[str, str] | None = None, program: tuple[str, ...] = KEELWAY) -> Operator:
        """An operator that is not started yet, with a log of its own: operator-1.log is the first of a run."""
        log = self.work / f"operator-{len(list(self.work.glob(_LOGS))) + 1}.log"
        log.touch()
        return Operator(self.settings, self.kubeconfig, log, environment=environment or {}, program=program)

    async def namespace(self, name: str, pods: bool = False) -> None:
        """Make a namespace, with an Image that has a version."""
        await self.bare_namespace(name, pods)
        await self.kube.create(IMAGES, objects.image(name))
        await self.kube.patch(IMAGES, name, objects.IMAGE, objects.image_status(name), "status")

    async def bare_namespace(self, name: str, pods: bool = False) -> None:
        """Make a namespace, or use the one of before."""
        await self.kube.ensure(NAMESPACES.path(None, name), objects.namespace(name, pods))

    async def apps(self, namespace: str, count: int) -> None:
        """Make Apps; they follow the namespace's Image."""
        await create_all(self.kube, APPS, (objects.app(namespace, name) for name in objects.app_names(count)))

    async def clear(self) -> None:
        """Remove all Apps and Images of the cluster with what was made for them, and wait until it is at rest."""
        namespaces = {one["metadata"]["name"] for one in await self.kube.list_all(NAMESPACES, selector=objects.OURS)}
        # Also of those who tried something by hand: an operator works for the whole cluster.
        namespaces |= {one["metadata"]["namespace"] for kind in _OWNERS for one in await self.kube.list_all(kind)}
        await self.remove((kind, one) for one in namespaces for kind in _OWNERS)
        # With their owners gone Kubernetes removes them by itself; asked for, it is faster.
        await self.remove([*((kind, one) for one in namespaces for kind in _OWNED), (JOBS, BUILDS_NAMESPACE)])
        await self.quiet()

    async def remove(self, collections: Iterable[tuple[Resource, str]]) -> None:
        """Delete all that these kinds have in these namespaces, and wait until it is gone."""
        pairs = list(collections)
        await at_once(lambda pair: self.kube.delete_all(*pair), pairs)

        async def gone(pair: tuple[Resource, str]) -> None:
            await until(f"{pair[0]} of {pair[1]} gone", lambda: self._has_none(*pair), _GONE_SECONDS)

        await at_once(gone, pairs)

    async def _has_none(self, resource: Resource, namespace: str) -> bool:
        return not await self.kube.names(resource, namespace) - _STANDING

    async def quiet(self) -> None:
        """Wait until nobody has written much for some seconds: not the garbage collector, nor any controller."""
        await quiet(self.kube)


@asynccontextmanager
async def prepared(settings: Settings, work: Path) -> AsyncIterator[Ground]:
    """The ground of the cluster of `settings`, empty, with the operator's rights and CRDs but no operator."""
    log = _prepare(settings, work)
    connection = await Connection.open(settings.context, settings.kubeconfig)
    try:
        ground = Ground(settings, Kube(connection), work)
        outside.write_kubeconfig(settings, ground.kubeconfig, log)
        # Its idle pod would only take memory and processor from what is measured.
        await ground.kube.patch(_STATEFUL_SETS, *_BUILDKIT, {"spec": {"replicas": 0}})
        for path, obj in zip((_POLICIES, _BINDINGS), objects.no_pods(), strict=True):
            await ground.kube.ensure(f"{path}/{objects.NO_PODS}", obj)
        await ground.clear()
        yield ground
        await ground.clear()
    finally:
        await connection.close()


def _prepare(settings: Settings, work: Path) -> Path:
    """Install what the operator needs; gives the log."""
    work.mkdir(parents=True, exist_ok=True)
    for old in work.glob(_LOGS):
        old.unlink()
    log = work / "prepare.log"
    outside.install(settings, log, MANIFESTS)
    return log
