"""A registry on this machine that holds what the builds are said to have pushed: one image, in every repository."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yarl

from bench.errors import BenchError
from bench.ground import Ground
from bench.kube import at_once, until
from bench.processes import must_run, program, running
from devcluster.outside import free_port

USER: Final = 1000
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_START_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Pushed:
    """Where the registry listens ("127.0.0.1:PORT"), and the digest of its image."""

    address: str
    digest: str


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


CONFIG: Final = _json(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"User": str(USER)},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
)
MANIFEST: Final = _json(
    {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": _digest(CONFIG), "size": len(CONFIG)},
        "layers": [],
    }
)


@asynccontextmanager
async def holding(ground: Ground, repositories: Iterable[str]) -> AsyncIterator[Pushed]:
    """A registry that has the image in each of the repositories ("namespace/name"), while the block lasts."""
    address, log = f"127.0.0.1:{free_port()}", ground.work / "registry.log"
    command: list[str | Path] = [program(ground.settings, "registry"), "serve", _write_config(ground, address)]
    # Tracing is on by default in registry 3, and would look for a collector.
    with running(command, log, {"OTEL_TRACES_EXPORTER": "none"}) as process:
        async with aiohttp.ClientSession(f"http://{address}") as session:

            async def answers() -> bool:
                must_run(process, log)
                return await _answers(session)

            await until("the registry", answers, _START_SECONDS)
            await at_once(lambda name: _push(session, name), repositories)
        yield Pushed(address, _digest(MANIFEST))


def _write_config(ground: Ground, address: str) -> str:
    """In memory: it is gone with its process."""
    path = ground.work / "registry.yml"
    document = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"inmemory": {}},
        "http": {"addr": address},
    }
    path.write_text(json.dumps(document))
    return str(path)


async def _answers(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/v2/") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, OSError):
        return False


async def _push(session: aiohttp.ClientSession, repository: str) -> None:
    """OCI distribution: the configuration as a blob, then the manifest that names it."""
    async with session.post(f"/v2/{repository}/blobs/uploads/") as answer:
        place = _checked(answer, 202).headers["Location"]
    octets = {"Content-Type": "application/octet-stream"}
    where = yarl.URL(place).update_query(digest=_digest(CONFIG))
    async with session.put(where, data=CONFIG, headers=octets) as answer:
        _checked(answer, 201)
    async with session.put(
        f"/v2/{repository}/manifests/{_digest(MANIFEST)}", data=MANIFEST, headers={"Content-Type": _MANIFEST}
    ) as answer:
        _checked(answer, 201)


def _checked(answer: aiohttp.ClientResponse, status: int) -> aiohttp.ClientResponse:
    if answer.status != status:
        raise BenchError(f"{answer.method} {answer.url}: HTTP {answer.status}")
    return answer
