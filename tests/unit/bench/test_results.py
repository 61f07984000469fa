import json
import math

import pytest

from bench.results import Figure, median, percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 99, 7.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([float(number) for number in range(1, 201)], 99, 198.0),
        ([float(number) for number in range(1, 101)], 100, 100.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


@pytest.mark.parametrize(("values", "expected"), [([3.0, 1.0, 2.0], 2.0), ([4.0, 1.0], 2.5), ([5.0], 5.0)])
def test_the_median_is_the_middle(values: list[float], expected: float) -> None:
    assert median(values) == expected


@pytest.mark.parametrize("of_none", [median, lambda values: percentile(values, 50)])
def test_nothing_measured_has_no_middle(of_none: object) -> None:
    assert callable(of_none)
    with pytest.raises(ValueError, match="no values"):
        of_none([])


@pytest.mark.parametrize(
    ("value", "limit", "ok"),
    [(5, 5, True), (5.01, 5, False), (9, None, True), (math.inf, 5, False), (math.nan, 5, False)],
)
def test_a_figure_is_ok_up_to_its_limit(value: float, limit: float | None, ok: bool) -> None:
    assert Figure("one", value, limit=limit).ok is ok


def test_an_entry_of_results_has_what_was_asked_for_and_survives_json() -> None:
    figure = Figure("edit, p99", 12.34567, "ms", 250.0)
    entry = json.loads(json.dumps(figure.to_dict()))
    assert entry == {"name": "edit, p99", "value": 12.3457, "limit": 250.0, "ok": True, "unit": "ms"}
    assert Figure.from_dict(entry) == Figure("edit, p99", 12.3457, "ms", 250.0)


def test_what_could_not_be_measured_is_null_and_not_ok() -> None:
    entry = Figure("edits", math.inf, limit=0).to_dict()
    assert (entry["value"], entry["ok"]) == (None, False)
    assert not Figure.from_dict(entry).ok


def test_a_line_tells_value_limit_and_verdict() -> None:
    assert str(Figure("edit, p99", 251.4, "ms", 250.0)) == "NOT OK edit, p99: 251 ms  (limit 250)"
    assert str(Figure("memory", 99.5, "MiB", 100)) == "ok     memory: 99.5 MiB  (limit 100)"
    assert str(Figure("CPU", 0.25, "s")) == "       CPU: 0.25 s"
