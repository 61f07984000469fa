"""Finished work: made once, whole or not at all."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devcluster import store


def test_a_product_is_made_once(tmp_path: Path) -> None:
    def make(directory: Path) -> None:
        (directory / "file").write_text("x")

    first = store.product(tmp_path, "name", make)
    second = store.product(tmp_path, "name", lambda _: pytest.fail("made twice"))
    assert first == second
    assert (second / "file").read_text() == "x"


def test_an_interrupted_product_is_not_there_and_leaves_nothing_after_the_next(tmp_path: Path) -> None:
    def interrupted(directory: Path) -> None:
        (directory / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.product(tmp_path, "name", interrupted)
    assert not (tmp_path / "name").exists()
    finished = store.product(tmp_path, "name", lambda _: None)
    assert [one for one in tmp_path.iterdir() if one.is_dir()] == [finished]


def test_a_file_counts_by_its_content_in_a_key(tmp_path: Path) -> None:
    file = tmp_path / "go.sum"
    file.write_text("a")
    before = store.key("etcd", [file])
    file.write_text("b")
    assert store.key("etcd", [file]) != before


def test_a_link_is_replaced(tmp_path: Path) -> None:
    store.link(Path("/old/kubectl"), tmp_path / "bin" / "kubectl")
    store.link(Path("/new/kubectl"), tmp_path / "bin" / "kubectl")
    assert (tmp_path / "bin" / "kubectl").readlink() == Path("/new/kubectl")


def test_of_two_that_want_a_product_at_once_one_makes_it(tmp_path: Path) -> None:
    made: list[Path] = []
    begun, go_on = threading.Event(), threading.Event()

    def make(directory: Path) -> None:
        made.append(directory)
        begun.set()
        assert go_on.wait(10)
        (directory / "tool").write_text("x")

    with ThreadPoolExecutor() as pool:
        first = pool.submit(store.product, tmp_path, "tool-1", make)
        assert begun.wait(10)
        second = pool.submit(store.product, tmp_path, "tool-1", make)
        go_on.set()
        assert first.result(10) == second.result(10) == tmp_path / "tool-1"
    assert len(made) == 1
