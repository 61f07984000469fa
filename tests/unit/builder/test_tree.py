"""The build context is written from names that nobody vouches for."""

import time
from pathlib import Path

import pytest

from keelway.builder.tree import Tree, TreeCaps, within
from keelway.errors import Terminal


def test_files_directories_and_links_are_made(root: Path, tree: Tree) -> None:
    tree.file("a/b.txt", (b"one", b"two"))
    tree.file("run.sh", (b"#!",), 0o755)
    tree.directory("empty")
    tree.symlink("a/link", "b.txt")
    tree.symlink("up", "a/../run.sh")
    tree.hardlink("same", "a/b.txt")
    tree.finish()
    assert (root / "a/b.txt").read_bytes() == b"onetwo"
    assert (root / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (root / "empty").is_dir()
    assert (root / "a/link").read_bytes() == b"onetwo"
    assert (root / "up").read_bytes() == b"#!"
    assert (root / "same").read_bytes() == b"onetwo"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a/..", "..", "\\x", "a\0b"])
def test_names_that_leave_the_tree_are_refused(tmp_path: Path, tree: Tree, name: str) -> None:
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.file(name, (b"x",))
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.directory(name)
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.symlink(name, "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "tree"]


def test_setuid_setgid_and_sticky_bits_are_cleared(root: Path, tree: Tree) -> None:
    tree.file("su", (b"x",), 0o7755)
    assert (root / "su").stat().st_mode & 0o7777 == 0o755


def test_a_file_stays_readable_for_us_whatever_its_mode_says(root: Path, tree: Tree) -> None:
    tree.file("locked", (b"x",), 0o000)
    assert (root / "locked").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "..", "a/../../outside", "../../../../etc/passwd"])
def test_a_link_out_of_the_tree_is_refused(tree: Tree, target: str) -> None:
    def link() -> None:
        tree.symlink("link", target)
        tree.finish()

    with pytest.raises(Terminal, match="SourceUnsafe"):
        link()


def test_a_link_that_leaves_through_another_link_is_refused(tree: Tree) -> None:
    """By its letters `e` stays inside; the kernel goes up from where `p/q/r/l` leads to."""
    tree.directory("top")
    tree.symlink("p/q/r/l", "../../../top")
    tree.symlink("e", "p/q/r/l/../..")
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.finish()


def test_a_dangling_link_and_a_ring_of_links_stay_inside(root: Path, tree: Tree) -> None:
    tree.symlink("dangling", "nothing/here")
    tree.symlink("one", "two")
    tree.symlink("two", "one")
    tree.finish()
    assert (root / "dangling").is_symlink()


def test_nothing_is_written_through_a_link(tmp_path: Path, tree: Tree) -> None:
    tree.symlink("d", "a")
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.file("d/x", (b"x",))
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.directory("d")
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.symlink("d/y", "z")


def test_a_later_entry_replaces_an_earlier_one(root: Path, tree: Tree) -> None:
    tree.symlink("a", "b")
    tree.file("a", (b"file",))
    tree.file("b", (b"1",))
    tree.hardlink("c", "b")
    tree.file("b", (b"2",))
    tree.finish()
    assert (root / "a").read_bytes() == b"file"
    assert (root / "b").read_bytes() == b"2"
    assert (root / "c").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["f/g", "d", "."])
def test_entries_that_contradict_each_other_are_refused(tree: Tree, name: str) -> None:
    tree.file("f", (b"x",))
    tree.directory("d/e")
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.file(name, (b"x",))
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.symlink(name, "x")


@pytest.mark.parametrize("target", ["../x", "/etc/passwd", "missing", "self"])
def test_a_hard_link_leads_to_a_file_before_it(tree: Tree, target: str) -> None:
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.hardlink("self", target)


@pytest.mark.parametrize("name", ["x" * 300, "/".join(["d" * 200] * 30)])
def test_a_name_too_long_for_the_file_system_is_the_sources_fault(tree: Tree, name: str) -> None:
    with pytest.raises(Terminal, match="SourceUnsafe"):
        tree.file(name, (b"x",))


def test_bytes_are_bounded_while_writing(root: Path) -> None:
    tree = Tree(root, TreeCaps(bytes=1000, entries=10, deadline=time.monotonic() + 60))
    tree.file("a", (b"x" * 600,))
    with pytest.raises(Terminal, match="SourceTooLarge"):
        tree.file("b", (b"x" * 100 for _ in range(10**9)))


def test_entries_are_bounded(root: Path) -> None:
    tree = Tree(root, TreeCaps(bytes=1000, entries=3, deadline=time.monotonic() + 60))
    tree.directory("a")
    tree.symlink("b", "a")
    tree.file("c", ())
    with pytest.raises(Terminal, match="SourceTooLarge"):
        tree.directory("a")


def test_time_is_bounded(root: Path) -> None:
    tree = Tree(root, TreeCaps(bytes=1000, entries=3, deadline=time.monotonic() - 1))
    with pytest.raises(Terminal, match="FetchTimedOut"):
        tree.directory("a")


def test_a_sub_path_is_a_directory_inside_links_followed(root: Path, tree: Tree) -> None:
    tree.file("a/b/Dockerfile", (b"FROM x",))
    tree.symlink("short", "a/b")
    tree.finish()
    assert within(root, None) == root
    assert within(root, "a/b") == root / "a/b"
    assert within(root, "short") == root / "a/b"
    for missing in ("nope", "a/b/Dockerfile"):
        with pytest.raises(Terminal, match="SubPathNotFound"):
            within(root, missing)
    for unsafe in ("../x", "/etc"):
        with pytest.raises(Terminal, match="SourceUnsafe"):
            within(root, unsafe)
