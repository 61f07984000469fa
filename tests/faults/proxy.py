"""The fault proxy: stands between one or several operators and the API server, and does what `rules.py` says.

It serves plain HTTP on 127.0.0.1 from a thread of its own. The operator's token is passed on, so the API server sees
the operator and nobody else; with no rule it changes nothing.
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from aiohttp import web

from tests.faults.rules import (
    ActiveRule,
    Asked,
    BlackHole,
    Call,
    Cut,
    Delay,
    Drop,
    Duplicate,
    Expire,
    Hold,
    Instead,
    LoseAnswer,
    Match,
    OnEvent,
    Pages,
    Refuse,
    Reset,
    Rule,
    Stale,
    Then,
    Write,
    everything,
)

_PASSED_ON = ("Authorization", "Accept", "Content-Type", "User-Agent")
_NO_END = aiohttp.ClientTimeout(total=None, sock_connect=5)
_REASONS = {403: "Forbidden", 409: "Conflict", 410: "Expired", 429: "TooManyRequests", 503: "ServiceUnavailable"}
_ON_EVENT = (Drop, Duplicate, Hold, Cut, Expire, BlackHole)


@dataclass(frozen=True)
class Upstream:
    """The API server, and how it is known."""

    url: str
    tls: ssl.SSLContext


class Proxy:
    """`start`, then `url` is an API server. `faulty` adds rules for a block; `writes` tells what was written."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._active: tuple[ActiveRule, ...] = ()
        self._writes: list[Write] = []
        self._last_write = time.monotonic()
        self._lists: dict[Asked, tuple[int, bytes]] = {}
        self._streams: dict[asyncio.Transport, Call] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @contextmanager
    def faulty(self, *rules: Rule) -> Iterator[tuple[ActiveRule, ...]]:
        """While the block runs, these hold beside those that do already."""
        added = tuple(ActiveRule(rule, dict(self._lists)) for rule in rules)
        self._active = (*self._active, *added)
        try:
            yield added
        finally:
            self._active = tuple(one for one in self._active if one not in added)

    def cut_watches(self, match: Match | None = None) -> int:
        """Close the connections of the watches that are open now; gives how many."""
        chosen = match or everything()

        async def cut() -> int:
            found = [transport for transport, call in self._streams.items() if chosen.takes(call)]
            for transport in found:
                transport.abort()
            return len(found)

        return asyncio.run_coroutine_threadsafe(cut(), self._loop).result(10)

    @property
    def writes(self) -> tuple[Write, ...]:
        """What the API server has answered, in that order; Events are among them, the Lease is not."""
        return tuple(self._writes)

    def forget(self) -> None:
        """Count anew from 1."""
        self._writes = []

    @property
    def quiet_for(self) -> float:
        """Seconds since the last write, Events too."""
        return time.monotonic() - self._last_write

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._upstream.tls)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        for transport in self._streams:
            transport.abort()
        await self._runner.cleanup()
        await self._session.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, request.path, dict(request.query), request.headers.get("User-Agent", ""))
        after: list[LoseAnswer | Then] = []
        for active in self._active:
            if isinstance(active.rule.action, OnEvent) or not active.strikes(call):
                continue
            match active.rule.action:
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case Refuse(status, retry_after):
                    return _refused(status, retry_after)
                case BlackHole():
                    return await _hang(request)
                case Reset():
                    return _reset(request)
                case Instead(act):
                    act(call)
                    return _reset(request)
                case Pages(limit):
                    call = replace(call, query={**call.query, "limit": str(limit)})
                case Stale() if (known := active.remembered.get(_asked(request))) is not None:
                    return web.Response(status=known[0], body=known[1], content_type="application/json")
                case LoseAnswer() | Then() as later:
                    after.append(later)
        try:
            return await self._pass_on(request, call, after)
        except (aiohttp.ClientError, OSError):
            # The API server is away: so is this one.
            return _reset(request)

    async def _pass_on(self, request: web.Request, call: Call, after: list[LoseAnswer | Then]) -> web.StreamResponse:
        assert self._session is not None
        body = await request.read()
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        async with self._session.request(
            call.method,
            self._upstream.url + call.path,
            params=call.query,
            data=body or None,
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=_NO_END,
        ) as answer:
            if call.is_watch and answer.status == 200:
                return await self._stream(request, call, answer)
            text = await answer.read()
        write = self._note(call, answer.status, body, text)
        if call.is_list and answer.status == 200:
            self._lists[_asked(request)] = (answer.status, text)
        for later in after:
            if isinstance(later, LoseAnswer):
                return _reset(request)
            if write is not None:
                later.act(write)
        kept = {name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers}
        return web.Response(status=answer.status, body=text, headers=kept)

    def _note(self, call: Call, status: int, body: bytes, answer: bytes) -> Write | None:
        if not call.is_write:
            return None
        before = self._writes[-1].number if self._writes else 0
        number = before if call.is_event else before + 1
        write = Write(number, time.monotonic(), call, status, _json(body), _json(answer))
        self._writes.append(write)
        self._last_write = write.at
        return write

    async def _stream(self, request: web.Request, call: Call, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        self._streams[transport] = call
        try:
            async for line in _lines(answer):
                for told in await self._told(request, call, line):
                    await response.write(told)
        except _Expired:
            await response.write(_EXPIRED)
        except (_Ended, ConnectionError, aiohttp.ClientError):
            transport.abort()
        finally:
            self._streams.pop(transport, None)
        return response

    async def _told(self, request: web.Request, call: Call, line: bytes) -> list[bytes]:
        """What the watch is told of an event. Raises _Ended or _Expired where it is over."""
        told = [line]
        for active in self._active:
            if not isinstance(active.rule.action, _ON_EVENT) or not active.strikes(call):
                continue
            match active.rule.action:
                case Drop():
                    told = []
                case Duplicate():
                    told = [*told, *told]
                case Hold(seconds):
                    await asyncio.sleep(seconds)
                case Expire():
                    raise _Expired
                case Cut():
                    raise _Ended
                case BlackHole():
                    await _hang(request)
                    raise _Ended
        return told


class _Ended(Exception):
    """The watch's connection is to be closed."""


class _Expired(Exception):
    """The watch is to be told that its resource version is too old, and ends."""


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The events of a watch, one JSON object a line, of whatever length."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"


def _asked(request: web.Request) -> Asked:
    """The sweep and the watch list the same; by Accept the one gets metadata, the other whole objects."""
    return request.path_qs, request.headers.get("Accept", "")


async def _hang(request: web.Request) -> web.Response:
    """Until the other side has had enough."""
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.1)
    return web.Response(status=500)


def _reset(request: web.Request) -> web.Response:
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()
    return web.Response(status=500)


def _refused(status: int, retry_after: int | None) -> web.Response:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return web.json_response(_status(status), status=status, headers=headers)


def _status(code: int) -> dict[str, Any]:
    """A Status as the API server words it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": _REASONS.get(code, "InternalError"),
        "message": "the fault proxy says so",
        "code": code,
    }


_EXPIRED = json.dumps({"type": "ERROR", "object": _status(410)}).encode() + b"\n"


def _json(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
