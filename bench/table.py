"""PURE: the figures as a table of bench/README.md, between two markers."""

from collections.abc import Sequence
from typing import Final

from bench.results import Figure, plain

BEGIN: Final = "<!-- figures: written by `make bench` -->"
END: Final = "<!-- end of figures -->"


def table(figures: Sequence[Figure]) -> str:
    """Those with a limit first, then those that are shown beside them, each in their order."""
    judged = [one for one in figures if one.limit is not None]
    shown = [one for one in figures if one.limit is None]
    lines = ["| figure | measured | limit | |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {one.name} | {_value(one)} | {plain(one.limit or 0)} | {'ok' if one.ok else '**not ok**'} |"
        for one in judged
    ]
    lines += ["", "| beside it | measured |", "| --- | ---: |"]
    lines += [f"| {one.name} | {_value(one)} |" for one in shown]
    return "\n".join(lines)


def replaced(text: str, new: str) -> str:
    """`text` with `new` between the markers. Raises ValueError where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def _value(figure: Figure) -> str:
    return f"{plain(figure.value)} {figure.unit}".rstrip()
