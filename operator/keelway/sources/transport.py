"""The connections under `guard.py`: httpx over an httpcore pool which connects to checked addresses only.

TLS and the Host header keep the name of the URL, since only the network backend learns the address.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import httpcore
import httpx

from keelway.sources.addresses import Address, Network, is_allowed, parse_address, refusal
from keelway.sources.faults import address_refused, insecure, not_resolved, port_of, shown, translated

_RESOLVE_SECONDS = 10
# More than the operator's workers (32 by default) use at once: httpcore's own 10 would let ten servers that hang stop
# the polling of every source.
_MAX_CONNECTIONS = 100


class GuardedTransport(httpx.AsyncBaseTransport):
    """Raises errors of `keelway.errors`; plain http only to `allowed` networks unless `plain_http`."""

    def __init__(self, allowed: Sequence[Network], plain_http: bool) -> None:
        self._allowed = allowed
        self._plain_http = plain_http
        # The system's default bundle; OpenSSL itself honours SSL_CERT_FILE and SSL_CERT_DIR.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=_MAX_CONNECTIONS,
            network_backend=_CheckedBackend(allowed),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._check_scheme(request.url)
        try:
            response = await self._pool.handle_async_request(_core_request(request))
        except Exception as error:
            raise translated(error, request.url) from error
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response, request.url))

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _check_scheme(self, url: httpx.URL) -> None:
        if url.scheme == "https" or self._plain_http:
            return
        addresses = await _resolve(url.host, port_of(url))
        if not all(is_allowed(address, self._allowed) for address in addresses):
            raise insecure(f"{shown(url)} is")


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, url: httpx.URL) -> None:
        self._response = response
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except Exception as error:
            raise translated(error, self._url) from error

    async def aclose(self) -> None:
        await self._response.aclose()


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        _check(host, addresses, self._allowed)
        failure: Exception = OSError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise not_resolved(host, error) from error
    return list(dict.fromkeys(parse_address(str(info[4][0])) for info in infos))


def _check(host: str, addresses: Sequence[Address], allowed: Sequence[Network]) -> None:
    # One refused address refuses the name: which of them a client happens to take must not decide.
    for address in addresses:
        kind = refusal(address, allowed)
        if kind is not None:
            raise address_refused(host, str(address), kind, is_literal=_is_literal(host))


def _is_literal(host: str) -> bool:
    """Whether the host is an address in any form that getaddrinfo takes (127.1, 0x7f000001), without asking a DNS."""
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True
