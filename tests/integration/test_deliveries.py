"""A delivery is recorded on a real API server: in the status, and nowhere else, on that very Image."""

from collections.abc import AsyncIterator

import pytest

from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.connection import Connection
from keelway.cluster.gate import always_open
from keelway.engine.deliveries import Deliveries
from keelway.hooks.concerned import Delivery
from keelway.hooks.payload import GitPush
from keelway.registry.mirrors import Mirrors
from tests.kubectl import CONTEXT, JsonObject, Kubectl


@pytest.fixture
def writes() -> list[str]:
    return []


@pytest.fixture
async def deliveries(crds: Kubectl, writes: list[str]) -> AsyncIterator[Deliveries]:
    def observed(method: str, status: int) -> None:
        if method != "GET":
            writes.append(f"{method} {status}")

    connection = await Connection.open(CONTEXT, crds.kubeconfig, observed)
    try:
        async with Deliveries(Cluster(connection, Cache(()), always_open()), Mirrors(), pause_seconds=0) as one:
            yield one
    finally:
        await connection.close()


def _image(name: str, url: str) -> JsonObject:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": name},
        # An operator that runs on this cluster builds nothing of it.
        "spec": {"source": {"git": {"url": url, "revision": "main"}}, "suspend": True},
    }


async def test_a_delivery_is_recorded_in_the_status_of_the_images_concerned(
    crds: Kubectl, namespace: str, deliveries: Deliveries, writes: list[str]
) -> None:
    place = f"git.example/{namespace}/shop"
    crds.apply([_image("shop", f"https://{place}.git"), _image("other", f"https://{place}2.git")], namespace)
    before = crds.json("get", "image/shop", "-n", namespace)

    told = Delivery("github-0123456789abcdef", (GitPush(frozenset({place}), "refs/heads/main", "main"),))
    assert await deliveries.record(told) == 1
    assert await deliveries.record(told) == 1

    after = crds.json("get", "image/shop", "-n", namespace)
    assert after["status"]["lastDelivery"] == "github-0123456789abcdef"
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])
    other = crds.json("get", "image/other", "-n", namespace)
    assert "lastDelivery" not in other.get("status", {})
    assert writes == ["PATCH 200"]
