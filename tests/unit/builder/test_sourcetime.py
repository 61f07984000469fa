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
