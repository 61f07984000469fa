"""What buildkitd starts from: the build CA, the daemon's certificate, and the registry that it may reach.

The leader runs `settle` when it begins to lead and then after what it returns; an Image's pass asks
`authority` for the CA that signs its Job's client certificate. buildkitd and the script beside it
(manifests/base/buildkit) read a Secret and a ConfigMap of their own namespace, which are written here,
because there is one place for an administrator to name the registry: the operator's settings. buildkitd
never reloads: a replica whose script says that it began with other files is deleted while it is idle, and
its StatefulSet brings it back.

Neighbours: `pki/` makes and judges certificates, `cluster/` is the way to the API server.
"""

import base64
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from keelway.api.resources import CONFIG_MAPS, JOBS, PODS, SECRETS, Resource
from keelway.children import names
from keelway.cluster.client import Cluster
from keelway.errors import AlreadyExists, Conflict
from keelway.pki import certificates
from keelway.pki.certificates import KeyPair
from keelway.settings import Settings

INTERVAL: Final = timedelta(minutes=5)
"""How soon `settle` wants to run again: four reads where nothing is to be done."""
BUSY_INTERVAL: Final = timedelta(minutes=1)
"""The same, while a replica that must begin anew has a build to finish."""

CA_SECRET: Final = "keelway-ca"
TLS_SECRET: Final = "buildkitd-tls"
REGISTRY_CONFIG_MAP: Final = "buildkitd-registry"
REPLICA_SELECTOR: Final = "app.kubernetes.io/name=buildkitd"
BOUNDARY_CONTAINER: Final = "boundary"


async def settle(cluster: Cluster, settings: Settings, now: datetime) -> timedelta:
    """Make CA, certificate and registry settings as they should be; replace idle replicas that began otherwise.

    Returns the time after which it wants to run again. Raises what `cluster` raises.
    """
    signer = await authority(cluster, settings, now)
    await _settle_certificate(cluster, settings, signer, now)
    await _settle_registry(cluster, settings)
    return INTERVAL if await _replace_idle_replicas(cluster, settings) else BUSY_INTERVAL


async def authority(cluster: Cluster, settings: Settings, now: datetime) -> KeyPair:
    """The build CA; made where there is none, replaced where it is damaged or past two thirds of its life."""
    found = await cluster.get(SECRETS, settings.namespace, CA_SECRET)
    if found is None:
        made = certificates.new_authority(now)
        try:
            await cluster.create(SECRETS, _authority_secret(settings, made))
        except AlreadyExists:
            # Another replica was quicker. Its CA counts, or two daemons would trust different ones.
            found = await cluster.get(SECRETS, settings.namespace, CA_SECRET)
        else:
            return made
    pair = _key_pair(found)
    if certificates.is_sound_authority(pair) and not certificates.needs_renewal(pair.certificate, now):
        return pair
    made = certificates.new_authority(now)
    await cluster.apply(SECRETS, _authority_secret(settings, made))
    return made


def replica_address(settings: Settings, replica: int) -> tuple[str, str]:
    """Where replica 0, 1, ... of buildkitd is reached, and the name that its certificate carries."""
    name = f"buildkitd-{replica}.buildkitd.{settings.buildkit_namespace}.svc"
    return f"tcp://{name}:1234", name


def registry_data(settings: Settings) -> dict[str, str]:
    """The ConfigMap: `endpoint` ("host:port", spared by the network rules) and its part of buildkitd.toml."""
    host, _, port = settings.registry_host.partition(":")
    insecure = settings.registry_insecure
    return {
        "endpoint": f"{host}:{port or (80 if insecure else 443)}",
        "registry.toml": f'[registry."{settings.registry_host}"]\n  http = {str(insecure).lower()}\n',
    }


async def _settle_certificate(cluster: Cluster, settings: Settings, signer: KeyPair, now: datetime) -> None:
    server_names = [f"*.buildkitd.{settings.buildkit_namespace}.svc"] + [
        replica_address(settings, replica)[1] for replica in range(settings.buildkit_replicas)
    ]
    found = await cluster.get(SECRETS, settings.buildkit_namespace, TLS_SECRET)
    server = _key_pair(found)
    if (
        _decoded(found, "ca.crt") == signer.certificate
        and certificates.is_good_server(server, signer, server_names)
        and not certificates.needs_renewal(server.certificate, now)
    ):
        return
    server = certificates.issue_server(signer, server_names, now)
    data = {"ca.crt": signer.certificate, "tls.crt": server.certificate, "tls.key": server.key}
    await cluster.apply(SECRETS, _secret(settings.buildkit_namespace, TLS_SECRET, data))


async def _settle_registry(cluster: Cluster, settings: Settings) -> None:
    wanted = registry_data(settings)
    found = await cluster.get(CONFIG_MAPS, settings.buildkit_namespace, REGISTRY_CONFIG_MAP)
    if found is None or found.get("data") != wanted:
        manifest = _manifest(CONFIG_MAPS, settings.buildkit_namespace, REGISTRY_CONFIG_MAP)
        await cluster.apply(CONFIG_MAPS, manifest | {"data": wanted})


async def _replace_idle_replicas(cluster: Cluster, settings: Settings) -> bool:
    """Delete the idle replicas that are not fresh; False where one has to finish a build first."""
    all_fresh = True
    async for pod in cluster.list(PODS, settings.buildkit_namespace, label_selector=REPLICA_SELECTOR):
        metadata = pod["metadata"]
        if metadata.get("deletionTimestamp") or not _began_with_other_files(pod):
            continue
        if await _has_unfinished_job(cluster, settings, metadata["name"]):
            all_fresh = False
            continue
        with contextlib.suppress(Conflict):  # replaced meanwhile, which is as good
            await cluster.delete(PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"])
    return all_fresh


def _began_with_other_files(pod: Mapping[str, Any]) -> bool:
    """What the readiness of the container `boundary` says, once that has started."""
    statuses = pod.get("status", {}).get("initContainerStatuses") or ()
    return any(
        status["name"] == BOUNDARY_CONTAINER and status.get("started") and not status["ready"] for status in statuses
    )


async def _has_unfinished_job(cluster: Cluster, settings: Settings, pod_name: str) -> bool:
    selector = f"{names.BUILDKIT_REPLICA_LABEL}={pod_name.rpartition('-')[2]}"
    async for job in cluster.list(JOBS, settings.builds_namespace, label_selector=selector):
        conditions = job.get("status", {}).get("conditions") or ()
        if not any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions):
            return True
    return False


def _authority_secret(settings: Settings, pair: KeyPair) -> dict[str, Any]:
    return _secret(settings.namespace, CA_SECRET, {"tls.crt": pair.certificate, "tls.key": pair.key})


def _secret(namespace: str, name: str, data: Mapping[str, bytes]) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return _manifest(SECRETS, namespace, name) | {"type": "kubernetes.io/tls", "data": encoded}


def _manifest(resource: Resource, namespace: str, name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": names.MANAGER, "app.kubernetes.io/component": "build"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _key_pair(secret: Mapping[str, Any] | None) -> KeyPair:
    """What the Secret holds, as it is; `pki/` judges it."""
    return KeyPair(certificate=_decoded(secret, "tls.crt"), key=_decoded(secret, "tls.key"))


def _decoded(secret: Mapping[str, Any] | None, key: str) -> bytes:
    return base64.b64decode(((secret or {}).get("data") or {}).get(key, ""))
