"""Fetches one commit of a git repository and checks its tree out into a `Tree`.

The pack comes over the guarded client of `sources/`, by protocol version 2 or 0; dulwich indexes it and
verifies every object's id. The tree is written by us, so that its rules and caps hold. Submodules are left
as empty directories, as `git clone` leaves them; Git LFS pointers stay pointers.
"""

import asyncio
import stat
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from dulwich import objects as git
from dulwich.errors import ApplyDeltaError, ChecksumMismatch, NotTreeError, ObjectFormatException
from dulwich.object_store import DiskObjectStore
from dulwich.pack import UnresolvedDeltas

from keelway.api.buildrequest import GitRequest
from keelway.builder.tree import Tree, unsafe
from keelway.errors import KeelwayError, Terminal, Transient, Waiting
from keelway.sources.credentials import Credentials
from keelway.sources.git import Remote, connect, find
from keelway.sources.guard import GuardedHttp
from keelway.sources.pktline import Mark, Packet, encode, text

_AGENT = b"agent=keelway\n"
_SUBMODULE = 0o160000
_EXECUTABLE = 0o100
# Nesting that no build context has; git itself stops at 2048 (core.maxTreeDepth).
_MAX_DEPTH = 256
# What dulwich raises for packs that are cut, changed or refer to objects that are not in them.
_BROKEN_PACK = (
    *(ApplyDeltaError, ChecksumMismatch, ObjectFormatException, UnresolvedDeltas, zlib.error),
    *(AssertionError, EOFError, KeyError, ValueError),
)
_DATA, _ERROR = 1, 3  # side-band channels; 2 is progress (gitprotocol-pack)


async def fetch(
    source: GitRequest, credentials: Credentials | None, http: GuardedHttp, store: Path, max_bytes: int
) -> DiskObjectStore:
    """An object store at `store` that holds `source.commit` with its whole tree.

    Raises as `sources.git.resolve` does, and Waiting RevisionNotFound where the commit is not to be had.
    """
    remote = await connect(source.url, credentials, http)
    objects = DiskObjectStore.init(store)
    try:
        await _receive(remote, [source.commit], 1, objects, max_bytes)
    except Waiting as error:
        # Some servers hand out the tips of refs only, version 0 by default: then all that leads to it.
        tips = await _tips(remote, source, error)
        await _receive(remote, tips, None, objects, max_bytes)
    if git.ObjectID(source.commit.encode()) not in objects:
        raise Waiting(
            "RevisionNotFound",
            f"The repository no longer has commit {source.commit}. Push it again, or correct the revision.",
        )
    return objects


def check_out(objects: DiskObjectStore, commit: str, tree: Tree) -> int:
    """The commit's files into `tree`, without finishing it; gives the commit's time, in seconds since 1970.

    Raises Terminal as Tree does, or SourceBroken.
    """
    try:
        found = objects[git.ObjectID(commit.encode())]
        while isinstance(found, git.Tag):
            found = objects[found.object[1]]
        if not isinstance(found, git.Commit):
            raise Terminal("SourceBroken", f"{commit} is no commit. Name a branch, a tag or a commit.")
        _check_out_tree(objects, found.tree, "", 0, tree)
        return int(found.commit_time)
    except (*_BROKEN_PACK, NotTreeError) as error:
        message = f"Commit {commit} is damaged or incomplete on the server. Check the repository (git fsck)."
        raise Terminal("SourceBroken", message) from error


def _check_out_tree(objects: DiskObjectStore, tree_id: git.ObjectID, prefix: str, depth: int, tree: Tree) -> None:
    if depth > _MAX_DEPTH:
        raise unsafe(f"directories nest deeper than {_MAX_DEPTH}")
    git_tree = objects[tree_id]
    if not isinstance(git_tree, git.Tree):
        raise NotTreeError(tree_id)
    for entry in git_tree.iteritems():
        name = prefix + _entry_name(entry.path)
        if entry.mode == _SUBMODULE:
            tree.directory(name)
        elif stat.S_ISDIR(entry.mode):
            tree.directory(name)
            _check_out_tree(objects, entry.sha, f"{name}/", depth + 1, tree)
        elif stat.S_ISLNK(entry.mode):
            tree.symlink(name, _blob(objects, entry.sha).decode(errors="surrogateescape"))
        else:
            mode = 0o755 if entry.mode & _EXECUTABLE else 0o644
            tree.file(name, (_blob(objects, entry.sha),), mode)


def _entry_name(raw: bytes) -> str:
    name = raw.decode(errors="surrogateescape")
    if "/" in name or name in ("", ".", ".."):
        raise unsafe(f"{name!r} is no name for a file")
    return name


def _blob(objects: DiskObjectStore, blob_id: git.ObjectID) -> bytes:
    blob = objects[blob_id]
    if not isinstance(blob, git.Blob):
        raise KeyError(blob_id)
    return blob.data


async def _tips(remote: Remote, source: GitRequest, refusal: Waiting) -> list[str]:
    """What to want where the commit itself is refused: the revision's tip, or every branch's and tag's."""
    if refusal.reason not in ("GitRefused", "UnexpectedAnswer"):
        raise refusal
    if source.revision not in (None, source.commit):
        return [(await find(remote, source.revision)).commit]
    refs = await remote.list_refs(("HEAD", "refs/heads/", "refs/tags/"))
    if not refs:
        raise refusal
    return sorted({ref.commit for ref in refs})


async def _receive(
    remote: Remote, wants: Sequence[str], depth: int | None, objects: DiskObjectStore, max_bytes: int
) -> None:
    body = _command_v2(remote, wants, depth) if remote.version == 2 else _command_v0(remote, wants, depth)
    file, commit, abort = objects.add_pack()
    try:
        async with remote.ask(body, max_bytes) as packets:
            await _write_pack(packets, file)
    except BaseException:
        abort()
        raise
    # In a thread, so that the deadline and SIGTERM are still heard.
    await asyncio.to_thread(_index, commit)


def _index(commit: Callable[[], object]) -> None:
    try:
        commit()
    except (*_BROKEN_PACK, BufferError) as error:
        # dulwich's clean-up stumbles (BufferError) over views of the pack that the first error still holds.
        if isinstance(error.__context__, MemoryError):
            raise MemoryError("git objects") from error
        raise Transient("GitProtocolBroken", "The git server sent a damaged pack. It is tried again.") from error


def _command_v2(remote: Remote, wants: Sequence[str], depth: int | None) -> bytes:
    lines: list[Packet] = [b"command=fetch\n", _AGENT, Mark.DELIMITER, b"no-progress\n", b"ofs-delta\n"]
    lines += [f"want {want}\n".encode() for want in wants]
    if depth is not None and "shallow" in remote.capabilities.get("fetch", "").split():
        lines.append(b"deepen %d\n" % depth)
    return encode(*lines, b"done\n", Mark.FLUSH)


def _command_v0(remote: Remote, wants: Sequence[str], depth: int | None) -> bytes:
    if "side-band-64k" not in remote.capabilities:
        raise Terminal("UnsupportedRepository", "The git server is too old for Keelway. Use another one.")
    offered = [name for name in ("side-band-64k", "ofs-delta", "no-progress") if name in remote.capabilities]
    lines: list[Packet] = [f"want {want}\n".encode() for want in wants]
    lines[0] = f"want {wants[0]} {' '.join(offered)}\n".encode()
    if depth is not None and "shallow" in remote.capabilities:
        lines.append(b"deepen %d\n" % depth)
    return encode(*lines, Mark.FLUSH, b"done\n")


async def _write_pack(packets: AsyncIterator[Packet], file: BinaryIO) -> None:
    """The pack out of either protocol's answer, without what precedes it.

    Those lines (shallow, NAK, section names) begin with a letter, side-band packets with their channel.
    """
    async for packet in packets:
        if not isinstance(packet, bytes) or not packet:
            continue
        if packet[0] == _DATA:
            file.write(packet[1:])
        elif packet[0] == _ERROR:
            raise _server_error(text(packet[1:]))
    if file.tell() == 0:
        raise Transient("GitProtocolBroken", "The git server sent no pack. It is tried again.")


def _server_error(said: str) -> KeelwayError:
    return Waiting("GitRefused", f"The git server said: {said[:300]}. Check the repository and its access.")
