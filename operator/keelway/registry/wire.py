"""The requests under `client.py` and `tokens.py`: which way they go, which redirects count, how much is read.

A tenant names a registry, and a registry names its token realm and where its blobs are. So every host but the
operator's own registry is reached over a transport that checks addresses (injected: `sources/transport.py`), and no
answer is decompressed or read without a bound.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from keelway.errors import KeelwayError
from keelway.registry.faults import bad_redirect, compressed, guarded, translated

_TIMEOUT: Final = httpx.Timeout(30, connect=10)
# More than the operator's workers (32 by default) use at once: a server that hangs must keep no others waiting.
_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20)
_MAX_REDIRECTS: Final = 5
# Of an answer that is no success only the registry's own words matter, if there are any.
_MAX_SAID_BYTES: Final = 4096


@dataclass(frozen=True)
class Call:
    """One request. Redirects are followed where `follow` says so: never where something is written or logged in to.

    `trusted`: the operator's own registry named the URL, so it is reached without the guard.
    """

    method: str
    url: httpx.URL
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    follow: bool = False
    trusted: bool = False


class Wire:
    """`own` are URLs of the operator's registry and of mirrors: they are reached directly, and so is where they lead
    (their storage, their token realm), for the administrator chose them. All else goes over `guard`, if there is one.
    """

    def __init__(self, own: Iterable[httpx.URL] = (), guard: httpx.AsyncBaseTransport | None = None) -> None:
        self._own = frozenset(origin_of(url) for url in own)
        self._direct = _client(None)
        self._guarded = self._direct if guard is None else _client(guard)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._guarded.aclose()

    def is_own(self, url: httpx.URL) -> bool:
        """Whether the URL is one of the operator's own registry."""
        return origin_of(url) in self._own

    async def send(self, call: Call, authorization: str | None) -> httpx.Response:
        """The answer, to be closed: the body of a success is unread, of any other there is the beginning.

        Raises Waiting (AddressRefused, HostNotFound, ConnectionFailed, TlsFailed, UnexpectedRedirect) or Transient.
        """
        url = call.url
        call = replace(call, trusted=call.trusted or self.is_own(url))
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._once(call, url, authorization)
            if not response.has_redirect_location:
                return response
            target = _redirected(call, url, response)
            authorization = authorization if origin_of(target) == origin_of(url) else None
            url = target
        raise bad_redirect(host_of(url), f"redirects more than {_MAX_REDIRECTS} times")

    async def _once(self, call: Call, url: httpx.URL, authorization: str | None) -> httpx.Response:
        client = self._direct if call.trusted or self.is_own(url) else self._guarded
        headers = {**call.headers, **({"Authorization": authorization} if authorization else {})}
        message = client.build_request(call.method, url, headers=headers, content=call.content)
        try:
            response = await client.send(message, stream=True)
            return response if response.is_success else await _beginning(response)
        except httpx.HTTPError as error:
            raise translated(error, host_of(url)) from error
        except KeelwayError as error:
            raise guarded(error, host_of(url)) from error


async def read(response: httpx.Response, max_bytes: int) -> bytes | None:
    """The body of a success, None where it goes beyond `max_bytes`; raises Waiting UnexpectedEncoding, or Transient."""
    if _is_compressed(response):
        raise compressed(host_of(response.url))
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > max_bytes:
                return None
    except httpx.HTTPError as error:
        raise translated(error, host_of(response.url)) from error
    return bytes(body)


def origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port: what credentials belong to (RFC 6454). httpx leaves a scheme's own port out."""
    return url.scheme, url.host, url.port


def host_of(url: httpx.URL) -> str:
    """host[:port], as messages name it."""
    return url.netloc.decode("ascii")


def is_web(url: httpx.URL) -> bool:
    """Whether it is an http or https URL with a host and without credentials."""
    has_port = url.port is None or 0 < url.port < 65536
    return url.scheme in ("http", "https") and bool(url.host) and has_port and not url.userinfo


def _client(transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        # The system's default bundle; OpenSSL itself honours SSL_CERT_FILE and SSL_CERT_DIR.
        verify=ssl.create_default_context(),
        transport=transport,
        timeout=_TIMEOUT,
        limits=_LIMITS,
        # "identity": what a few KiB inflate to has no bound.
        headers={"User-Agent": "keelway", "Accept-Encoding": "identity"},
        # None: they would pile up, and one tenant's would go with another's requests.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


async def _beginning(response: httpx.Response) -> httpx.Response:
    """The answer with the beginning of its body, which may be endless; with none of it where it is compressed."""
    said = bytearray()
    try:
        if not _is_compressed(response):
            async for chunk in response.aiter_raw():
                said += chunk
                if len(said) >= _MAX_SAID_BYTES:
                    break
    finally:
        await response.aclose()
    headers = response.headers.copy()
    headers.pop("content-encoding", None)
    content = bytes(said[:_MAX_SAID_BYTES])
    return httpx.Response(response.status_code, headers=headers, content=content, request=response.request)


def _is_compressed(response: httpx.Response) -> bool:
    return response.headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def _redirected(call: Call, url: httpx.URL, response: httpx.Response) -> httpx.URL:
    if not call.follow:
        raise bad_redirect(host_of(url), "redirects what it must answer itself")
    try:
        target = url.join(response.headers["location"])
    except (httpx.InvalidURL, ValueError) as error:
        raise bad_redirect(host_of(url), "redirects to what is no URL") from error
    if not is_web(target):
        raise bad_redirect(host_of(url), "redirects to what is no plain web URL")
    if url.scheme == "https" and target.scheme == "http":
        raise bad_redirect(host_of(url), "redirects to plain http")
    return target
