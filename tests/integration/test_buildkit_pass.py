"""The leader's pass over what buildkitd starts from (reconcile/buildkit.py), against a real API server.

The replicas are pods that no node takes: what counts is what their script says, and whether a Job is assigned to them.
"""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from keelway.children import names
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.connection import Connection
from keelway.cluster.gate import always_open
from keelway.pki import certificates
from keelway.pki.certificates import KeyPair
from keelway.reconcile import buildkit
from keelway.settings import Settings
from tests.kubectl import CONTEXT, Kubectl


@dataclass(frozen=True)
class Place:
    """The three namespaces of an installation of the test's own."""

    kubectl: Kubectl
    cluster: Cluster
    settings: Settings

    async def settle(self, now: datetime, **changed: Any) -> timedelta:
        return await buildkit.settle(self.cluster, self.settings.model_copy(update=changed), now)

    def secret(self, name: str) -> KeyPair:
        namespace = self.settings.namespace if name == buildkit.CA_SECRET else self.settings.buildkit_namespace
        data = self.kubectl.json("get", "secret", name, "-n", namespace)["data"]
        return KeyPair(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))

    def versions(self) -> list[str]:
        """Changes with every write to anything that the pass keeps."""
        where = self.settings.buildkit_namespace
        objects = [
            self.kubectl.json("get", "secret", buildkit.CA_SECRET, "-n", self.settings.namespace),
            self.kubectl.json("get", "secret", buildkit.TLS_SECRET, "-n", where),
            self.kubectl.json("get", "configmap", buildkit.REGISTRY_CONFIG_MAP, "-n", where),
        ]
        return [found["metadata"]["resourceVersion"] for found in objects]

    def add_replica(self, *, fresh: bool, started: bool = True) -> None:
        """Replica 0, whose container `boundary` says whether buildkitd began with today's files."""
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "buildkitd-0",
                    "namespace": self.settings.buildkit_namespace,
                    "labels": {"app.kubernetes.io/name": "buildkitd"},
                },
                "spec": {
                    "nodeSelector": {"keelway.dev/no-such-node": "true"},
                    "containers": [{"name": "buildkitd", "image": "none"}],
                },
            }
        )
        said = {"name": "boundary", "image": "", "imageID": "", "restartCount": 0}
        patch = {"status": {"initContainerStatuses": [said | {"ready": fresh, "started": started}]}}
        where = self.settings.buildkit_namespace
        kind = ("--subresource=status", "--type=merge")
        self.kubectl.run("patch", "pod", "buildkitd-0", "-n", where, *kind, "-p", json.dumps(patch))

    def has_replica(self) -> bool:
        where = self.settings.buildkit_namespace
        return bool(self.kubectl.run("get", "pods", "-o", "name", "-n", where).stdout)

    def add_job(self) -> None:
        """An unfinished build of replica 0."""
        pod = {"restartPolicy": "Never", "containers": [{"name": "build", "image": "none"}]}
        self.kubectl.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": "hello-1",
                    "namespace": self.settings.builds_namespace,
                    "labels": {names.BUILDKIT_REPLICA_LABEL: "0"},
                },
                "spec": {"suspend": True, "template": {"spec": pod}},
            }
        )


@pytest.fixture
def namespaces(kubectl: Kubectl) -> Iterator[dict[str, str]]:
    made = {part: f"test-{part}-{uuid4().hex[:8]}" for part in ("system", "builds", "buildkit")}
    kubectl.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": {"keelway.dev/test": "true"}}}
            for n in made.values()
        ]
    )
    yield made
    kubectl.run("delete", "namespace", *made.values(), "--wait=false")


@pytest.fixture
async def place(kubectl: Kubectl, namespaces: dict[str, str]) -> AsyncIterator[Place]:
    settings = Settings(
        registry="registry.example.com",
        namespace=namespaces["system"],
        builds_namespace=namespaces["builds"],
        buildkit_namespace=namespaces["buildkit"],
    )
    connection = await Connection.open(CONTEXT, kubectl.kubeconfig)
    yield Place(kubectl, Cluster(connection, Cache(), always_open()), settings)
    await connection.close()


async def test_the_first_pass_makes_all_and_the_next_writes_nothing(place: Place) -> None:
    now = datetime.now(UTC)
    assert await place.settle(now) == buildkit.INTERVAL
    server, authority = place.secret(buildkit.TLS_SECRET), place.secret(buildkit.CA_SECRET)
    replica = buildkit.replica_address(place.settings, 0)[1]
    assert certificates.is_good_server(server, authority, [replica])

    before = place.versions()
    await place.settle(now + timedelta(hours=1))
    assert place.versions() == before


async def test_an_authority_that_is_there_is_used(place: Place) -> None:
    first = await buildkit.authority(place.cluster, place.settings, datetime.now(UTC))
    assert await buildkit.authority(place.cluster, place.settings, datetime.now(UTC)) == first


async def test_the_certificate_is_renewed_at_two_thirds_by_the_same_authority(place: Place) -> None:
    now = datetime.now(UTC)
    await place.settle(now)
    authority, old = place.secret(buildkit.CA_SECRET), place.secret(buildkit.TLS_SECRET)
    await place.settle(now + timedelta(days=244))
    assert place.secret(buildkit.TLS_SECRET).certificate != old.certificate
    assert place.secret(buildkit.CA_SECRET).certificate == authority.certificate


async def test_an_authority_past_two_thirds_is_replaced_and_signs_anew(place: Place) -> None:
    now = datetime.now(UTC)
    await place.settle(now)
    old = place.secret(buildkit.CA_SECRET)
    await place.settle(now + timedelta(days=7 * 365))
    authority = place.secret(buildkit.CA_SECRET)
    assert authority.certificate != old.certificate
    assert certificates.is_good_server(place.secret(buildkit.TLS_SECRET), authority, [])


async def test_a_damaged_certificate_is_replaced(place: Place) -> None:
    await place.settle(datetime.now(UTC))
    where = place.settings.buildkit_namespace
    place.kubectl.run("patch", "secret", buildkit.TLS_SECRET, "-n", where, "-p", '{"data": {"tls.crt": "bm8="}}')
    await place.settle(datetime.now(UTC))
    server, authority = place.secret(buildkit.TLS_SECRET), place.secret(buildkit.CA_SECRET)
    assert certificates.is_good_server(server, authority, [])


async def test_another_registry_reaches_buildkitds_settings(place: Place) -> None:
    await place.settle(datetime.now(UTC))
    await place.settle(datetime.now(UTC), registry="registry.internal:5000/apps", registry_insecure=True)
    where = place.settings.buildkit_namespace
    data = place.kubectl.json("get", "configmap", buildkit.REGISTRY_CONFIG_MAP, "-n", where)["data"]
    assert data["endpoint"] == "registry.internal:5000"
    assert data["registry.toml"] == '[registry."registry.internal:5000"]\n  http = true\n'


async def test_an_idle_replica_that_began_with_other_files_is_replaced(place: Place) -> None:
    place.add_replica(fresh=False)
    assert await place.settle(datetime.now(UTC)) == buildkit.INTERVAL
    assert not place.has_replica()


async def test_a_fresh_replica_is_left_alone(place: Place) -> None:
    place.add_replica(fresh=True)
    await place.settle(datetime.now(UTC))
    assert place.has_replica()


async def test_a_replica_with_a_build_finishes_it_first(place: Place) -> None:
    place.add_replica(fresh=False)
    place.add_job()
    assert await place.settle(datetime.now(UTC)) == buildkit.BUSY_INTERVAL
    assert place.has_replica()

    place.kubectl.run("delete", "job", "hello-1", "-n", place.settings.builds_namespace)
    assert await place.settle(datetime.now(UTC)) == buildkit.INTERVAL
    assert not place.has_replica()


async def test_a_replica_that_has_not_started_is_left_alone(place: Place) -> None:
    place.add_replica(fresh=False, started=False)
    await place.settle(datetime.now(UTC))
    assert place.has_replica()
