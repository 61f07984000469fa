"""Whose registry credentials are used for what: the operator's for a namespace's own repositories, and nothing else."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keelway.api.resources import SECRETS
from keelway.cluster.cache import Cache
from keelway.cluster.client import Cluster
from keelway.cluster.gate import always_open
from keelway.errors import Waiting
from keelway.reconcile.credentials import Credentials
from keelway.registry.credentials import Login
from keelway.registry.reference import Reference
from keelway.settings import Settings
from tests.unit.cluster.apiserver import ApiServer, connected

REGISTRY = "registry.example.com/apps"
OPERATORS, USERS = Login("operator", "o"), Login("user", "u")


def docker_config(login: Login, *keys: str) -> bytes:
    auths = {key: {"username": login.username, "password": login.password} for key in keys}
    return json.dumps({"auths": auths}).encode()


@pytest.fixture
async def credentials(tmp_path: Path) -> AsyncIterator[Credentials]:
    """Of an operator with a registry; in team-b lies the Secret `pull`, for that registry and another."""
    file = tmp_path / "config.json"
    file.write_bytes(docker_config(OPERATORS, "registry.example.com", "elsewhere.example.com"))
    api = ApiServer()
    config = docker_config(USERS, "registry.example.com/apps/team-b", "registry.example.com", "other.example.com")
    data = {".dockerconfigjson": base64.b64encode(config).decode()}
    api.put(SECRETS, {"metadata": {"name": "pull", "namespace": "team-b"}, "data": data})
    async with connected(api) as connection:
        cluster = Cluster(connection, Cache(), always_open())
        yield Credentials(cluster, Settings(registry=REGISTRY, registry_config=file))


async def login(credentials: Credentials, reference: str, *secrets: str) -> Login | None:
    parsed = Reference.parse(reference)
    return (await credentials.keyring_for(parsed, "team-b", secrets)).login(parsed)


@pytest.mark.parametrize("secrets", [(), ("pull",)], ids=["alone", "beside a Secret of the user's"])
async def test_a_namespaces_own_images_are_read_as_the_operator(credentials: Credentials, secrets: tuple[str]) -> None:
    assert await login(credentials, f"{REGISTRY}/team-b/hello:v1", *secrets) == OPERATORS


@pytest.mark.parametrize("repository", ["team-a/hello", "team-bb/hello", "hello"])
async def test_other_images_of_the_registry_are_read_with_the_users_secret_only(
    credentials: Credentials, repository: str
) -> None:
    assert await login(credentials, f"{REGISTRY}/{repository}:v1") is None
    assert await login(credentials, f"{REGISTRY}/{repository}:v1", "pull") == USERS


async def test_other_registries_never_see_the_operators_credentials(credentials: Credentials) -> None:
    assert await login(credentials, "elsewhere.example.com/team-b/hello:v1") is None
    assert await login(credentials, "other.example.com/team-b/hello:v1", "pull") == USERS


async def test_a_build_pushes_to_the_operators_registry_as_the_operator_whatever_the_user_names(
    credentials: Credentials,
) -> None:
    keyring = await credentials.keyring("team-b", ("pull",))
    assert keyring.login(Reference.parse(f"{REGISTRY}/team-b/hello")) == OPERATORS
    assert keyring.login(Reference.parse("other.example.com/hello")) == USERS


async def test_a_secret_that_is_not_there_is_named(credentials: Credentials) -> None:
    with pytest.raises(Waiting, match="There is no Secret missing in team-b"):
        await credentials.keyring("team-b", ("missing",))
