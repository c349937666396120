"""A sheet of small panels of equal size, four to a row, as many as fit on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes

from m3h.report import words
from m3h.report.figures import drawing

_Panel = TypeVar("_Panel")
_COLUMNS, _ROWS = 4, 4
_SIDE, _GAP, _ABOVE, _BELOW = 1.4, 0.46, 0.32, 0.26
#: Letters of a heading's line.
_LINE = 25


def heading(axes: Axes, name: str) -> None:
    """A panel's name above it, on two lines where it is long."""
    lines = textwrap.wrap(" ".join(name.split()), _LINE)
    if len(lines) > 2:
        lines = [lines[0], words.shortened(" ".join(lines[1:]), _LINE)]
    axes.set_title("\n".join(lines), loc="left", fontsize=7, pad=3, fontweight="bold", linespacing=1.05)


def sheets(
    panels: Sequence[_Panel], paint: Callable[[Axes, _Panel], None], *, name: str, title: str, below: float = _BELOW
) -> list[str]:
    """SVGs that hold ``panels`` in order; ``paint`` draws one into square axes. ``below``: inches for what stands
    under each square.
    """
    found = []
    most = _COLUMNS * _ROWS
    for index in range(-(-len(panels) // most)):
        sheet = panels[index * most : (index + 1) * most]
        rows = -(-len(sheet) // _COLUMNS)
        cell = _SIDE + _ABOVE + below
        with drawing.canvas(drawing.PAGE_WIDTH, rows * cell) as figure:
            for place, panel in enumerate(sheet):
                row, column = divmod(place, _COLUMNS)
                axes = figure.add_subplot()
                left = 0.32 + column * (_SIDE + _GAP - 0.08)
                drawing.inches(axes, left, (rows - 1 - row) * cell + below, _SIDE, _SIDE)
                paint(axes, panel)
            found.append(drawing.svg(figure, name=f"{name}-{index}", title=title))
    return found
