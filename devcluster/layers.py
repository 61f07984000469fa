"""Layers of images: tar files in the cache, each with its digest beside it."""

import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devcluster import store
from devcluster.settings import Settings

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# Where Debian's update-ca-certificates looks, so that the host's own authorities survive a run of it.
LOCAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Layer:
    """A directory of the cache with `layer.tar` and `digest` (sha256 of the tar, in hexadecimal)."""

    directory: Path

    @property
    def tar(self) -> Path:
        return self.directory / "layer.tar"

    @property
    def digest(self) -> str:
        return (self.directory / "digest").read_text()


def seal(directory: Path) -> None:
    """Note the digest of a `layer.tar` that is complete."""
    (directory / "digest").write_text(store.digest(directory / "layer.tar"))


def of_files(settings: Settings, name: str, files: Mapping[str, Path]) -> Layer:
    """The layer that puts these files in place: path in the image -> file here (a link stays a link)."""
    described = {path: describe(settings, source) for path, source in files.items()}

    def make(directory: Path) -> None:
        with tarfile.open(directory / "layer.tar", "w") as archive:
            for parent in parents(files):
                archive.addfile(entry(parent, tarfile.DIRTYPE, 0o755))
            for path, source in sorted(files.items()):
                add(archive, path, source)
        seal(directory)

    return Layer(store.product(settings.cache / "layers", f"{name}-{store.key(described)}", make))


def describe(settings: Settings, source: Path) -> list[str]:
    """What a file contributes to the key of a layer. A product's path already names all that it was made from."""
    if source.is_relative_to(settings.cache):
        return ["product", str(source.relative_to(settings.cache))]
    if source.is_symlink():
        return ["link", str(source.readlink())]
    return ["file", oct(source.stat().st_mode & 0o111), store.digest(source)]


def add(archive: tarfile.TarFile, path: str, source: Path) -> None:
    if source.is_symlink():
        link = entry(path, tarfile.SYMTYPE, 0o777)
        link.linkname = str(source.readlink())
        archive.addfile(link)
        return
    executable = os.access(source, os.X_OK)
    file = entry(path, tarfile.REGTYPE, 0o755 if executable else 0o644)
    file.size = source.stat().st_size
    with source.open("rb") as content:
        archive.addfile(file, content)


def entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    """A tar header that says nothing of this machine or moment: equal inputs give equal layers."""
    info = tarfile.TarInfo(path.lstrip("/"))
    info.type, info.mode = kind, mode
    return info


def parents(paths: Iterable[str]) -> list[str]:
    """Every directory above these paths, outermost first."""
    found = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    return sorted(found - {"/", "."})


def tree(directory: Path) -> dict[str, Path]:
    """The files below a directory by the path they get in the image."""
    found = sorted(path for path in directory.rglob("*") if path.is_symlink() or path.is_file())
    return {f"/{path.relative_to(directory)}": path for path in found}


def trust() -> dict[str, Path]:
    """The files that make an image trust the certificate authorities that this machine trusts."""
    bundle = Path(os.environ.get("SSL_CERT_FILE") or BUNDLE)
    own = sorted(LOCAL_AUTHORITIES.glob("*.crt"))
    files = {f"{LOCAL_AUTHORITIES}/{path.name}": path for path in own}
    return {**files, BUNDLE: bundle} if bundle.is_file() else files


def add_bytes(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    file = entry(path, tarfile.REGTYPE, 0o644)
    file.size = len(content)
    archive.addfile(file, io.BytesIO(content))
