"""A real git server: `git http-backend` behind an HTTP handler, and repositories made by the git binary."""

import asyncio
import hashlib
import os
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from keelway.sources.pktline import Mark, encode
from tests.unit.web import Handler


@dataclass(frozen=True)
class Repository:
    """A bare repository at `path`, with a work tree beside it."""

    path: Path

    @classmethod
    def create(cls, root: Path, name: str = "app.git") -> "Repository":
        repository = cls(root / name)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository.path], check=True)
        repository.work.mkdir(parents=True)
        repository.git("config", "http.receivepack", "false")
        return repository

    @property
    def work(self) -> Path:
        return self.path.with_suffix(".work")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """What git prints."""
        return self._run(arguments, stdin).decode().strip()

    def pack(self, commit: str) -> bytes:
        """A pack of everything that the commit leads to."""
        return self._run(("pack-objects", "-q", "--revs", "--stdout"), f"{commit}\n".encode())

    def _run(self, arguments: Sequence[str], stdin: bytes) -> bytes:
        command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
        command += [f"--git-dir={self.path}", f"--work-tree={self.work}", *arguments]
        return subprocess.run(command, cwd=self.work, check=True, capture_output=True, input=stdin).stdout

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        """Writes the files, commits all, and gives the commit's id."""
        for name, content in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(content)
        self.git("config", "core.bare", "false")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def backend(root: Path, version_2: bool = True) -> Handler:
    """Serves the repositories below `root`; `version_2=False` hides the client's wish for protocol 2."""

    async def handle(request: web.Request) -> web.StreamResponse:
        environment = os.environ | {
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", "") if version_2 else "",
        }
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=-1, stdout=-1, stderr=-3, env=environment
        )
        output, _ = await process.communicate(await request.read())
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, body=body, headers=headers)

    return handle


def only_pack(pack: bytes) -> Handler:
    """A server of protocol 2 that answers every fetch with this pack."""

    async def handle(request: web.Request) -> web.Response:
        if request.method == "GET":
            body = encode(b"version 2\n", b"fetch=shallow\n", Mark.FLUSH)
            return web.Response(body=body, content_type="application/x-git-upload-pack-advertisement")
        pieces = [b"\x01" + pack[start : start + 65_000] for start in range(0, len(pack), 65_000)]
        return web.Response(body=encode(b"packfile\n", *pieces, Mark.FLUSH))

    return handle


def pack_of_zeros(size: int) -> bytes:
    """A pack whose one blob is `size` zeros (gitformat-pack: header, type and size, zlib stream, SHA-1)."""
    head, rest = bytearray([0x30 | size & 0x0F]), size >> 4
    while rest:
        head[-1] |= 0x80
        head.append(rest & 0x7F)
        rest >>= 7
    compressor = zlib.compressobj(1)
    chunk = bytes(2**20)
    stream = b"".join(compressor.compress(chunk[: min(2**20, size - done)]) for done in range(0, size, 2**20))
    body = b"PACK" + (2).to_bytes(4) + (1).to_bytes(4) + head + stream + compressor.flush()
    return body + hashlib.sha1(body).digest()
