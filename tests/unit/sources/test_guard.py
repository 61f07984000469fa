"""The guarded HTTP client, against real servers on 127.0.0.1."""

import asyncio
import socket
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web

from keelway.errors import Forbidden, KeelwayError, NotFound, Terminal, Transient, Waiting
from keelway.sources.credentials import Credentials
from keelway.sources.guard import Guard, GuardedHttp, Request
from tests.unit.web import Handler, TestAuthority, make_authority, serve

LOOPBACK = Guard(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
SECRET = Credentials(token="t0ken-value")


async def hello(_: web.Request) -> web.Response:
    return web.Response(body=b"hello")


async def echo_authorization(request: web.Request) -> web.Response:
    return web.Response(text=request.headers.get("authorization", "none"))


def answering(status: int, headers: dict[str, str] | None = None) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, body=b"")

    return handle


def redirecting_to(url: str, status: int = 302) -> Handler:
    return answering(status, {"Location": url})


async def fetch(request: Request | str, guard: Guard = LOOPBACK, max_bytes: int = 1000) -> bytes:
    request = Request(request) if isinstance(request, str) else request
    async with GuardedHttp(guard) as http:
        return (await http.read(request, max_bytes))[1]


async def test_an_allowed_https_server_is_read_by_its_name(authority: TestAuthority) -> None:
    async with serve(hello, authority.server_context()) as url:
        assert await fetch(url) == b"hello"


async def test_a_loopback_address_is_refused_without_a_connection(authority: TestAuthority) -> None:
    connections = []

    async def count(_: web.Request) -> web.Response:
        connections.append(1)
        return web.Response()

    async with serve(count, authority.server_context()) as url:
        # By a name: what it leads to is the DNS' to say, and may be cured there.
        with pytest.raises(Waiting) as caught:
            await fetch(url, Guard())
    assert caught.value.reason == "AddressRefused"
    assert "loopback" in caught.value.message
    assert connections == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"]
)
async def test_literal_addresses_in_any_form_are_refused_for_good(host: str) -> None:
    with pytest.raises(Terminal, match="AddressRefused"):
        await fetch(f"https://{host}/", Guard(plain_http=True))


async def test_a_name_of_which_one_address_is_refused_is_refused(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, 443)) for address in ("127.0.0.1", "10.0.0.1")]

    async with serve(hello, authority.server_context()) as url:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answer)
        with pytest.raises(Waiting, match=r"AddressRefused.*10\.0\.0\.1, a private address"):
            await fetch(url)


async def test_the_connection_goes_to_the_address_that_was_checked(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name is asked for once a connection, and what it says later does not matter."""
    asked = []

    async def answer(*_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(1)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", 443))]

    async with serve(hello, authority.server_context()) as url:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answer)
        assert await fetch(url) == b"hello"
    assert asked == [1]


async def test_plain_http_is_for_allowed_networks_or_content_that_a_digest_protects() -> None:
    async with serve(hello) as url:
        assert await fetch(url) == b"hello"
        assert await fetch(url, Guard(LOOPBACK.allowed, plain_http=True)) == b"hello"
        with pytest.raises(Terminal, match="InsecureUrl"):
            await fetch(url, Guard())


async def test_a_redirect_is_followed(authority: TestAuthority) -> None:
    tls = authority.server_context()
    async with serve(hello, tls) as there, serve(redirecting_to(there), tls) as url:
        assert await fetch(url) == b"hello"


async def test_a_redirect_to_a_refused_address_is_refused(authority: TestAuthority) -> None:
    """Not for good, though an address is named: the server may redirect elsewhere, without any change of the spec."""
    async with serve(redirecting_to("https://169.254.169.254/latest"), authority.server_context()) as url:
        with pytest.raises(Waiting, match="AddressRefused"):
            await fetch(url)


async def test_a_redirect_to_plain_http_elsewhere_is_refused() -> None:
    async with serve(redirecting_to("http://192.0.2.1/")) as url:
        with pytest.raises(Waiting, match="InsecureUrl"):
            await fetch(url)


async def test_a_redirect_from_https_to_http_is_refused(authority: TestAuthority) -> None:
    async with serve(hello) as plain, serve(redirecting_to(plain), authority.server_context()) as url:
        with pytest.raises(Waiting, match="InsecureUrl"):
            await fetch(url)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://localhost/x", "https://user:pw@localhost/", "http://x:70000/"]
)
async def test_a_redirect_to_what_is_no_plain_web_url_is_not_followed(target: str) -> None:
    async with serve(redirecting_to(target)) as url:
        with pytest.raises(Waiting, match="UnexpectedRedirect"):
            await fetch(url)


async def test_redirects_without_end_are_given_up() -> None:
    async with serve(redirecting_to("/again")) as url:
        with pytest.raises(Waiting, match="UnexpectedRedirect"):
            await fetch(url)


async def test_credentials_go_to_their_own_origin_only() -> None:
    async with serve(echo_authorization) as there, serve(redirecting_to(there)) as url:
        assert await fetch(Request(there, credentials=SECRET)) == SECRET.header().encode()
        # Another port is another origin, though the host's name is the same.
        assert await fetch(Request(url, credentials=SECRET)) == b"none"


async def test_credentials_stay_with_a_redirect_on_the_same_origin() -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.path == "/old":
            return web.Response(status=301, headers={"Location": "/new"})
        return await echo_authorization(request)

    async with serve(handle) as url:
        assert await fetch(Request(f"{url}/old", credentials=SECRET)) == SECRET.header().encode()


async def test_a_body_beyond_its_bound_is_cut_off() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1000)

    async with serve(endless) as url:
        with pytest.raises(Terminal, match="ResponseTooLarge"):
            await fetch(url, max_bytes=10_000)


@pytest.mark.parametrize(
    ("status", "headers", "error", "reason", "retry_after"),
    [
        (401, {}, Forbidden, "Unauthorized", None),
        (403, {}, Forbidden, "Unauthorized", None),
        (404, {}, NotFound, "NotFound", None),
        (410, {}, NotFound, "NotFound", None),
        (429, {"Retry-After": "17"}, Waiting, "RateLimited", 17),
        (429, {}, Waiting, "RateLimited", None),
        (429, {"Retry-After": "999999999"}, Waiting, "RateLimited", 3600),
        (429, {"Date": "Tue, 15 Nov 2022 08:00:00 GMT", "Retry-After": "Tue, 15 Nov 2022 08:00:30 GMT"},
         Waiting, "RateLimited", 30),
        (503, {"Retry-After": "5"}, Transient, "ServerFailed", 5),
        (500, {}, Transient, "ServerFailed", None),
        (418, {}, Waiting, "UnexpectedAnswer", None),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_it_is_and_when_to_come_back(
    status: int, headers: dict[str, str], error: type[KeelwayError], reason: str, retry_after: float | None
) -> None:
    async with serve(answering(status, headers)) as url:
        with pytest.raises(error) as caught:
            await fetch(Request(f"{url}/path?token=s3cret", credentials=SECRET))
    assert caught.value.reason == reason
    assert isinstance(caught.value, Waiting | Transient)
    assert caught.value.retry_after == retry_after
    assert "s3cret" not in str(caught.value)
    assert "t0ken" not in str(caught.value)


async def test_an_unknown_host_waits() -> None:
    with pytest.raises(Waiting, match="HostNotFound"):
        await fetch("https://no-such-host.invalid/")


async def test_a_closed_port_waits() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Waiting, match="ConnectionFailed"):
            await fetch(f"https://127.0.0.1:{port}/")


async def test_a_certificate_of_an_unknown_authority_waits(authority: TestAuthority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_authority(tmp_path / "other")
    async with serve(hello, other.server_context()) as url:
        with pytest.raises(Waiting, match="TlsFailed"):
            await fetch(url)


async def test_a_certificate_for_another_name_waits(authority: TestAuthority) -> None:
    async with serve(hello, authority.server_context()) as url:
        with pytest.raises(Waiting, match="TlsFailed"):
            await fetch(url.replace("localhost", "127.0.0.1"))


async def test_a_port_without_tls_waits(authority: TestAuthority) -> None:
    async with serve(hello) as url:
        with pytest.raises(Waiting, match="TlsFailed"):
            await fetch(url.replace("http:", "https:"))


async def test_an_answer_that_breaks_off_is_tried_again() -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport is not None
        request.transport.close()
        return response

    async with serve(broken) as url:
        with pytest.raises(Transient, match="ConnectionFailed"):
            await fetch(url)


@pytest.mark.parametrize(
    "url", ["ftp://example.org/x", "example.org", "https://", "https://u:p@example.org/", "http://x:70000/"]
)
async def test_what_is_no_plain_web_url_is_the_specs_fault(url: str) -> None:
    with pytest.raises(Terminal, match="InvalidUrl") as caught:
        await fetch(url)
    assert "u:p" not in str(caught.value)


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serve(hello) as url:
        assert await fetch(url) == b"hello"
