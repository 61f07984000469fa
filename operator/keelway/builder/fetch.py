"""From every kind of source, one way into the directory that BuildKit gets as its context.

Everything a tenant names goes through `sources/guard.py`, everything it contains through `tree.py`.
"""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from keelway.api.buildrequest import (
    SOURCE_PASSWORD_FILE,
    SOURCE_TOKEN_FILE,
    SOURCE_USERNAME_FILE,
    BuildRequest,
    Caps,
    GitRequest,
    HttpRequest,
)
from keelway.builder import archive, gitfetch, sourcetime
from keelway.builder.tree import Tree, TreeCaps, too_large, within
from keelway.errors import Terminal, Transient
from keelway.sources.addresses import parse_networks
from keelway.sources.credentials import Credentials
from keelway.sources.guard import Guard, GuardedHttp, Request


async def fetch(request: BuildRequest, request_dir: Path, context: Path) -> None:
    """Fills `context`, a directory that does not exist yet, and leaves the source's time beside it.

    Raises Terminal (ChecksumMismatch, SourceUnsafe, SourceTooLarge, SubPathNotFound, UnsupportedArchive,
    ArchiveBroken, FetchTimedOut, AddressRefused, ...), Waiting (HostNotFound, Unauthorized, NotFound,
    RateLimited, RevisionNotFound, ...) or Transient.
    """
    deadline = time.monotonic() + request.caps.fetch_seconds
    context.parent.mkdir(parents=True, exist_ok=True)
    # Beside the context, so that moving it there is a rename. A cancelled thread may still write into it.
    with tempfile.TemporaryDirectory(dir=context.parent, prefix="fetch-", ignore_cleanup_errors=True) as scratch:
        root, moment = await _fill(request, request_dir, Path(scratch), deadline)
        root.rename(context)
    sourcetime.leave(context, moment)


@dataclass(frozen=True)
class _Place:
    scratch: Path
    tree: Tree
    caps: TreeCaps
    credentials: Credentials | None


async def _fill(request: BuildRequest, request_dir: Path, scratch: Path, deadline: float) -> tuple[Path, int]:
    """The context's root and the source's time."""
    caps = TreeCaps(request.caps.unpacked_bytes, request.caps.entries, deadline)
    tree = Tree(scratch / "tree", caps)
    place = _Place(scratch, tree, caps, credentials_in(request_dir))
    source = request.source
    moment = sourcetime.FIXED
    if source.git is not None:
        moment = await _fill_from_git(source.git, request, place)
    if source.http is not None:
        await _fill_from_http(source.http, request, place)
    for file in source.files or ():
        tree.file(file.name, (file.data(),))
    tree.finish()
    asked = source.git or source.http
    return within(scratch / "tree", asked.sub_path if asked else None), moment


@asynccontextmanager
async def _in_time(deadline: float) -> AsyncIterator[None]:
    """Bounds what waits for others; unpacking is bounded by the Tree, and is the source's own fault."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        message = "The source's server took too long. It is tried again; use a nearer or smaller source."
        raise Transient("FetchTimedOut", message) from error


async def _fill_from_git(source: GitRequest, request: BuildRequest, place: _Place) -> int:
    """The commit's time."""
    guard = Guard(parse_networks(request.allowed_networks))
    store = place.scratch / "objects"
    async with _in_time(place.caps.deadline), GuardedHttp(guard) as http:
        objects = await gitfetch.fetch(source, place.credentials, http, store, request.caps.download_bytes)
    # In a thread, so that SIGTERM is still heard.
    moment = await asyncio.to_thread(gitfetch.check_out, objects, source.commit, place.tree)
    objects.close()
    return moment


async def _fill_from_http(source: HttpRequest, request: BuildRequest, place: _Place) -> None:
    # The sha256 protects the content, so plain http will do.
    guard = Guard(parse_networks(request.allowed_networks), plain_http=True)
    file = place.scratch / "download"
    async with _in_time(place.caps.deadline), GuardedHttp(guard) as http:
        await download(source, http, file, request.caps)
    await asyncio.to_thread(archive.unpack, file, place.tree, place.caps)
    file.unlink()


async def download(source: HttpRequest, http: GuardedHttp, file: Path, caps: Caps) -> None:
    """The URL's content into `file`; raises Terminal ChecksumMismatch before anybody has read of it."""
    digest = hashlib.sha256()
    with file.open("wb") as out:
        try:
            async with http.stream(Request(source.url), caps.download_bytes) as answer:
                async for chunk in answer.chunks():
                    digest.update(chunk)
                    out.write(chunk)
        except Terminal as error:
            raise too_large(error.message) if error.reason == "ResponseTooLarge" else error from error
    if digest.hexdigest() != source.sha256:
        raise Terminal(
            "ChecksumMismatch",
            f"The file at the URL has sha256 {digest.hexdigest()}, not {source.sha256}. "
            "Correct spec.source.http.sha256, or find out who changed the file.",
        )


def credentials_in(request_dir: Path) -> Credentials | None:
    """The source's credentials beside the request; None where there are none."""
    username, password, token = (
        _text(request_dir / name) for name in (SOURCE_USERNAME_FILE, SOURCE_PASSWORD_FILE, SOURCE_TOKEN_FILE)
    )
    if token is None and password is None:
        return None
    return Credentials(username, password, token)


def _text(path: Path) -> str | None:
    # A trailing line feed comes from `echo` or an editor and belongs to no credential.
    return path.read_text().rstrip("\r\n") if path.is_file() else None
