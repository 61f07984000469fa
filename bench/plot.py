"""The picture of bench/README.md: Apps against seconds and memory."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.figures import ratio, size
from bench.results import Figure

_INK: Final = "#1f2933"
_BLUE: Final = "#2563a6"
_ORANGE: Final = "#c8641b"
_GREY: Final = "#8a94a0"
_MOST_APPS: Final = 5000


def series(figures: Sequence[Figure], name: Callable[[int], str]) -> dict[int, Figure]:
    """The figures of that name by their number of Apps."""
    by_name = {one.name: one for one in figures}
    return {apps: by_name[name(apps)] for apps in range(_MOST_APPS + 1) if name(apps) in by_name}


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Write the PNG."""
    # Only the full run needs it.
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    style = {
        "font.size": 10,
        "axes.edgecolor": _GREY,
        "axes.labelcolor": _INK,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        drawing, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
        _seconds(left, figures)
        _memory(right, figures)
        drawing.savefig(path, dpi=144, metadata={"Software": None})
        plt.close(drawing)


def _seconds(axes: Any, figures: Sequence[Figure]) -> None:
    axes.set_title("From cold until every App's status is written", loc="left", fontsize=11)
    operator = series(figures, size.seconds_name)
    for apps, figure in series(figures, ratio.bare_name).items():
        most = max(operator, default=apps)
        axes.plot([0, most], [0, figure.value / apps * most], "--", color=_ORANGE, linewidth=1.5)
        axes.plot([], [], "D--", color=_ORANGE, label="bare client, and its pace")
        axes.plot([apps], [figure.value], "D", color=_ORANGE, markersize=6, zorder=3)
    _line(axes, operator, (-6, 5), "right", "{:.1f} s")
    axes.set_ylabel("seconds")
    _finish(axes)


def _memory(axes: Any, figures: Sequence[Figure]) -> None:
    axes.set_title("Resident memory of the operator", loc="left", fontsize=11)
    measured = series(figures, size.memory_name)
    limits = {apps: one.limit for apps, one in measured.items() if one.limit is not None}
    axes.plot(list(limits), list(limits.values()), "_--", color=_GREY, markersize=12, label="limit")
    _line(axes, measured, (0, -16), "center", "{:.0f} MiB")
    axes.set_ylabel("MiB")
    _finish(axes)


def _line(axes: Any, points: Mapping[int, Figure], offset: tuple[int, int], align: str, text: str) -> None:
    values = [one.value for one in points.values()]
    axes.plot(list(points), values, "o-", color=_BLUE, linewidth=2, markersize=6, zorder=2, label="operator")
    for apps, value in zip(points, values, strict=True):
        axes.annotate(
            text.format(value), (apps, value), xytext=offset, textcoords="offset points", ha=align, color=_BLUE
        )


def _finish(axes: Any) -> None:
    axes.set_xlabel("Apps")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.margins(x=0.08, y=0.15)
    axes.set_xlim(left=-200)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#e4e8ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="upper left")
