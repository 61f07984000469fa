"""The yardstick: a client that does nothing but write, as fast as 16 connections let it."""

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench.errors import BenchError
from bench.kube import at_once
from bench.objects import Object
from keelway.api.labels import FIELD_MANAGER
from keelway.api.resources import Resource

CONNECTIONS: Final = 16
AGENT: Final = "keelway-bench-bare"


@dataclass(frozen=True)
class Bare:
    """Seconds from the first request sent to the last answer read, and CPU seconds of the client meanwhile."""

    seconds: float
    cpu: float


async def write(kubeconfig: Path, children: Sequence[tuple[Resource, Object]]) -> Bare:
    """Apply all, in order. The connections stand before the clock starts. Raises BenchError where one is refused."""
    cluster, user = _server_and_user(kubeconfig)
    headers = {"Authorization": f"Bearer {user['token']}", "User-Agent": AGENT}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=_tls(cluster))
    async with aiohttp.ClientSession(cluster["server"], connector=connector, headers=headers) as session:
        await asyncio.gather(*(_connect(session) for _ in range(CONNECTIONS)))
        begun, used = time.monotonic(), time.process_time()
        await at_once(lambda child: _apply(session, *child), children, CONNECTIONS)
        return Bare(time.monotonic() - begun, time.process_time() - used)


def _server_and_user(kubeconfig: Path) -> tuple[dict[str, str], dict[str, str]]:
    """As `devcluster/outside.py` writes it: JSON, with one of each."""
    document = json.loads(kubeconfig.read_text())
    return document["clusters"][0]["cluster"], document["users"][0]["user"]


async def _connect(session: aiohttp.ClientSession) -> None:
    async with session.get("/version") as answer:
        await answer.read()


async def _apply(session: aiohttp.ClientSession, resource: Resource, obj: Object) -> None:
    metadata = obj["metadata"]
    async with session.patch(
        resource.path(metadata["namespace"], metadata["name"]),
        params={"fieldManager": FIELD_MANAGER, "force": "true"},
        data=json.dumps(obj, separators=(",", ":")).encode(),
        headers={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
    ) as answer:
        text = await answer.read()
        if answer.status >= 300:
            raise BenchError(f"apply of {resource} {metadata['name']}: HTTP {answer.status} {text[:300]!r}")


def _tls(cluster: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
