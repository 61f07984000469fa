"""`/livez`, `/readyz` and `/metrics`, from process start and in both replicas (contract, "Leadership").

Readiness means sane and able to stand for election, never "is leader", or a rolling update would wait for ever.
Liveness asks for what only a restart cures: an election that stands still, and in the leader a queue or a watch.
An API server that is away is neither: a restart would not bring it back.
"""

from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

Check = Callable[[], Iterable[str]]
"""What is wrong now, in words; nothing when all is well."""

_ALL_INTERFACES: Final = "0.0.0.0"  # the kubelet comes from outside of the pod


class HealthServer:
    """The HTTP server of probes and metrics."""

    def __init__(self, port: int, live: Check, ready: Check, registry: CollectorRegistry) -> None:
        self._port = port
        self._live = live
        self._ready = ready
        self._registry = registry
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Serve; gives the port, which the system chooses for 0. Raises OSError where it is taken."""
        app = web.Application()
        app.router.add_get("/livez", self._answer_live)
        app.router.add_get("/readyz", self._answer_ready)
        app.router.add_get("/metrics", self._answer_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _ALL_INTERFACES, self._port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the server."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer_live(self, request: web.Request) -> web.Response:
        return _verdict(self._live())

    async def _answer_ready(self, request: web.Request) -> web.Response:
        return _verdict(self._ready())

    async def _answer_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _verdict(troubles: Iterable[str]) -> web.Response:
    found = list(troubles)
    return web.Response(text="\n".join(found) or "ok", status=503 if found else 200)
