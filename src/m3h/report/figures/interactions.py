"""The heat map of interactions: which task helps (red) or hurts (blue) which, coloured by rank within each row."""

from __future__ import annotations

import textwrap

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from m3h.report import words
from m3h.report.figures import drawing
from m3h.report.interactions import Matrix

# ColorBrewer's RdBu: red and blue are told apart with every common colour blindness
_COLOURS = LinearSegmentedColormap.from_list(
    "m3h", ["#0b3c75", "#2f79b5", "#7cb7d9", "#cbe1ee", "#ffffff", "#fbd3bf", "#f09c7b", "#cf5246", "#8c0d25"]
)
_MISSING = "#c3c9cf"
_LARGEST_CELL = 0.56
_LARGEST_SIDE = 4.7  # leaves room on the sheet for the words above and beneath
_NUMBERED_UP_TO = 10
_SLANTED_UP_TO = 24
_RIGHT = 1.3  # inches for the names of departments
_KEY = 0.46
_SMALLER = 0.85  # departments beside tasks, so that two tasks have room for two lines
_LETTER = 0.6  # of its size is what a letter takes at most on average


def depth(matrix: Matrix) -> npt.NDArray[np.float64]:
    """Colour of each cell (source, target) from -1, darkest blue, to 1, darkest red: its rank over the highest one.

    0, white, on the diagonal and where adding the task changes nothing; NaN, grey, where nothing was measured.
    """
    highest = float(np.nanmax(np.abs(matrix.rank))) if np.isfinite(matrix.rank).any() else 1.0
    found = np.where(np.isfinite(matrix.tim), matrix.rank / max(highest, 1.0), np.nan)
    np.fill_diagonal(found, 0.0)
    return found


def draw(matrix: Matrix, name: str) -> str:
    """``matrix`` as SVG: a row is the task that is scored, a column the task that is added."""
    count = len(matrix.tasks)
    labels = [words.shortened(task, drawing.LONGEST) for task in matrix.tasks]
    named = [group for group in matrix.groups if group.name]
    right = _RIGHT if named else 0.1
    steep = count > _SLANTED_UP_TO
    cell = _cell(count, drawing.PAGE_WIDTH - 1.3 - right)
    size = min(7.0, cell * 72 * 0.85)
    longest = max(len(label) for label in labels) * _LETTER * size / 72
    # never so narrow that the words above the rows leave the sheet
    left, bottom = max(0.15 + longest, 1.15), 0.15 + (longest if steep else 0.8 * longest)
    cell = _cell(count, drawing.PAGE_WIDTH - left - right)
    size = min(size, cell * 72 * 0.82)
    side = cell * count
    with drawing.canvas(drawing.PAGE_WIDTH, side + bottom + _KEY + 0.06) as figure:
        axes = figure.add_subplot()
        drawing.inches(axes, left, bottom, side, side)
        edges = np.arange(count + 1) - 0.5
        drawn = axes.pcolormesh(
            edges,
            edges,
            np.ma.masked_invalid(depth(matrix)),
            cmap=_COLOURS.with_extremes(bad=_MISSING),
            vmin=-1,
            vmax=1,
            edgecolors="white",
            linewidth=0.3,
        )
        drawing.tell(drawn, *(_told(matrix, row, column) for row in range(count) for column in range(count)))
        _names(axes, labels, size, steep=steep)
        _marks(axes, matrix, cell)
        _rules(axes, matrix)
        axes.plot([-0.5, count - 0.5], [-0.5, count - 0.5], color=drawing.FAINT, linewidth=0.6, zorder=1)
        _departments(axes, matrix, cell, size)
        # what stands beside the matrix does not widen it
        axes.set_xlim(-0.5, count - 0.5)
        _key(figure.add_subplot(), left, side + bottom + 0.06)
        return drawing.svg(figure, name=name, title=f"Which of {count} questions helps or hurts which")


def _told(matrix: Matrix, row: int, column: int) -> str:
    """What a cell says to whoever points at it."""
    value = float(matrix.tim[row, column])
    if not np.isfinite(value):
        return f"{matrix.tasks[column]} added to {matrix.tasks[row]}: not measured"
    interval = words.interval(float(matrix.low[row, column]), float(matrix.high[row, column]), plus=True)
    return f"{matrix.tasks[column]} added to {matrix.tasks[row]}: {words.signed(value)} [{interval}]"


def _cell(count: int, width: float) -> float:
    """Inches of one cell of ``count`` beside one another in ``width``."""
    return min(_LARGEST_CELL, min(width, _LARGEST_SIDE) / count)


def _names(axes: Axes, labels: list[str], size: float, *, steep: bool) -> None:
    count = len(labels)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xticks(range(count), labels, rotation=90 if steep else 50, fontsize=size)
    for label in axes.get_xticklabels():
        label.set(horizontalalignment="right", verticalalignment="center" if steep else "top", rotation_mode="anchor")
    axes.set_yticks(range(count), labels, fontsize=size)
    axes.tick_params(length=0, pad=3)
    for spine in axes.spines.values():
        spine.set(visible=True, color=drawing.GREY, linewidth=0.5)


def _marks(axes: Axes, matrix: Matrix, cell: float) -> None:
    """A triangle in each marked cell, up where it helps; in a small matrix the value too."""
    shades, marked = depth(matrix), matrix.marked
    numbered = len(matrix.tasks) <= _NUMBERED_UP_TO
    points = cell * 72
    large = min(5.0, points * 0.5)
    for row, column in zip(*np.nonzero(np.isfinite(matrix.tim)), strict=True):
        ink = "white" if abs(shades[row, column]) > 0.55 else drawing.INK
        if numbered:
            text = words.signed(float(matrix.tim[row, column]))
            letter = min(6.8, points / (_LETTER * max(len(text), 6)) * 0.95)
            axes.text(column, row + 0.12, text, ha="center", va="center_baseline", fontsize=letter, color=ink)
        if marked[row, column]:
            shape = "^" if matrix.tim[row, column] > 0 else "v"
            height = row - 0.24 if numbered else row
            axes.plot([column], [height], shape, color=ink, markersize=large, markeredgewidth=0)


def _rules(axes: Axes, matrix: Matrix) -> None:
    """Thin rules between departments, a stronger one before the clusterings."""
    for group in matrix.groups[1:]:
        apart = group.start == matrix.apart
        ink, width = (drawing.INK, 1.1) if apart else (drawing.GREY, 0.5)
        axes.axhline(group.start - 0.5, color=ink, linewidth=width)
        axes.axvline(group.start - 0.5, color=ink, linewidth=width)


def _departments(axes: Axes, matrix: Matrix, cell: float, size: float) -> None:
    """Names of the groups at the right, each beside a line along its rows."""
    count, size = len(matrix.tasks), _SMALLER * size
    width = int((_RIGHT - 0.2) * 72 / (_LETTER * size))
    for group in matrix.groups:
        if not group.name:
            continue
        room = max(1, int((group.stop - group.start) * cell * 72 / (1.2 * size)))
        lines = textwrap.wrap(" ".join(group.name.split()), width)
        if len(lines) > room:
            lines = [*lines[: room - 1], words.shortened(" ".join(lines[room - 1 :]), width)]
        x = count - 0.5 + 0.07 / cell
        axes.plot(
            [x, x], [group.start - 0.35, group.stop - 0.65], color=drawing.GREY, linewidth=0.9, clip_on=False, zorder=3
        )
        middle = (group.start + group.stop - 1) / 2
        axes.text(x + 0.05 / cell, middle, "\n".join(lines), va="center", fontsize=size, color=drawing.GREY)


def _key(axes: Axes, left: float, bottom: float) -> None:
    """What the colours and marks mean, and which way the matrix is read."""
    drawing.inches(axes, 0, bottom, drawing.PAGE_WIDTH, _KEY)
    axes.set_axis_off()
    axes.set_xlim(0, drawing.PAGE_WIDTH)
    axes.set_ylim(0, _KEY)
    shades = 9
    x, y, step = left, _KEY - 0.16, 0.13
    for place in range(shades):
        colour = _COLOURS(place / (shades - 1))
        axes.fill_between([x + place * step, x + (place + 1) * step], y, y + 0.1, color=colour, linewidth=0)
    end = x + shades * step
    axes.plot([x, end, end, x, x], [y, y, y + 0.1, y + 0.1, y], color=drawing.GREY, linewidth=0.4)
    axes.text(x - 0.06, y + 0.05, "hurts", ha="right", va="center_baseline", fontsize=7)
    axes.text(end + 0.06, y + 0.05, "helps", va="center_baseline", fontsize=7)
    axes.fill_between([end + 0.6, end + 0.73], y, y + 0.1, color=_MISSING, linewidth=0)
    axes.text(end + 0.79, y + 0.05, "not measured", va="center_baseline", fontsize=7)
    axes.plot([end + 1.75], [y + 0.05], "^", color=drawing.INK, markersize=4, markeredgewidth=0)
    axes.plot([end + 1.88], [y + 0.05], "v", color=drawing.INK, markersize=4, markeredgewidth=0)
    axes.text(end + 1.96, y + 0.05, "false-discovery rate at most 5 %", va="center_baseline", fontsize=7)
    axes.text(left - 0.06, 0.06, "question scored ↓", ha="right", fontsize=7, color=drawing.GREY)
    axes.text(left, 0.06, "question added →", fontsize=7, color=drawing.GREY)
