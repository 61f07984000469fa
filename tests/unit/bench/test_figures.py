"""What the measurements make of what they saw."""

import pytest

from bench.audit import Asked
from bench.errors import BenchError
from bench.figures.size import GROUP, flatness
from bench.figures.sweeps import sweeps_begun
from bench.figures.unrelated import growth_percent
from bench.figures.writes import by_name, first_reads


def asked(verb: str, resource: str, name: str, answered: float) -> Asked:
    return Asked(verb, resource, "", "default", name, 200, "keelway", answered - 0.01, answered)


def test_an_even_pace_is_flat() -> None:
    assert flatness([0.5 + 0.01 * number for number in range(1000)]) == pytest.approx(1.0)


def test_a_pace_that_slows_down_is_not() -> None:
    completed = [0.01 * number for number in range(GROUP)]
    completed += [2 + 0.02 * number for number in range(GROUP)]
    assert flatness(completed) == pytest.approx(2.0)


def test_reads_count_until_the_first_write_is_answered() -> None:
    told = [
        asked("get", "services", "shop", 1.0),
        asked("get", "services", "other", 1.0),
        asked("patch", "services", "shop", 2.0),
        asked("get", "deployments", "shop", 3.0),
    ]
    assert first_reads(told, ["shop", "unwritten"]) == {"shop": 1, "unwritten": 0}


def test_each_app_is_counted_by_its_name() -> None:
    told = [
        asked("patch", "services", "shop", 1.0),
        asked("patch", "apps", "shop", 1.0),
        asked("patch", "apps", "x", 1.0),
    ]
    assert by_name(told, ["shop"]) == {"shop": 2}
    with pytest.raises(BenchError, match="1 of 2"):
        by_name(told, ["shop", "absent"])


def test_a_sweep_is_told_by_its_list_of_images() -> None:
    told = [asked("list", kind, "", 1.0) for kind in ("images", "pods", "images")] + [asked("get", "images", "x", 1.0)]
    assert sweeps_begun(told) == 2


def test_growth_is_of_what_was_before() -> None:
    assert growth_percent(200.0, 203.0) == pytest.approx(1.5)
    assert growth_percent(200.0, 198.0) == pytest.approx(-1.0)
