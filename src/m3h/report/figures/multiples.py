"""A sheet of small panels of equal size, four to a row, as many as fit on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from m3h.report import words
from m3h.report.figures import drawing

_Panel = TypeVar("_Panel")
_COLUMNS, _ROWS = 4, 4
_SIDE, _GAP, _ABOVE, _BELOW = 1.4, 0.46, 0.32, 0.26
#: Inches of a line of the legend above a sheet, and of the gap beneath; letters that a line holds, a mark being some.
_LEGEND, _UNDER, _LETTERS, _MARK = 0.15, 0.1, 108, 7
#: Letters of a heading's line.
_LINE = 25


def heading(axes: Axes, name: str) -> None:
    """A panel's name above it, on two lines where it is long."""
    lines = textwrap.wrap(" ".join(name.split()), _LINE)
    if len(lines) > 2:
        lines = [lines[0], words.shortened(" ".join(lines[1:]), _LINE)]
    axes.set_title("\n".join(lines), loc="left", fontsize=7, pad=3, fontweight="bold", linespacing=1.05)


def sheets(
    panels: Sequence[_Panel],
    paint: Callable[[Axes, _Panel], None],
    *,
    name: str,
    title: str,
    below: float = _BELOW,
    rows: int = _ROWS,
    legend: Sequence[tuple[Line2D, str]] = (),
) -> list[str]:
    """SVGs that hold ``panels`` in order; ``paint`` draws one into square axes. ``below``: inches for what stands
    under each square; ``rows`` of a sheet at most; ``legend``: marks and their names, above the squares of every sheet.
    """
    found = []
    most = _COLUMNS * rows
    for index in range(-(-len(panels) // most)):
        sheet = panels[index * most : (index + 1) * most]
        height = -(-len(sheet) // _COLUMNS)
        cell = _SIDE + _ABOVE + below
        with drawing.canvas(drawing.PAGE_WIDTH, height * cell + _legend_height(legend)) as figure:
            for place, panel in enumerate(sheet):
                row, column = divmod(place, _COLUMNS)
                axes = figure.add_subplot()
                left = 0.42 + column * (_SIDE + _GAP - 0.08)
                drawing.inches(axes, left, (height - 1 - row) * cell + below, _SIDE, _SIDE)
                paint(axes, panel)
            if legend:
                _legend(figure, legend)
            found.append(drawing.svg(figure, name=f"{name}-{index}", title=title))
    return found


def _legend_columns(legend: Sequence[tuple[Line2D, str]]) -> int:
    """As many columns as fit beside each other, each as wide as the longest name."""
    longest = max(len(_named(name)) for _, name in legend) + _MARK
    whole = sum(len(_named(name)) + _MARK for _, name in legend)
    return len(legend) if whole <= _LETTERS else max(1, _LETTERS // longest)


def _legend_height(legend: Sequence[tuple[Line2D, str]]) -> float:
    return -(-len(legend) // _legend_columns(legend)) * _LEGEND + _UNDER if legend else 0.0


def _named(name: str) -> str:
    return words.shortened(name, drawing.LONGEST)


def _legend(figure: Figure, legend: Sequence[tuple[Line2D, str]]) -> None:
    figure.legend(
        [handle for handle, _ in legend],
        [_named(name) for _, name in legend],
        loc="upper left",
        bbox_to_anchor=(0.035, 1.0),
        ncols=_legend_columns(legend),
        frameon=False,
        borderaxespad=0,
        borderpad=0.2,
        handlelength=1.8,
        labelspacing=0.3,
        columnspacing=1.4,
        fontsize=7,
    )
