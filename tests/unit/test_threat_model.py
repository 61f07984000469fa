"""docs/security.md: every line of the threat model names a test, and every test named is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`:]+\.py)::([A-Za-z_:]+)`", PAGE)))
ROWS = [
    line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| ---", "| **"))
]


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    assert re.search(rf"^\s*(async )?def {test.rpartition('::')[2]}\(", (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS)
def test_every_threat_has_its_test(row: str) -> None:
    threat, defence, tests = (cell.strip() for cell in row.strip("|").split(" | "))
    assert threat
    assert defence
    assert re.fullmatch(r"`tests/[^`]+::test_\w+`(, `tests/[^`]+::test_\w+`)*", tests)


def test_it_is_one_page() -> None:
    assert len(PAGE.splitlines()) < 90
