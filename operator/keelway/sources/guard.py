"""Guarded HTTP: the only way to a URL that a tenant wrote. Used by `git.py` and by `builder/`.

Names are resolved by us, every address is checked by `addresses.py`, and `transport.py` connects to the
address that was checked, so that a second DNS answer changes nothing (DNS rebinding). Redirects are
followed here, each one checked anew. The environment's proxies are not used: they resolve for themselves.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

import httpx

from keelway.budget import Budget
from keelway.errors import Terminal
from keelway.sources.addresses import Network
from keelway.sources.credentials import Credentials
from keelway.sources.faults import (
    bad_redirect,
    host_of,
    insecure_redirect,
    invalid_url,
    of_redirect,
    origin_of,
    refused_by_server,
    shown,
    too_large,
)
from keelway.sources.transport import GuardedTransport

MAX_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30, connect=10)


@dataclass(frozen=True)
class Guard:
    """What is reachable: `allowed` are networks excepted from the refused ranges.

    `plain_http`: whether http:// may be used outside of them, for content that a digest protects.
    """

    allowed: tuple[Network, ...] = ()
    plain_http: bool = False


@dataclass(frozen=True)
class Request:
    """One request; `credentials` go to the origin (scheme, host, port) of `url` and to no other."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    content: bytes | None = None
    credentials: Credentials | None = None


class GuardedHttp:
    """An HTTP client under a Guard: `async with GuardedHttp(guard) as http`."""

    def __init__(self, guard: Guard, budget: Budget | None = None) -> None:
        self._budget = budget
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(guard.allowed, guard.plain_http),
            timeout=_TIMEOUT,
            trust_env=False,
            # None: they would pile up, and one tenant's would go with another's requests.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def turn(self, url: str) -> AbstractAsyncContextManager[None]:
        """Around what is asked of the URL's host in one go. Raises Postponed, and Terminal InvalidUrl."""
        return self._budget.turn(host_of(_parse(url))) if self._budget is not None else nullcontext()

    async def read(self, request: Request, max_bytes: int) -> tuple["Answer", bytes]:
        """The answer and its whole body; raises as `stream` does."""
        async with self.stream(request, max_bytes) as answer:
            return answer, b"".join([chunk async for chunk in answer.chunks()])

    @asynccontextmanager
    async def stream(self, request: Request, max_bytes: int) -> AsyncIterator["Answer"]:
        """The answer of a 200, its body unread and undecoded.

        Raises Terminal (InvalidUrl, InsecureUrl, AddressRefused, ResponseTooLarge), Waiting (HostNotFound,
        ConnectionFailed, TlsFailed, Unauthorized, NotFound, RateLimited, UnexpectedRedirect,
        UnexpectedAnswer; AddressRefused of a name, and what a redirect leads to) or Transient (ServerFailed,
        TimedOut, ConnectionFailed).
        """
        response, origin_kept = await self._follow(request)
        try:
            if response.status_code != httpx.codes.OK:
                raise refused_by_server(response, request.credentials is not None and origin_kept)
            yield Answer(response, max_bytes)
        finally:
            await response.aclose()

    async def _follow(self, request: Request) -> tuple[httpx.Response, bool]:
        first = url = _parse(request.url)
        for _ in range(MAX_REDIRECTS + 1):
            origin_kept = origin_of(url) == origin_of(first)
            credentials = request.credentials if origin_kept else None
            try:
                response = await self._send(url, replace(request, credentials=credentials))
            except Terminal as error:
                if url is first:
                    raise
                raise of_redirect(error) from error
            if not response.is_redirect:
                return response, origin_kept
            await response.aclose()
            url = _redirected(url, response, request.method)
        raise bad_redirect(url, f"redirects more than {MAX_REDIRECTS} times")

    async def _send(self, url: httpx.URL, request: Request) -> httpx.Response:
        # "identity": or a server may compress on the way, and a digest would no longer fit.
        headers = {"Accept-Encoding": "identity", "User-Agent": "keelway", **(request.headers or {})}
        if request.credentials is not None:
            headers["Authorization"] = request.credentials.header()
        message = self._client.build_request(request.method, url, headers=headers, content=request.content)
        return await self._client.send(message, stream=True)


class Answer:
    """A 200 whose body is still to be read: `url` is where it came from in the end."""

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self.url = str(response.url)
        self.where = shown(response.url)
        self.content_type = response.headers.get("content-type", "").partition(";")[0].strip()
        self._response = response
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as sent, in pieces; raises Terminal ResponseTooLarge beyond `max_bytes`."""
        seen = 0
        async for chunk in self._response.aiter_raw():
            seen += len(chunk)
            if seen > self._max_bytes:
                raise too_large(self._response.url, self._max_bytes)
            yield chunk


def _parse(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise invalid_url("cannot be parsed") from error
    if not _is_web(url):
        raise invalid_url("is no http or https URL with a host")
    if url.userinfo:
        raise invalid_url("carries credentials, which belong into a Secret named by secretRef")
    return url


def _redirected(url: httpx.URL, response: httpx.Response, method: str) -> httpx.URL:
    if method != "GET":
        raise bad_redirect(url, f"redirects a {method}")
    try:
        target = url.join(response.headers["location"])
    except (httpx.InvalidURL, ValueError) as error:
        raise bad_redirect(url, "redirects to what is no URL") from error
    if not _is_web(target) or target.userinfo:
        raise bad_redirect(url, "redirects to what is no plain web URL")
    if url.scheme == "https" and target.scheme == "http":
        raise insecure_redirect(url)
    return target


def _is_web(url: httpx.URL) -> bool:
    return url.scheme in ("http", "https") and bool(url.host) and (url.port is None or 0 < url.port < 65536)
