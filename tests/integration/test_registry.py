"""The registry client against the dev cluster's real registry (distribution), through its NodePort."""

import hashlib
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from keelway.errors import Forbidden, NotFound
from keelway.registry.client import Registry
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference

HOST = "127.0.0.1:30500"
LOGIN = ("keelway", "keelway-dev")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
KEYRING = Keyring.parse(json.dumps({"auths": {HOST: {"username": LOGIN[0], "password": LOGIN[1]}}}))


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    async with Registry(frozenset({HOST})) as client:
        yield client


@pytest.fixture
def repository() -> Reference:
    return Reference(HOST, f"test/{uuid4().hex[:12]}")


def push_image(repository: Reference, user: str) -> str:
    """Pushes an image without layers by the distribution API's own words; gives its digest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"User": user}}).encode()
    base = f"http://{HOST}/v2/{repository.repository}"
    with httpx.Client(auth=LOGIN) as http:
        upload = http.post(f"{base}/blobs/uploads/").raise_for_status().headers["location"]
        put = http.put(httpx.URL(upload).copy_merge_params({"digest": digest_of(config)}), content=config)
        put.raise_for_status()
        descriptor = {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(config),
            "size": len(config),
        }
        body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []}).encode()
        headers = {"Content-Type": MANIFEST}
        http.put(f"{base}/manifests/{digest_of(body)}", content=body, headers=headers).raise_for_status()
    return digest_of(body)


async def test_a_pushed_image_is_read_tagged_and_resolved(registry: Registry, repository: Reference) -> None:
    first, second = push_image(repository, "1000"), push_image(repository, "app")
    assert (await registry.image_config(repository.at(second), KEYRING)).user == "app"

    await registry.tag(repository, first, "v1", KEYRING)
    await registry.tag(repository, first, "latest", KEYRING)
    await registry.tag(repository, second, "latest", KEYRING)
    await registry.tag(repository, second, "latest", KEYRING)

    tagged = Reference(HOST, repository.repository, "v1")
    assert await registry.resolve(tagged, KEYRING) == first
    assert await registry.resolve(repository, KEYRING) == second
    assert await registry.tags(repository, KEYRING) == ["latest", "v1"]


async def test_what_is_not_there_is_not_found(registry: Registry, repository: Reference) -> None:
    with pytest.raises(NotFound, match="NotFound"):
        await registry.resolve(repository, KEYRING)
    with pytest.raises(NotFound, match="NotFound"):
        await registry.tags(repository, KEYRING)


@pytest.mark.parametrize(
    "keyring",
    [Keyring(), Keyring.parse(json.dumps({"auths": {HOST: {"username": "keelway", "password": "wrong"}}}))],
    ids=["none", "wrong"],
)
async def test_without_the_right_credentials_nothing_is_read(
    registry: Registry, repository: Reference, keyring: Keyring
) -> None:
    push_image(repository, "1000")
    with pytest.raises(Forbidden, match="Unauthorized"):
        await registry.resolve(repository, keyring)
