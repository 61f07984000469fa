"""Unpacks a downloaded archive into a `Tree`: tar.gz, tar.zst or zip, told by its first bytes.

Nothing of an archive is trusted: what inflates is bounded while it inflates, and only directories, regular
files and links are made. A single top-level directory is kept as it is; `subPath` goes into it.
"""

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import IO, cast

import zstandard

from keelway.builder.tree import Tree, TreeCaps, too_large, unsafe
from keelway.errors import Terminal

_CHUNK = 1024 * 1024
# tar pads each entry to blocks of 512 bytes and may put an extended header before it.
_TAR_BYTES_PER_ENTRY = 4096
# tarfile holds extended headers in memory: a name and a few attributes, never a megabyte of them.
_TAR_HEADER_BYTES = 1024 * 1024
# zstd's own default for what a decoder should accept (--long needs more).
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zstandard.ZstdError, zlib.error, gzip.BadGzipFile, EOFError)


def unpack(archive: Path, tree: Tree, caps: TreeCaps) -> None:
    """All of `archive` into `tree`, without finishing it.

    Raises Terminal UnsupportedArchive, ArchiveBroken, or as Tree does. zipfile holds a zip's directory in
    memory, however long: the caller bounds the process's memory (`__main__.py`).
    """
    with archive.open("rb") as file:
        unpacker = _unpacker(file.read(4))
        file.seek(0)
        try:
            unpacker(file, tree, caps)
        except _BROKEN as error:
            detail = str(error)[:200] or type(error).__name__
            raise Terminal("ArchiveBroken", f"The archive is damaged: {detail}. Make it anew.") from error


def _unpacker(magic: bytes) -> Callable[[IO[bytes], Tree, TreeCaps], None]:
    if magic.startswith(b"\x1f\x8b"):
        return lambda file, tree, caps: _untar(cast("IO[bytes]", gzip.GzipFile(fileobj=file)), tree, caps)
    if magic == b"\x28\xb5\x2f\xfd":
        return lambda file, tree, caps: _untar(_zstd(file), tree, caps)
    if magic in (b"PK\x03\x04", b"PK\x05\x06"):
        return _unzip
    raise Terminal("UnsupportedArchive", "The file is no tar.gz, tar.zst or zip. Pack it as one of them.")


def _zstd(file: IO[bytes]) -> IO[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    return decompressor.stream_reader(file, read_across_frames=True)


class _Bounded(RawIOBase):
    """A decompressed stream that ends in SourceTooLarge rather than never."""

    def __init__(self, stream: IO[bytes], tree: Tree, caps: TreeCaps) -> None:
        self._stream = stream
        self._tree = tree
        self._left = caps.bytes + caps.entries * _TAR_BYTES_PER_ENTRY
        # Opening a tar reads its first header already.
        self.header_left: int | None = _TAR_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        self._tree.check_time()
        data = self._stream.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise too_large("it inflates past every bound")
        if self.header_left is not None:
            self.header_left -= len(data)
            if self.header_left < 0:
                raise unsafe("an entry's header is over a megabyte")
        return data


def _untar(stream: IO[bytes], tree: Tree, caps: TreeCaps) -> None:
    bounded = _Bounded(stream, tree, caps)
    with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|", errorlevel=2) as tar:
        while (member := _next(tar, bounded)) is not None:
            _add(tar, member, tree)
            # tarfile remembers each member for random access, which a stream has no use for.
            tar.members = []  # type: ignore[attr-defined]


def _next(tar: tarfile.TarFile, bounded: _Bounded) -> tarfile.TarInfo | None:
    bounded.header_left = _TAR_HEADER_BYTES
    member = tar.next()
    bounded.header_left = None
    return member


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree) -> None:
    if member.isdir():
        tree.directory(member.name)
    elif member.isreg():
        content = tar.extractfile(member)
        tree.file(member.name, _chunks(content) if content else (), member.mode)
    elif member.issym():
        tree.symlink(member.name, member.linkname)
    elif member.islnk():
        tree.hardlink(member.name, member.linkname)
    else:
        raise unsafe(f"{member.name!r} is a device, a pipe or of another special kind")


def _unzip(file: IO[bytes], tree: Tree, _: TreeCaps) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            _add_zipped(archive, member, tree)


def _add_zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, tree: Tree) -> None:
    if member.flag_bits & 0x1:
        raise Terminal("UnsupportedArchive", "The zip archive is encrypted. Pack it without a password.")
    mode = member.external_attr >> 16  # Unix modes, where the archive was made on Unix; else 0
    kind = stat.S_IFMT(mode)
    if member.is_dir():
        tree.directory(member.filename)
    elif kind == stat.S_IFLNK:
        tree.symlink(member.filename, _link_target(archive, member))
    elif kind in (0, stat.S_IFREG):
        with archive.open(member) as content:
            tree.file(member.filename, _chunks(content), mode & 0o777 or 0o644)
    else:
        raise unsafe(f"{member.filename!r} is a device, a pipe or of another special kind")


def _link_target(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    with archive.open(member) as content:
        target = content.read(4096)  # PATH_MAX
    return target.decode(errors="surrogateescape")


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(_CHUNK):
        yield chunk
