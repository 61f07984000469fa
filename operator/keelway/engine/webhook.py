"""`POST /webhook`: one endpoint for the pushes of GitHub, GitLab, Gitea and Forgejo, and for registries' notifications.

Served by every replica from the start of the process, on a port of its own: it may be opened to the world, and probes
and metrics need not be. Nobody is believed before he has proven to know the token (`hooks/senders.py`), and what all
others can cost has bounds: bytes, seconds, and bodies that are read at once. What is told then is not believed either:
it only makes Images look themselves (`deliveries.py`).
"""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from keelway.engine.deliveries import Deliveries
from keelway.engine.metrics import Metrics
from keelway.errors import KeelwayError, Terminal
from keelway.hooks.concerned import Delivery
from keelway.hooks.payload import pushes
from keelway.hooks.senders import SHORTEST_TOKEN, Headers, Sender, is_authentic, sender_of, tokens_of

MOST_BYTES: Final = 1024 * 1024
"""Of a body: a push of GitHub with a thousand commits has about that."""
READ_SECONDS: Final = 10.0
READ_AT_ONCE: Final = 32
_ALL_INTERFACES: Final = "0.0.0.0"
_OFF: Final = (
    f"No webhooks are taken: put a token of at least {SHORTEST_TOKEN} characters into the key token of the Secret "
    "keelway-webhook, in the operator's namespace."
)
_REFUSED: Final = "The signature or token is missing, or not the right one."

_log = structlog.get_logger(__name__)


class _Refused(Exception):
    """The answer is that, with Retry-After in seconds; `result` counts it."""

    def __init__(self, status: int, result: str, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.result = result
        self.text = text
        self.retry_after = retry_after


class WebhookServer:
    """The HTTP server of webhooks. `tokens` is read for each delivery, so that a new one counts without a restart."""

    def __init__(
        self, port: int, tokens: Path, deliveries: Deliveries, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        self._port = port
        self._tokens = tokens
        self._deliveries = deliveries
        self._metrics = metrics
        self._clock = clock
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Serve; gives the port, which the system chooses for 0. Raises OSError where it is taken."""
        app = web.Application()
        app.router.add_post("/webhook", self._answer)
        # A body is signed as it comes; unpacked it would have no bounds.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, _ALL_INTERFACES, self._port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the server."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        sender = sender_of(headers)
        result, concerned = "", 0
        try:
            concerned = await self._take(request, headers, sender)
            result = "recorded" if concerned else "nobody"
        except _Refused as refused:
            result = refused.result
            response = web.Response(status=refused.status, text=refused.text)
            if refused.retry_after is not None:
                response.headers["Retry-After"] = str(refused.retry_after)
            if request.can_read_body:
                response.force_close()  # what is left of the body is not waited for
            return response
        finally:
            self._metrics.deliveries.labels(sender or "unknown", result or "failed").inc()
        return web.json_response({"images": concerned})

    async def _take(self, request: web.Request, headers: Headers, sender: Sender | None) -> int:
        """How many Images the delivery concerns. Raises _Refused, also where it tells nothing that counts."""
        tokens = self._known_tokens()
        if not tokens:
            raise _Refused(503, "off", _OFF)
        if sender is None:
            raise _Refused(401, "refused", _REFUSED)
        body = await self._read(request, headers)
        if not is_authentic(sender, headers, body, tokens, self._clock()):
            raise _Refused(401, "refused", _REFUSED)
        try:
            told = pushes(sender, headers, body)
        except Terminal as error:
            raise _Refused(400, "malformed", error.message) from error
        if not told:
            raise _Refused(200, "ignored", "Nothing to do: this tells of no push.")
        # Of the body alone, for whoever sends it again may choose the headers.
        name = f"{sender}-{hashlib.sha256(body).hexdigest()[:16]}"
        return await self._record(Delivery(name, told))

    async def _record(self, delivery: Delivery) -> int:
        try:
            return await self._deliveries.record(delivery)
        except KeelwayError as error:
            if error.reason == "TooManyDeliveries":
                raise _Refused(429, "busy", error.message, 5) from error
            _log.warning("delivery not recorded", delivery=delivery.name, error=str(error))
            raise _Refused(503, "failed", "The cluster cannot be asked now. Send it again later.", 10) from error

    async def _read(self, request: web.Request, headers: Headers) -> bytes:
        if "content-encoding" in headers:
            raise _Refused(415, "malformed", "Send the payload as it is, not compressed.")
        if (request.content_length or 0) > MOST_BYTES:
            raise _Refused(413, "too large", f"At most {MOST_BYTES} bytes.")
        if self._reading.locked():
            raise _Refused(429, "busy", "Too many deliveries at once. Send it again later.", 5)
        async with self._reading:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    return await _pieces(request)
            except TimeoutError as error:
                raise _Refused(408, "too slow", f"The payload has to come within {READ_SECONDS:.0f} s.") from error

    def _known_tokens(self) -> tuple[bytes, ...]:
        try:
            return tokens_of(self._tokens.read_text())
        except (OSError, ValueError):
            return ()


async def _pieces(request: web.Request) -> bytes:
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise _Refused(413, "too large", f"At most {MOST_BYTES} bytes.")
    return bytes(body)
