import pytest

from bench.results import Figure
from bench.table import BEGIN, END, replaced, table

FIGURES = [Figure("writes", 4, limit=5), Figure("CPU", 1.25, "s"), Figure("edit, p99", 300, "ms", 250)]


def test_what_has_a_limit_comes_first() -> None:
    assert table(FIGURES).splitlines() == [
        "| figure | measured | limit | |",
        "| --- | ---: | ---: | --- |",
        "| writes | 4 | 5 | ok |",
        "| edit, p99 | 300 ms | 250 | **not ok** |",
        "",
        "| beside it | measured |",
        "| --- | ---: |",
        "| CPU | 1.25 s |",
    ]


def test_a_limit_of_nothing_is_shown() -> None:
    assert "| writes | 0 | 0 | ok |" in table([Figure("writes", 0, limit=0)])


def test_only_what_is_between_the_markers_changes() -> None:
    text = f"# Bench\n\n{BEGIN}\nold\n{END}\n\nmore\n"
    once = replaced(text, "new")
    assert once == f"# Bench\n\n{BEGIN}\nnew\n{END}\n\nmore\n"
    assert replaced(once, "new") == once


@pytest.mark.parametrize("text", ["# Bench\n", f"{BEGIN}\n", f"{END}\n"])
def test_a_text_without_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="figures"):
        replaced(text, "new")
