"""The time of a source, on its way from the container that fetches to the one that builds."""

from pathlib import Path

import pytest

from keelway.builder import sourcetime


@pytest.mark.parametrize(("left", "found"), [(1700000000, 1700000000), (0, 0), (-5, 0), (2**62, 253402300799)], ids=str)
def test_a_time_is_found_as_it_was_left_or_as_near_as_an_images_can_be(tmp_path: Path, left: int, found: int) -> None:
    sourcetime.leave(tmp_path / "context", left)
    assert sourcetime.find(tmp_path / "context") == found


def test_a_source_without_a_time_has_a_fixed_one(tmp_path: Path) -> None:
    assert sourcetime.find(tmp_path / "context") == sourcetime.FIXED


@pytest.mark.parametrize(
    ("content", "asked_for"),
    [(b"FROM x\nARG A \\\n  SOURCE_DATE_EPOCH\nRUN make", True), (b"FROM x\nRUN make", False), (b"\xff", False)],
)
def test_a_dockerfile_asks_for_the_time_by_its_name(tmp_path: Path, content: bytes, asked_for: bool) -> None:
    (tmp_path / "Dockerfile").write_bytes(content)
    assert sourcetime.is_asked_for(tmp_path / "Dockerfile") is asked_for
    assert not sourcetime.is_asked_for(tmp_path), "a directory"
    assert not sourcetime.is_asked_for(tmp_path / "dockerfile"), "not there"
