"""The registry client against a small registry in the test's process; the real one is in tests/integration."""

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from keelway.errors import Forbidden, KeelwayError, NotFound, Transient, Waiting
from keelway.registry.client import Registry
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference
from tests.unit.registry.smallregistry import (
    INDEX,
    MACHINE,
    MANIFEST,
    Connected,
    SmallRegistry,
    TokenRegistry,
    connect,
    ring,
)
from tests.unit.web import serve


@pytest.fixture
def small() -> SmallRegistry:
    return SmallRegistry()


@pytest.fixture
async def connected(small: SmallRegistry) -> AsyncIterator[Connected]:
    async for connection in connect(small.handle):
        yield connection


async def test_a_tag_resolves_to_the_digest_by_one_head(small: SmallRegistry, connected: Connected) -> None:
    digest = small.add_image("1000", "v1")
    assert await connected.client.resolve(connected.tagged("v1"), Keyring()) == digest
    assert small.calls == ["HEAD /v2/team/app/manifests/v1"]


async def test_a_registry_that_does_not_say_the_digest_is_read(small: SmallRegistry, connected: Connected) -> None:
    digest = small.add_image("1000", "v1")
    small.says_digest = False
    assert await connected.client.resolve(connected.tagged("v1"), Keyring()) == digest


async def test_a_digest_is_taken_at_its_word(small: SmallRegistry, connected: Connected) -> None:
    digest = "sha256:" + "0" * 64
    assert await connected.client.resolve(connected.image.at(digest), Keyring()) == digest
    assert small.calls == []


async def test_the_config_tells_when_and_of_what_it_was_made(small: SmallRegistry, connected: Connected) -> None:
    labels = {"org.opencontainers.image.revision": "abc"}
    digest = small.add_config({"created": "2026-01-02T03:04:05.123456789Z", "config": {"Labels": labels}})
    config = await connected.client.image_config(connected.image.at(digest), Keyring())
    assert (str(config.created), config.revision) == ("2026-01-02 03:04:05.123456+00:00", "abc")


@pytest.mark.parametrize("odd", [{}, {"created": 7, "config": None}, {"created": "then", "config": {"Labels": ["x"]}}])
async def test_a_config_may_tell_nothing(small: SmallRegistry, connected: Connected, odd: dict[str, object]) -> None:
    config = await connected.client.image_config(connected.image.at(small.add_config(odd)), Keyring())
    assert (config.user, config.created, config.revision) == ("", None, None)


@pytest.mark.parametrize(("user", "expected"), [("app:app", "app:app"), ("", ""), (None, "")])
async def test_the_config_tells_the_user(
    small: SmallRegistry, connected: Connected, user: str | None, expected: str
) -> None:
    digest = small.add_image(user)
    assert (await connected.client.image_config(connected.image.at(digest), Keyring())).user == expected


async def test_out_of_an_index_the_image_of_this_platform_is_read(small: SmallRegistry, connected: Connected) -> None:
    own, other = small.add_image("own"), small.add_image("other")
    entries = [
        {"digest": other, "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": other, "platform": {"os": "linux", "architecture": "s390x"}},
        {"digest": own, "platform": {"os": "linux", "architecture": MACHINE}},
    ]
    small.add({"manifests": entries}, INDEX, "multi")
    assert (await connected.client.image_config(connected.tagged("multi"), Keyring())).user == "own"


@pytest.mark.parametrize("platform", ["unknown/unknown", f"linux/{MACHINE}"])
async def test_an_attestation_in_an_index_is_never_taken_for_the_image(
    small: SmallRegistry, connected: Connected, platform: str
) -> None:
    own, attestation = small.add_image("own"), small.add_image("attestation")
    system, _, machine = platform.partition("/")
    entries = [
        {
            "digest": attestation,
            "platform": {"os": system, "architecture": machine},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": own},
        },
        {"digest": own, "platform": {"os": "linux", "architecture": MACHINE}},
    ]
    index = small.add({"manifests": entries}, INDEX, "build-1")
    assert (await connected.client.image_config(connected.image.at(index), Keyring())).user == "own"
    assert await connected.client.resolve(connected.tagged("build-1"), Keyring()) == index


async def test_tagging_an_index_keeps_it_an_index(small: SmallRegistry, connected: Connected) -> None:
    entries = [{"digest": small.add_image("own"), "platform": {"os": "linux", "architecture": MACHINE}}]
    index = small.add({"manifests": entries}, INDEX)
    await connected.client.tag(connected.image, index, "v1", Keyring())
    assert small.manifests["v1"] == small.manifests[index]
    assert small.manifests["v1"][1] == INDEX


async def test_an_index_without_this_platform_waits(small: SmallRegistry, connected: Connected) -> None:
    small.add({"manifests": [{"digest": "x", "platform": {"os": "plan9", "architecture": "z80"}}]}, INDEX, "multi")
    with pytest.raises(Waiting, match="UnreadableImage"):
        await connected.client.image_config(connected.tagged("multi"), Keyring())


async def test_content_that_its_digest_denies_is_not_believed(small: SmallRegistry, connected: Connected) -> None:
    digest = small.add_image("1000")
    small.manifests[digest] = (b'{"config": {}}', MANIFEST)
    with pytest.raises(Transient, match="DigestMismatch"):
        await connected.client.image_config(connected.image.at(digest), Keyring())


async def test_tags_are_read_page_by_page(small: SmallRegistry, connected: Connected) -> None:
    names = [f"v{number}" for number in range(1, 8)]
    for name in names:
        small.add_image("1000", name)
    small.page = 3
    assert await connected.client.tags(connected.image, Keyring()) == names
    assert len(small.calls) == 3


async def test_tagging_puts_the_same_manifest_under_the_tag(small: SmallRegistry, connected: Connected) -> None:
    digest = small.add_image("1000")
    await connected.client.tag(connected.image, digest, "v1", Keyring())
    assert small.manifests["v1"] == small.manifests[digest]


async def test_tagging_again_writes_nothing(small: SmallRegistry, connected: Connected) -> None:
    digest = small.add_image("1000", "v1")
    await connected.client.tag(connected.image, digest, "v1", Keyring())
    assert small.calls == ["HEAD /v2/team/app/manifests/v1"]


async def test_tagging_moves_a_tag_that_names_something_else(small: SmallRegistry, connected: Connected) -> None:
    small.add_image("old", "v1")
    digest = small.add_image("new")
    await connected.client.tag(connected.image, digest, "v1", Keyring())
    assert await connected.client.resolve(connected.tagged("v1"), Keyring()) == digest


@pytest.mark.parametrize(
    ("status", "headers", "error", "reason", "retry_after"),
    [
        (401, {}, Forbidden, "Unauthorized", None),
        (403, {}, Forbidden, "Unauthorized", None),
        (404, {}, NotFound, "NotFound", None),
        (429, {"Retry-After": "9"}, Waiting, "RateLimited", 9),
        (500, {}, Transient, "RegistryFailed", None),
        (503, {"Retry-After": "4"}, Transient, "RegistryFailed", 4),
        (405, {}, Waiting, "RegistryRefused", None),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind(
    status: int, headers: dict[str, str], error: type[KeelwayError], reason: str, retry_after: float | None
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    async for connected in connect(refuse):
        with pytest.raises(error) as caught:
            await connected.client.resolve(connected.tagged("v1"), Keyring())
        assert caught.value.reason == reason
        assert isinstance(caught.value, Waiting | Transient)
        assert caught.value.retry_after == retry_after


async def test_an_unknown_host_and_a_closed_port_wait() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        async with Registry(frozenset({host})) as client:
            with pytest.raises(Waiting, match="ConnectionFailed"):
                await client.resolve(Reference(host, "a"), Keyring())
            with pytest.raises(Waiting, match="HostNotFound"):
                await client.resolve(Reference("no-such-host.invalid", "a"), Keyring())


async def test_only_hosts_named_insecure_are_spoken_to_by_plain_http(connected: Connected) -> None:
    async with Registry() as strict:
        with pytest.raises(Waiting, match="TlsFailed"):
            await strict.resolve(connected.tagged("v1"), Keyring())


async def test_a_token_is_fetched_with_the_login_and_used_again(small: SmallRegistry) -> None:
    tokens = TokenRegistry(small)
    digest = small.add_image("1000", "v1")
    async for connected in connect(tokens.handle):
        for _ in range(2):
            assert await connected.client.resolve(connected.tagged("v1"), ring(connected.host)) == digest
    assert tokens.issued == [("Basic dTpw", "repository:team/app:pull")]


async def test_a_push_asks_for_a_token_that_may_push(small: SmallRegistry) -> None:
    tokens = TokenRegistry(small)
    digest = small.add_image("1000")
    async for connected in connect(tokens.handle):
        await connected.client.tag(connected.image, digest, "v1", ring(connected.host))
    assert [scope for _, scope in tokens.issued] == ["repository:team/app:pull", "repository:team/app:pull,push"]


async def test_without_a_login_a_token_is_asked_for_anonymously(small: SmallRegistry) -> None:
    tokens = TokenRegistry(small)
    small.add_image("1000", "v1")
    async for connected in connect(tokens.handle):
        await connected.client.resolve(connected.tagged("v1"), Keyring())
    assert tokens.issued == [(None, "repository:team/app:pull")]


async def test_basic_authentication_is_given_only_where_it_is_asked_for(small: SmallRegistry) -> None:
    small.add_image("1000", "v1")
    seen: list[str | None] = []

    async def basic(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("authorization"))
        if seen[-1] is None:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return await small.handle(request)

    async for connected in connect(basic):
        await connected.client.resolve(connected.tagged("v1"), ring(connected.host))
    assert seen == [None, "Basic dTpw"]


async def test_wrong_credentials_are_refused_after_one_try() -> None:
    calls = []

    async def never(request: web.Request) -> web.Response:
        calls.append(request.headers.get("authorization"))
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    async for connected in connect(never):
        with pytest.raises(Forbidden, match="Unauthorized"):
            await connected.client.resolve(connected.tagged("v1"), ring(connected.host))
    assert calls == [None, "Basic dTpw"]


async def test_a_redirect_of_a_blob_elsewhere_carries_no_credentials(small: SmallRegistry) -> None:
    digest = small.add_image("1000")
    seen: list[str | None] = []

    async def storage(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("authorization"))
        return web.Response(body=small.blobs[request.path.rpartition("/")[2]])

    async with serve(storage) as elsewhere:

        async def handle(request: web.Request) -> web.StreamResponse:
            if request.headers.get("authorization") is None:
                return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            if "/blobs/" in request.path:
                return web.Response(status=307, headers={"Location": f"{elsewhere}{request.path}"})
            return await small.handle(request)

        async for connected in connect(handle):
            config = await connected.client.image_config(connected.image.at(digest), ring(connected.host))
    assert config.user == "1000"
    assert seen == [None]
