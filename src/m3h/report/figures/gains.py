"""What chosen sets gain: by the cross-validation that chose them, and on test rows that did not, joined by a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from m3h.report import words
from m3h.report.choices import Choice
from m3h.report.figures import drawing

_LABELS, _VALUES = 2.5, 1.35  # inches left for names and right for numbers
_CHOSE, _TESTED = 0.14, 0.7  # inches from the axes to either number
_TOP, _BOTTOM, _STEP = 0.34, 0.42, 0.29
# two thirds of a sheet: fuller ones leave gaps, for a figure is not broken
_MOST = int((0.67 * drawing.PAGE_HEIGHT - _TOP - _BOTTOM) / _STEP)
# an axis narrower than this would draw noise as if it were much
_LEAST = 0.01
_FAMILY = {"macro_auroc": "auroc"}
_ARROWS = {"ahead": " ▲", "behind": " ▼"}


@dataclass(frozen=True)
class Panel:
    """One SVG: choices of one family of metrics that hold several tasks and have a gain. All panels of a family share
    their limits.
    """

    family: str
    rows: tuple[Choice, ...]
    limits: tuple[float, float]
    part: int = 1


def panels(choices: Sequence[Choice]) -> list[Panel]:
    """What is drawn: choices in their order, by family of metrics, each cut into parts that fit on a sheet of paper."""
    drawn = [row for row in choices if not row.alone and (row.cv_gain is not None or row.test_gain is not None)]
    found: list[Panel] = []
    for family in dict.fromkeys(_family(row) for row in drawn):
        rows = [row for row in drawn if _family(row) == family]
        limits = _limits(rows)
        parts = drawing.chunks(rows, _MOST)
        found += [Panel(family, tuple(part), limits, index) for index, part in enumerate(parts, start=1)]
    return found


def _family(row: Choice) -> str:
    return words.metric(_FAMILY.get(row.metric, row.metric))


def _limits(rows: Sequence[Choice]) -> tuple[float, float]:
    ends = [end for row in rows for end in (row.cv_gain, row.test_gain, row.low, row.high) if end is not None]
    low, high = min(-_LEAST, *ends), max(_LEAST, *ends)
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def draw(panel: Panel, name: str) -> str:
    """``panel`` as SVG."""
    height = _STEP * len(panel.rows)
    with drawing.canvas(drawing.PAGE_WIDTH, height + _TOP + _BOTTOM) as figure:
        axes = figure.add_subplot()
        width = drawing.PAGE_WIDTH - _LABELS - _VALUES
        drawing.inches(axes, _LABELS, _BOTTOM, width, height)
        axes.set_xlim(*panel.limits)
        axes.set_ylim(len(panel.rows) - 0.5, -0.5)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=drawing.FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.axvline(0, color=drawing.GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        axes.set_xlabel(f"Gain over the question alone, {panel.family}")
        for place, row in enumerate(panel.rows):
            _row(axes, row, place, width)
        for x, text in ((_CHOSE, "chose"), (_TESTED, "test")):
            _outside(axes, 1 + x / width, -0.5 - 0.13 / _STEP, text, color=drawing.GREY)
        _legend(axes, -_LABELS / width)
        title = f"Gain of chosen sets: {', '.join(row.task for row in panel.rows)}"
        return drawing.svg(figure, name=name, title=title)


def _row(axes: Axes, row: Choice, place: int, width: float) -> None:
    shade = drawing.colour("best")
    if place % 2 == 0:
        axes.axhspan(place - 0.5, place + 0.5, color="#f4f6f8", linewidth=0, zorder=0)
    if row.cv_gain is not None and row.test_gain is not None:
        axes.plot([row.cv_gain, row.test_gain], [place, place], ":", color=drawing.GREY, linewidth=0.9, zorder=2)
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [place, place], color=shade, linewidth=1.4, solid_capstyle="butt", zorder=3)
    if row.test_gain is not None:
        axes.plot(
            [row.test_gain], [place], drawing.marker("best"), color=shade, markersize=5, markeredgewidth=0, zorder=4
        )
    if row.cv_gain is not None:
        axes.plot(
            [row.cv_gain],
            [place],
            "o",
            color="white",
            markeredgecolor=drawing.INK,
            markersize=4.2,
            markeredgewidth=0.9,
            zorder=5,
        )
    _outside(axes, (-_LABELS + 0.02) / width, place - 0.17, words.shortened(row.task, 40))
    others = words.shortened("with " + words.listed(row.others), 46)
    _outside(axes, (-_LABELS + 0.02) / width, place + 0.24, others, color=drawing.GREY, size=6)
    arrow = _ARROWS.get(row.side, "")
    _outside(axes, 1 + _CHOSE / width, place, words.signed(row.cv_gain), color=drawing.GREY)
    weight = "bold" if arrow else "normal"
    _outside(axes, 1 + _TESTED / width, place, words.signed(row.test_gain) + arrow, weight=weight)


def _outside(
    axes: Axes, x: float, y: float, text: str, *, color: str = drawing.INK, weight: str = "normal", size: float = 7.5
) -> None:
    axes.text(
        x,
        y,
        text,
        transform=axes.get_yaxis_transform(),
        va="center_baseline",
        color=color,
        fontweight=weight,
        fontsize=size,
    )


def _legend(axes: Axes, left: float) -> None:
    shade = drawing.colour("best")
    handles = [
        Line2D([], [], color="white", marker="o", markeredgecolor=drawing.INK, markersize=4.5, linewidth=0),
        Line2D([], [], color=shade, marker=drawing.marker("best"), markersize=5, linewidth=1.4),
    ]
    axes.legend(
        handles,
        ["cross-validation, which chose", "test rows, with 95 % interval"],
        loc="lower left",
        bbox_to_anchor=(left, 1.0),
        ncols=2,
        frameon=False,
        borderaxespad=0.3,
        borderpad=0.2,
        handlelength=1.8,
        columnspacing=1.4,
        fontsize=7.5,
    )
