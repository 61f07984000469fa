"""Secrets of user namespaces: read by name when an object names them, never listed, watched or cached (tenancy.md)."""

import base64

from keelway.api.resources import SECRETS
from keelway.cluster.client import Cluster
from keelway.errors import Waiting
from keelway.registry.credentials import Keyring

DOCKER_CONFIG_KEY = ".dockerconfigjson"


async def secret_data(cluster: Cluster, namespace: str, name: str) -> dict[str, bytes]:
    """The decoded data of a Secret. Raises Waiting SecretNotFound."""
    found = await cluster.get(SECRETS, namespace, name)
    if found is None:
        raise Waiting(
            "SecretNotFound",
            f"There is no Secret {name} in {namespace}. Create it; work goes on by itself then.",
        )
    return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


async def docker_config(cluster: Cluster, namespace: str, name: str) -> bytes:
    """The dockerconfigjson in a Secret. Raises Waiting SecretNotFound or InvalidSecret."""
    data = await secret_data(cluster, namespace, name)
    if DOCKER_CONFIG_KEY not in data:
        raise Waiting(
            "InvalidSecret",
            f"Secret {name} is not of type kubernetes.io/dockerconfigjson. "
            "Make it with `kubectl create secret docker-registry`.",
        )
    Keyring.parse(data[DOCKER_CONFIG_KEY])
    return data[DOCKER_CONFIG_KEY]
