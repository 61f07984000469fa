"""Archives as users make them, and as attackers do."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

import zstandard

from tests.e2e.commons import tar

_MEBIBYTE = 1024 * 1024


def tar_gz(files: Mapping[str, str]) -> bytes:
    """A tar.gz."""
    return gzip.compress(tar(files))


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def tar_zst(files: Mapping[str, str]) -> bytes:
    """A tar.zst."""
    return zstandard.compress(tar(files))


def with_link(name: str, target: str) -> bytes:
    """A tar.gz with a Dockerfile and a symbolic link."""
    buffer = io.BytesIO(tar({"Dockerfile": "FROM scratch\n"}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)
    return gzip.compress(buffer.getvalue())


def bomb(mebibytes: int) -> bytes:
    """A small tar.gz with one file of so many MiB of zeros."""
    entry = tarfile.TarInfo("zeros")
    entry.size = mebibytes * _MEBIBYTE
    # gzip streams may be put one behind the other (RFC 1952, 2.2), so only the first MiB needs compressing.
    return gzip.compress(entry.tobuf()) + gzip.compress(bytes(_MEBIBYTE)) * mebibytes
