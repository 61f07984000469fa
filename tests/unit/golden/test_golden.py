"""What Keelway makes of each golden case is what was read and found right (`cases.py` says how to change it)."""

import pytest

from tests.unit.golden.cases import answer, case_names, read


@pytest.mark.parametrize("case", case_names())
def test_golden(case: str) -> None:
    assert answer(read(case, "input")) == read(case, "expected")
