"""Archives are unpacked, whatever they try."""

import bz2
import gzip
import io
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import zstandard

from keelway.builder.archive import unpack
from keelway.builder.tree import Tree, TreeCaps
from keelway.errors import Terminal
from tests.unit.builder.archives import Entry, tar, tar_gz, tar_zst, zipped

GOOD = (Entry("app/Dockerfile", b"FROM scratch\n"), Entry("app/run", b"#!", mode=0o4755))
BOMB_CAPS = TreeCaps(bytes=100_000, entries=50, deadline=time.monotonic() + 3600)


def unpacked(archive: bytes, tmp_path: Path, caps: TreeCaps) -> Path:
    (tmp_path / "archive").write_bytes(archive)
    tree = Tree(tmp_path / "tree", caps)
    unpack(tmp_path / "archive", tree, caps)
    tree.finish()
    return tmp_path / "tree"


@pytest.mark.parametrize("pack", [tar_gz, tar_zst], ids=["tar.gz", "tar.zst"])
def test_a_tar_is_unpacked_with_its_top_directory_and_modes(pack: object, tmp_path: Path, caps: TreeCaps) -> None:
    assert callable(pack)
    links = (
        Entry("app/link", kind=tarfile.SYMTYPE, link="run"),
        Entry("app/hard", kind=tarfile.LNKTYPE, link="app/run"),
    )
    root = unpacked(pack(Entry("./", kind=tarfile.DIRTYPE), *GOOD, *links), tmp_path, caps)
    assert (root / "app/Dockerfile").read_text() == "FROM scratch\n"
    assert (root / "app/run").stat().st_mode & 0o7777 == 0o755
    assert (root / "app/link").read_text() == "#!"
    assert (root / "app/hard").read_text() == "#!"


def test_a_zip_is_unpacked_with_its_links(tmp_path: Path, caps: TreeCaps) -> None:
    root = unpacked(zipped({"app/": b"", "app/a": b"A"}, {"app/l": "a"}), tmp_path, caps)
    assert (root / "app/l").read_bytes() == b"A"


def test_a_gzip_of_several_members_is_one_stream(tmp_path: Path, caps: TreeCaps) -> None:
    whole = tar(GOOD)
    root = unpacked(gzip.compress(whole[:700]) + gzip.compress(whole[700:]), tmp_path, caps)
    assert (root / "app/Dockerfile").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", bz2.compress(b"x"), tar(GOOD), b"<html>"])
def test_other_files_are_refused_by_their_first_bytes(content: bytes, tmp_path: Path, caps: TreeCaps) -> None:
    with pytest.raises(Terminal, match="UnsupportedArchive"):
        unpacked(content, tmp_path, caps)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 8]) + data[middle + 8 :]


@pytest.mark.parametrize(
    "content",
    [
        tar_gz(*GOOD)[:60],
        tar_zst(*GOOD)[:30],
        _flipped(tar_gz(*GOOD)),
        _flipped(zipped({"a": bytes(range(256)) * 9})),
        zipped({"a": b"x"})[:30],
        gzip.compress(b"no tar at all" * 100),
    ],
    ids=["cut gz", "cut zst", "changed gz", "changed zip", "cut zip", "gz of no tar"],
)
def test_a_damaged_archive_is_called_so(content: bytes, tmp_path: Path, caps: TreeCaps) -> None:
    with pytest.raises(Terminal, match="ArchiveBroken"):
        unpacked(content, tmp_path, caps)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("../evil", b"x"),
        Entry("/abs", b"x"),
        Entry("a/../../evil", b"x"),
        Entry("l", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        Entry("l", kind=tarfile.SYMTYPE, link="../../etc/passwd"),
        Entry("h", kind=tarfile.LNKTYPE, link="/etc/passwd"),
        Entry("h", kind=tarfile.LNKTYPE, link="../archive"),
        Entry("dev", kind=tarfile.CHRTYPE),
        Entry("dev", kind=tarfile.BLKTYPE),
        Entry("pipe", kind=tarfile.FIFOTYPE),
    ],
)
def test_entries_that_reach_out_are_refused(entry: Entry, tmp_path: Path, caps: TreeCaps) -> None:
    with pytest.raises(Terminal, match="SourceUnsafe"):
        unpacked(tar_gz(entry), tmp_path, caps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "tree"]


def test_writing_through_a_link_of_the_archive_is_refused(tmp_path: Path, caps: TreeCaps) -> None:
    (tmp_path / "outside").mkdir()
    entries = (Entry("d", kind=tarfile.SYMTYPE, link=str(tmp_path / "outside")), Entry("d/x", b"x"))
    with pytest.raises(Terminal, match="SourceUnsafe"):
        unpacked(tar_gz(*entries), tmp_path, caps)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/abs"])
def test_a_zips_names_are_checked_too(name: str, tmp_path: Path, caps: TreeCaps) -> None:
    with pytest.raises(Terminal, match="SourceUnsafe"):
        unpacked(zipped({name: b"x"}), tmp_path, caps)


def test_a_zips_link_out_of_the_tree_is_refused(tmp_path: Path, caps: TreeCaps) -> None:
    with pytest.raises(Terminal, match="SourceUnsafe"):
        unpacked(zipped({}, {"l": "/etc/passwd"}), tmp_path, caps)


def test_an_encrypted_zip_is_refused(tmp_path: Path, caps: TreeCaps) -> None:
    data = bytearray(zipped({"a": b"x"}))
    data[6] |= 1  # the flag in the entry's own header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Terminal, match="UnsupportedArchive"):
        unpacked(bytes(data), tmp_path, caps)


ZEROS = b"\0" * 20_000_000


@pytest.mark.parametrize(
    "bomb",
    [
        tar_gz(Entry("big", ZEROS)),
        tar_zst(Entry("big", ZEROS)),
        zipped({"big": ZEROS}),
        tar_gz(*(Entry(f"f{number}", b"x" * 3000) for number in range(40))),
    ],
    ids=["gz", "zst", "zip", "many files"],
)
def test_what_inflates_past_the_cap_is_stopped(bomb: bytes, tmp_path: Path) -> None:
    assert len(bomb) < 100_000
    with pytest.raises(Terminal, match="SourceTooLarge"):
        unpacked(bomb, tmp_path, BOMB_CAPS)
    assert sum(path.stat().st_size for path in (tmp_path / "tree").iterdir()) <= BOMB_CAPS.bytes


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_an_endless_header_is_stopped_before_it_fills_the_memory(pack: object, tmp_path: Path, caps: TreeCaps) -> None:
    """tarfile holds an extended header (names, attributes) in memory, however long it says to be."""
    assert callable(pack)
    header = tarfile.TarInfo("header")
    header.type, header.size = tarfile.XHDTYPE, len(ZEROS)
    generous = TreeCaps(bytes=10**9, entries=caps.entries, deadline=caps.deadline)
    with pytest.raises(Terminal, match=r"SourceUnsafe.*header"):
        unpacked(pack(header.tobuf() + ZEROS), tmp_path, generous)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_a_stream_that_inflates_without_becoming_files_is_stopped(pack: object, tmp_path: Path) -> None:
    """A directory with content: tar says to skip it, and skipping inflates it."""
    assert callable(pack)
    directory = tarfile.TarInfo("d")
    directory.type, directory.size = tarfile.CONTTYPE, len(ZEROS)
    with pytest.raises(Terminal, match="SourceTooLarge"):
        unpacked(pack(directory.tobuf() + ZEROS), tmp_path, BOMB_CAPS)


def test_a_zip_of_too_many_entries_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="SourceTooLarge"):
        unpacked(zipped({f"f{number}": b"" for number in range(60)}), tmp_path, BOMB_CAPS)


def test_a_tar_of_too_many_entries_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="SourceTooLarge"):
        unpacked(tar_gz(*(Entry(f"f{number}") for number in range(60))), tmp_path, BOMB_CAPS)


def test_a_sparse_files_holes_count(tmp_path: Path) -> None:
    """A GNU sparse file of 1 TiB takes three blocks of the archive."""
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % 0, b"%011o\0" % 512
    header[483:495] = b"\x80" + (2**40).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(Terminal, match="SourceTooLarge"):
        unpacked(gzip.compress(bytes(header) + b"x" * 512 + b"\0" * 1024), tmp_path, BOMB_CAPS)


def test_a_lying_size_in_a_zip_does_not_help(tmp_path: Path) -> None:
    buffer = io.BytesIO(zipped({"big": ZEROS}))
    with zipfile.ZipFile(buffer) as archive:
        assert archive.infolist()[0].file_size == len(ZEROS)
    data = buffer.getvalue().replace(len(ZEROS).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(Terminal, match=r"ArchiveBroken|SourceTooLarge"):
        unpacked(data, tmp_path, BOMB_CAPS)
