"""Writes the build context, entry by entry, from names that nobody vouches for: used by every kind of source.

No name may leave the tree and nothing is ever written through a link: links are made when everything else
is there, and each must end inside of the tree. Bytes, entries and time are bounded while writing.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from keelway.errors import Terminal

_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755
_OWNER_BITS = 0o600
# setuid, setgid and sticky go; what else an archive says of a file's mode is kept, as COPY keeps it.
_PERMISSIONS = 0o777


@dataclass(frozen=True)
class TreeCaps:
    """Bytes written, entries made, and the `time.monotonic()` by which all must be done."""

    bytes: int
    entries: int
    deadline: float


class Tree:
    """A directory being filled: `finish()` must be called at the end, and makes the links.

    Every method raises Terminal: SourceUnsafe for a name or link that leaves the tree or for entries that
    contradict each other, SourceTooLarge past a cap, FetchTimedOut past the deadline.
    """

    def __init__(self, root: Path, caps: TreeCaps) -> None:
        self._root = root
        self._caps = caps
        self._bytes = 0
        self._entries = 0
        self._links: dict[PurePosixPath, str] = {}
        root.mkdir(parents=True, exist_ok=True)

    def directory(self, name: str) -> None:
        """A directory and its parents; one that is there already is fine."""
        self._count_entry()
        self._make_directory(safe_name(name))

    def file(self, name: str, chunks: Iterable[bytes], mode: int = _FILE_MODE) -> None:
        """A regular file; a later one of the same name replaces it, as tar says."""
        self._count_entry()
        path = self._place(safe_name(name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with _blaming(name), os.fdopen(os.open(path, flags, _OWNER_BITS), "wb") as out:
            for chunk in chunks:
                self._count_bytes(len(chunk))
                out.write(chunk)
        path.chmod((mode & _PERMISSIONS) | _OWNER_BITS)

    def symlink(self, name: str, target: str) -> None:
        """A symbolic link, made by `finish`."""
        self._count_entry()
        path = safe_name(name)
        if PurePosixPath(target).is_absolute():
            raise unsafe(f"{name!r} links to {target!r}, out of the tree")
        self._place(path)
        self._links[path] = target

    def hardlink(self, name: str, target: str) -> None:
        """A second name of a file (or symbolic link) that came before."""
        self._count_entry()
        path, source = safe_name(name), safe_name(target)
        if source in self._links:
            self._links[path] = self._links[source]
            return
        with _blaming(target):
            if path == source or not (self._root / source).is_file():
                raise unsafe(f"{name!r} is a hard link to {target!r}, no file before it")
        with _blaming(name):
            self._place(path).hardlink_to(self._root / source)

    def finish(self) -> None:
        """Makes the symbolic links and checks where each of them ends."""
        for path, target in self._links.items():
            with _blaming(str(path)):
                self._make_directory(path.parent)
                (self._root / path).symlink_to(target)
        root = os.path.realpath(self._root)
        for path, target in self._links.items():
            end = os.path.realpath(self._root / path)
            if end != root and not end.startswith(root + os.sep):
                raise unsafe(f"{str(path)!r} links to {target!r}, out of the tree")

    def check_time(self) -> None:
        """Raises FetchTimedOut past the deadline; called between pieces of work."""
        if time.monotonic() > self._caps.deadline:
            raise Terminal("FetchTimedOut", "Fetching the source took too long. Use a smaller source.")

    def _place(self, path: PurePosixPath) -> Path:
        """Where to make an entry; what was there under that name is gone."""
        if path == PurePosixPath("."):
            raise unsafe("the tree's own root is not a directory")
        self._make_directory(path.parent)
        self._links.pop(path, None)
        place = self._root / path
        with _blaming(str(path)):
            if place.is_dir():
                raise unsafe(f"{str(path)!r} is both a directory and a file")
            place.unlink(missing_ok=True)
        return place

    def _make_directory(self, path: PurePosixPath) -> None:
        if any(parent in self._links for parent in (path, *path.parents)):
            raise unsafe(f"{str(path)!r} is both a directory and a link")
        with _blaming(str(path)):
            (self._root / path).mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)

    def _count_entry(self) -> None:
        self.check_time()
        self._entries += 1
        if self._entries > self._caps.entries:
            raise too_large(f"over {self._caps.entries} entries")

    def _count_bytes(self, count: int) -> None:
        self.check_time()
        self._bytes += count
        if self._bytes > self._caps.bytes:
            raise too_large(f"over {self._caps.bytes} bytes when unpacked")


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """What the file system refuses because of the source's names or size, as errors of the source."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise unsafe(f"{name!r} is under what is no directory") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise unsafe(f"{name[:80]!r}... is too long a name") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise too_large("the disk space for it is used up") from error
        raise


def safe_name(name: str) -> PurePosixPath:
    """A relative path that stays where it is put; raises Terminal SourceUnsafe."""
    path = PurePosixPath(name)
    if path.is_absolute() or name.startswith("\\"):
        raise unsafe(f"{name!r} is an absolute name")
    if ".." in path.parts or "\0" in name:
        raise unsafe(f"{name!r} leads out of the tree")
    return path


def within(root: Path, sub_path: str | None) -> Path:
    """The directory `sub_path` of a finished tree, links followed but not out of it; SubPathNotFound."""
    if not sub_path:
        return root
    found = Path(os.path.realpath(root / safe_name(sub_path)))
    if not found.is_dir() or not found.is_relative_to(os.path.realpath(root)):
        raise Terminal("SubPathNotFound", f"The source has no directory {sub_path!r}. Correct subPath.")
    return found


def unsafe(what: str) -> Terminal:
    """The source holds what must not be unpacked."""
    return Terminal("SourceUnsafe", f"The source is refused: {what}. Remove that entry.")


def too_large(what: str) -> Terminal:
    """The source goes past a cap."""
    return Terminal("SourceTooLarge", f"The source is too large: {what}. Make it smaller.")
