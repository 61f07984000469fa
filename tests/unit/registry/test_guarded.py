"""Where a registry may lead: addresses are checked but for the operator's own registry, redirects are few and plain."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web

from keelway.compose import registry_client
from keelway.errors import Forbidden, Waiting
from keelway.registry.client import Registry
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference
from keelway.settings import Settings
from keelway.sources.transport import GuardedTransport
from tests.unit.registry.smallregistry import SmallRegistry, connect, ring
from tests.unit.web import Handler, make_authority, serve

LOOPBACK = (ip_network("127.0.0.1/32"), ip_network("::1/128"))


@dataclass
class Elsewhere:
    """A server that a registry leads to; `calls` are what reached it."""

    handler: Handler
    calls: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        self.authorizations.append(request.headers.get("authorization"))
        return await self.handler(request)


@pytest.fixture
def small() -> SmallRegistry:
    return SmallRegistry()


@asynccontextmanager
async def guarded(host: str, own: str | None = None, allowed: bool = False) -> AsyncIterator[Registry]:
    guard = GuardedTransport(LOOPBACK if allowed else (), plain_http=True)
    async with Registry(frozenset({host, own or host}), own=own, guard=guard) as client:
        yield client


async def tokens(_: web.Request) -> web.Response:
    return web.json_response({"token": "t"})


def redirecting(to: str, status: int = 307) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"{to}{request.path}"})

    return handle


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_registry_at_a_refused_address_is_not_connected_to(small: SmallRegistry, name: str) -> None:
    async with serve(small.handle) as url:
        host = url.removeprefix("http://").replace("localhost", name)
        async with guarded(host, own="registry.example.org") as client:
            with pytest.raises(Waiting) as caught:
                await client.resolve(Reference(host, "team/app", "v1"), Keyring())
    assert caught.value.reason == "AddressRefused"
    assert "KEELWAY_ALLOWED_NETWORKS" in caught.value.message
    assert small.calls == []


async def test_the_operators_own_registry_may_be_anywhere(small: SmallRegistry) -> None:
    digest = small.add_image("1000", "v1")
    async with serve(small.handle) as url:
        host = url.removeprefix("http://")
        async with guarded(host, own=host) as client:
            assert await client.resolve(Reference(host, "team/app", "v1"), Keyring()) == digest


async def test_another_port_of_the_own_registrys_host_is_not_the_own_registry(small: SmallRegistry) -> None:
    async with serve(small.handle) as url:
        host = url.removeprefix("http://")
        async with guarded(host, own="localhost:1") as client:
            with pytest.raises(Waiting, match="AddressRefused"):
                await client.resolve(Reference(host, "team/app", "v1"), Keyring())
    assert small.calls == []


async def test_an_allowed_network_is_reached(small: SmallRegistry) -> None:
    digest = small.add_image("1000", "v1")
    async with serve(small.handle) as url:
        host = url.removeprefix("http://")
        async with guarded(host, allowed=True) as client:
            assert await client.resolve(Reference(host, "team/app", "v1"), Keyring()) == digest


async def test_a_guarded_registry_is_spoken_of_as_one() -> None:
    async with guarded("nowhere.invalid:5000") as client:
        with pytest.raises(Waiting, match=r"The registry nowhere\.invalid:5000 was not found"):
            await client.resolve(Reference("nowhere.invalid:5000", "a"), Keyring())
    async with guarded("localhost:1", allowed=True) as client:
        with pytest.raises(Waiting, match=r"Nothing accepts connections at localhost:1\. Check the reference"):
            await client.resolve(Reference("localhost:1", "a"), Keyring())


def challenging(realm: str) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}/token"'})

    return handle


@pytest.mark.parametrize("leading", [redirecting, challenging])
async def test_a_tenants_registry_leads_to_no_refused_address(leading: Callable[[str], Handler]) -> None:
    async with serve(leading("http://127.0.0.2:9")) as url:
        host = url.removeprefix("http://")
        async with guarded(host, allowed=True) as client:
            with pytest.raises(Waiting, match="AddressRefused"):
                await client.resolve(Reference(host, "team/app", "v1"), ring(host))


async def test_the_operators_own_registry_may_lead_anywhere(small: SmallRegistry) -> None:
    """To its storage or its token realm: the administrator chose it, and they are often at private addresses."""
    digest = small.add_image("1000", "v1")
    storage, realm = Elsewhere(small.handle), Elsewhere(tokens)
    async with serve(storage.handle) as target, serve(redirecting(target)) as url:
        host = url.removeprefix("http://")
        async with guarded(host, own=host) as client:
            assert await client.resolve(Reference(host, "team/app", "v1"), Keyring()) == digest
    async with serve(realm.handle) as target, serve(challenging(target)) as url:
        host = url.removeprefix("http://")
        async with guarded(host, own=host) as client:
            with pytest.raises(Forbidden):  # it wants a token of this registry again
                await client.resolve(Reference(host, "team/app", "v1"), ring(host))
    assert storage.calls
    assert realm.calls == ["GET /token"]


async def test_a_redirect_of_a_manifest_is_followed(small: SmallRegistry) -> None:
    digest = small.add_image("1000", "v1")
    async with serve(small.handle) as target:
        async for connected in connect(redirecting(target)):
            assert await connected.client.resolve(connected.tagged("v1"), Keyring()) == digest
    assert small.calls == ["HEAD /v2/team/app/manifests/v1"]


async def test_nothing_that_is_written_is_sent_elsewhere(small: SmallRegistry) -> None:
    digest = small.add_image("1000")
    elsewhere = Elsewhere(small.handle)
    async with serve(elsewhere.handle) as target:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await (redirecting(target) if request.method == "PUT" else small.handle)(request)

        async for connected in connect(handle):
            with pytest.raises(Waiting, match="UnexpectedRedirect"):
                await connected.client.tag(connected.image, digest, "v1", Keyring())
    assert elsewhere.calls == []


async def test_a_redirect_of_a_token_realm_or_a_list_is_not_followed(small: SmallRegistry) -> None:
    elsewhere = Elsewhere(small.handle)
    async with serve(elsewhere.handle) as target:

        async def realm(request: web.Request) -> web.StreamResponse:
            if request.path == "/token":
                return await redirecting(target)(request)
            challenge = f'Bearer realm="http://{request.host}/token"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})

        for handler in (realm, redirecting(target)):
            async for connected in connect(handler):
                with pytest.raises(Waiting, match="UnexpectedRedirect"):
                    await connected.client.tags(connected.image, ring(connected.host))
    assert elsewhere.calls == []


async def test_a_redirect_from_https_to_http_is_not_followed(
    small: SmallRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    async with serve(small.handle) as target, serve(redirecting(target), authority.server_context()) as url:
        host = url.removeprefix("https://")
        async with Registry() as client:
            with pytest.raises(Waiting, match=r"UnexpectedRedirect.*plain http"):
                await client.resolve(Reference(host, "team/app", "v1"), Keyring())
    assert small.calls == []


@pytest.mark.parametrize("target", ["file:///etc", "http://user:pw@localhost", "http://x:70000", "//"])
async def test_a_redirect_to_what_is_no_plain_web_url_is_not_followed(target: str) -> None:
    async for connected in connect(redirecting(target)):
        with pytest.raises(Waiting, match="UnexpectedRedirect"):
            await connected.client.resolve(connected.tagged("v1"), Keyring())


async def test_redirects_without_end_are_given_up() -> None:
    again = Elsewhere(redirecting(""))
    async for connected in connect(again.handle):
        with pytest.raises(Waiting, match="redirects more than 5 times"):
            await connected.client.resolve(connected.tagged("v1"), Keyring())
    assert len(again.calls) == 6


async def test_credentials_do_not_come_back_with_a_redirect_that_went_elsewhere() -> None:
    """The other server would choose what they are used for."""
    seen: list[tuple[str, str | None]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, request.headers.get("authorization")))
        if seen[-1] == ("/v2/team/app/manifests/v1", None):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return web.Response(status=307 if request.path != "/back" else 404, headers={"Location": f"{target}/there"})

    async def back(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"http://{hosts[0]}/back"})

    hosts: list[str] = []
    async with serve(back) as target:
        async for connected in connect(handle):
            hosts.append(connected.host)
            with pytest.raises(Waiting, match="NotFound"):
                await connected.client.resolve(connected.tagged("v1"), ring(connected.host))
    assert seen[-2:] == [("/v2/team/app/manifests/v1", "Basic dTpw"), ("/back", None)]


async def test_what_a_redirect_led_to_gets_no_login_by_asking_for_one() -> None:
    async def challenge(_: web.Request) -> web.Response:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    elsewhere = Elsewhere(challenge)
    async with serve(elsewhere.handle) as target:
        async for connected in connect(redirecting(target)):
            with pytest.raises(Forbidden, match="Unauthorized"):
                await connected.client.resolve(connected.tagged("v1"), ring(connected.host))
    assert elsewhere.authorizations == [None]


async def test_the_operator_guards_all_registries_but_its_own(small: SmallRegistry) -> None:
    digest = small.add_image("1000", "v1")
    async with serve(small.handle) as url, serve(small.handle) as other:
        host, elsewhere = url.removeprefix("http://"), other.removeprefix("http://")
        # By its name, and by the endpoint that the name stands for outside of the cluster.
        for settings in (
            Settings(registry=f"{host}/apps", registry_insecure=True),
            Settings(registry="registry.example:5000", registry_insecure=True, registry_endpoint=host),
        ):
            own = Reference(settings.registry_host, "team/app", "v1")
            async with registry_client(settings) as client:
                assert await client.resolve(own, Keyring()) == digest
                with pytest.raises(Waiting, match="AddressRefused"):
                    await client.resolve(Reference(elsewhere, "team/app", "v1"), Keyring())


async def test_the_operators_allowed_networks_are_reached(small: SmallRegistry) -> None:
    async with serve(small.handle) as url:
        host = url.removeprefix("http://")
        async with registry_client(Settings(registry="registry.example", allowed_networks=LOOPBACK)) as client:
            # Connected to, by https as every registry that is not the operator's.
            with pytest.raises(Waiting, match="TlsFailed"):
                await client.resolve(Reference(host, "team/app", "v1"), Keyring())
