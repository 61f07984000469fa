"""Which capabilities a machine lacks, and how a container is started without them."""

import json
from pathlib import Path

import pytest

from devcluster import bounded_runc, capabilities, engine


def status(bounding: str) -> str:
    return f"Name:\tpython\nCapEff:\t0000000000000000\nCapBnd:\t{bounding}\n"


def test_a_machine_with_every_capability_lacks_none() -> None:
    assert capabilities.missing(status("000001ffffffffff"), last_capability=40) == ()


def test_a_missing_bit_is_named() -> None:
    assert capabilities.missing(status("000001fffeffffff"), last_capability=40) == ("CAP_SYS_RESOURCE",)


def test_what_an_older_kernel_does_not_know_is_not_missing() -> None:
    assert capabilities.missing(status("0000003fffffffff"), last_capability=37) == ()


def test_dockerd_keeps_its_own_runtime_where_nothing_is_missing(tmp_path: Path) -> None:
    assert engine.bounded_runtime(tmp_path, ()) == []
    assert list(tmp_path.iterdir()) == []


def test_dockerd_gets_the_bounded_runtime_where_a_capability_is_missing(tmp_path: Path) -> None:
    flags = engine.bounded_runtime(tmp_path, ("CAP_SYS_RESOURCE",))
    assert flags[-2:] == ["--default-runtime", "bounded"]
    assert "KEELWAY_DROP_CAPABILITIES=CAP_SYS_RESOURCE " in (tmp_path / "bounded-runc").read_text()


PROCESS = {"args": ["sh"], "capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_RESOURCE"], "ambient": []}}
BOUNDED = {"args": ["sh"], "capabilities": {"bounding": ["CAP_KILL"], "ambient": []}}


def test_a_new_container_goes_without(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": PROCESS, "hostname": "node"}))
    bounded_runc.rewrite(["--root", "/run", "create", "--bundle", str(tmp_path), "id"], ["CAP_SYS_RESOURCE"])
    assert json.loads(config.read_text()) == {"process": BOUNDED, "hostname": "node"}


@pytest.mark.parametrize("flag", ["--process {}", "--process={}", "-p {}"])
def test_a_process_in_a_container_goes_without(tmp_path: Path, flag: str) -> None:
    process = tmp_path / "process.json"
    process.write_text(json.dumps(PROCESS))
    bounded_runc.rewrite(["exec", *flag.format(process).split(), "id"], ["CAP_SYS_RESOURCE"])
    assert json.loads(process.read_text()) == BOUNDED


def test_other_calls_of_runc_change_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("not read")
    bounded_runc.rewrite(["state", "id"], ["CAP_SYS_RESOURCE"])
    assert config.read_text() == "not read"
