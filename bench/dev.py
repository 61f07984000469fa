"""The dev cluster, to which Keelway is deployed with all that it stands on: a real kubelet, BuildKit and registry.

`figures/builds.py` and `figures/many_builds.py` measure here, each in a namespace of its own that is gone afterwards;
all else is measured on the cluster of `ground.py`. Neighbours: `buildctl.py` and `asker.py` are pods put here.
"""

import asyncio
import contextlib
import secrets
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench import objects, web
from bench.errors import BenchError
from bench.kube import Kube, Object, until
from devcluster import kind
from devcluster.settings import Settings
from keelway.api.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, PODS, Resource
from keelway.cluster.connection import Connection
from keelway.errors import NotFound

_OPERATOR: Final = ("keelway-system", "keelway")
_BUILDS_NAMESPACE: Final = "keelway-builds"
_KUBECTL_SECONDS: Final = 60.0
_READY_SECONDS: Final = 120.0
_GONE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Deployed:
    """What the operator's administrator has set (operator/keelway/settings.py)."""

    image: str
    max_builds: int
    builds_namespace: str

    @classmethod
    def of(cls, data: Mapping[str, str]) -> "Deployed":
        """From the ConfigMap that the operator's environment is made of."""
        return cls(
            data["KEELWAY_OPERATOR_IMAGE"],
            int(data["KEELWAY_MAX_BUILDS"]),
            data.get("KEELWAY_BUILDS_NAMESPACE", _BUILDS_NAMESPACE),
        )


@dataclass(frozen=True)
class Dev:
    """The cluster."""

    settings: Settings
    kube: Kube
    deployed: Deployed

    def kubectl(self, *arguments: str) -> list[str]:
        """A command line of kubectl for this cluster."""
        return kind.kubectl(self.settings, *arguments)

    async def run_kubectl(self, *arguments: str, text: str = "", seconds: float = _KUBECTL_SECONDS) -> str:
        """What it prints, given `text`. Raises BenchError where it fails, or takes longer."""
        process = await asyncio.create_subprocess_exec(*self.kubectl(*arguments), stdin=PIPE, stdout=PIPE, stderr=PIPE)
        shown = f"kubectl {' '.join(word if len(word) < 100 else '...' for word in arguments)}"
        try:
            told, complaints = await asyncio.wait_for(process.communicate(text.encode()), seconds)
        except TimeoutError as error:
            raise BenchError(f"{shown}: not within {seconds:.0f} s") from error
        finally:
            await ended(process)
        if process.returncode != 0:
            raise BenchError(f"{shown}: {complaints.decode(errors='replace')}")
        return told.decode()

    @asynccontextmanager
    async def pod(self, obj: Object) -> AsyncIterator[None]:
        """A pod, ready, while the block lasts."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        await self.kube.create(PODS, obj)

        async def is_ready() -> bool:
            return web.is_ready(await self.kube.get(PODS, namespace, name))

        try:
            await until(f"pod {name} of {namespace} is ready", is_ready, _READY_SECONDS)
            yield
        finally:
            await self.kube.delete(PODS, namespace, name)

    @asynccontextmanager
    async def tenant(self) -> AsyncIterator["Tenant"]:
        """A new namespace while the block lasts, and until it is gone. What was so in it is told of a failure."""
        # Of a name that no earlier run had: its repositories are still in the registry.
        name = f"bench-{secrets.token_hex(4)}"
        await self.kube.ensure(NAMESPACES.path(None, name), objects.namespace(name, pods=True))
        try:
            yield Tenant(self, name)
        except Exception:
            await self._tell(name)
            raise
        finally:
            await self.remove_namespace(name)

    async def remove_namespace(self, name: str) -> None:
        """Delete it with all that is in it, and wait for that."""
        await self.kube.delete(NAMESPACES, None, name)

        async def is_gone() -> bool:
            try:
                await self.kube.get(NAMESPACES, None, name)
            except NotFound:
                return True
            return False

        await until(f"namespace {name} is gone", is_gone, _GONE_SECONDS)

    async def _tell(self, namespace: str) -> None:
        for what in (
            ("images,builds,apps,pods", "--namespace", namespace),
            ("events", "--namespace", namespace, "--sort-by=.lastTimestamp"),
            ("jobs,pods", "--namespace", self.deployed.builds_namespace),
        ):
            try:
                print(await self.run_kubectl("get", *what), flush=True)
            except BenchError as error:
                print(error, flush=True)


@dataclass(frozen=True)
class Tenant:
    """A user's namespace called `name`."""

    dev: Dev
    name: str

    async def apply(self, resource: Resource, obj: Object) -> None:
        """Server-side apply, as `kubectl apply --server-side` does it."""
        await self.dev.kube.ensure(resource.path(self.name, obj["metadata"]["name"]), obj)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Dev]:
    """The dev cluster as `make deploy` left it. Raises BenchError where Keelway is not there."""
    if not settings.kubeconfig.exists():
        raise BenchError(f"there is no cluster {settings.context}. Run `make deploy`.")
    connection = await Connection.open(settings.context, settings.kubeconfig)
    try:
        kube = Kube(connection)
        dev = Dev(settings, kube, await _deployed(kube))
        for left in await kube.names(NAMESPACES, selector=objects.OURS):
            await dev.remove_namespace(left)
        yield dev
    finally:
        await connection.close()


async def _deployed(kube: Kube) -> Deployed:
    try:
        operator = await kube.get(DEPLOYMENTS, *_OPERATOR)
    except NotFound as error:
        raise BenchError("Keelway is not deployed to the dev cluster. Run `make deploy`.") from error
    if not (operator.get("status") or {}).get("availableReplicas"):
        raise BenchError("the operator in the dev cluster does not run. Run `make deploy`.")
    container: dict[str, Any] = operator["spec"]["template"]["spec"]["containers"][0]
    # Its name ends with a hash of what is in it.
    name = container["envFrom"][0]["configMapRef"]["name"]
    return Deployed.of((await kube.get(CONFIG_MAPS, operator["metadata"]["namespace"], name))["data"])


async def ended(process: Process) -> None:
    """Wait for its end; brought about where it has not come by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
