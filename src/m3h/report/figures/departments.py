"""The forest by department: relative improvement of joint over single, question by question, mean and range above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing

#: What the axis always shows, in %; where it is cut, as a multiple of the middle one of all ends of intervals; and how
#: far it reaches to hold the marks themselves.
_ALWAYS, _CUT, _WIDE = 2.0, 3.0, 15.0
_NAMES = 2.15  # inches left for names
_FITTING = 34  # letters of a name that these hold; a longer one is set smaller
#: Inches from the axes to each column of numbers, and the width of all.
_COLUMNS = {"change": 0.16, "interval": 0.74, "width": 1.8}
_NUMBERS = 2.2
_TOP, _BOTTOM, _ROW, _HEADING = 0.5, 0.42, 0.19, 0.29
#: Inches of a sheet at most: two to a page, so that little of one stays empty.
_SHEET = 4.9
_AHEAD, _BEHIND = "#0072B2", "#D55E00"
_COLOURS = {"ahead": _AHEAD, "behind": _BEHIND}
_SIGNS = {"ahead": "▲", "behind": "▼"}


@dataclass(frozen=True)
class Row:
    """One question: the ``relative`` improvement in % with its interval ``low`` to ``high``, the ratio of the widths of
    the joint and the single score's intervals, and the verdict of departments.csv."""

    task: str
    verdict: str
    relative: float | None
    low: float | None
    high: float | None
    ratio: float | None


@dataclass(frozen=True)
class Heading:
    """A department: how many ``questions`` were compared, how many of them have a relative improvement, its mean and
    its range, and the geometric mean of the ratios; ``continued`` on a further sheet."""

    name: str
    questions: int
    counted: int
    ahead: int
    behind: int
    open: int
    equal: int
    mean: float | None
    least: float | None
    most: float | None
    ratio: float | None
    continued: bool = False


Line = Row | Heading


@dataclass(frozen=True)
class Panel:
    """One sheet; all sheets share their ``limits``, in %."""

    lines: tuple[Line, ...]
    limits: tuple[float, float]


def lines(contents: Contents) -> list[Line]:
    """The rows of departments.csv in their order, each department's heading before its questions; [] without any."""
    frame = contents.departments
    alone = frame.filter(pl.col("task") == "").height < 2
    found: list[Line] = []
    for row in frame.iter_rows(named=True):
        if row["task"]:
            ends = row["relative_low"], row["relative_high"]
            found.append(Row(row["task"], row["verdict"], row["relative"], *ends, row["width_ratio"]))
        else:
            found.append(_heading(row, "All questions" if alone or not row["department"] else row["department"]))
    return found


def _heading(row: Mapping[str, Any], name: str) -> Heading:
    questions, counted, ahead, behind, undecided, equal = (
        int(row[key] or 0) for key in ("questions", "counted", "ahead", "behind", "open", "equal")
    )
    numbers = row["relative"], row["least"], row["most"], row["width_ratio"]
    return Heading(name, questions, counted, ahead, behind, undecided, equal, *numbers)


def panels(contents: Contents) -> list[Panel]:
    """As few sheets as can be, of nearly equal length; a department that goes on has its heading again."""
    found = lines(contents)
    rows = [line for line in found if isinstance(line, Row)]
    if not rows:
        return []
    fewest = len(_sheets(found, _SHEET))
    room = sum(_height_of(line) for line in found) / fewest + _TOP + _BOTTOM
    while room < _SHEET and len(_sheets(found, room)) > fewest:
        room += _ROW / 2
    limits = _limits(rows)
    return [Panel(tuple(sheet), limits) for sheet in _sheets(found, min(room, _SHEET))]


def _sheets(found: Sequence[Line], room: float) -> list[list[Line]]:
    """The lines in sheets of at most ``room`` inches, no heading apart from its first question."""
    sheets: list[list[Line]] = [[]]
    heading: Heading | None = None
    for place, line in enumerate(found):
        follows = found[place + 1 : place + 2]
        together = [line, *follows] if isinstance(line, Heading) else [line]
        if sheets[-1] and _height([*sheets[-1], *together]) > room:
            sheets.append([])
            if isinstance(line, Row) and heading is not None:
                sheets[-1].append(replace(heading, continued=True))
        heading = line if isinstance(line, Heading) else heading
        sheets[-1].append(line)
    return sheets


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """What the axis shows: questions at which something differs, most of them with their intervals."""
    differing = [row for row in rows if row.verdict not in ("same", "equal")]
    ends = np.array([end for row in differing for end in (row.relative, row.low, row.high) if end is not None])
    if not len(ends):
        return -_ALWAYS, _ALWAYS
    furthest = max((abs(row.relative) for row in differing if row.relative is not None), default=0.0)
    cut = max(_ALWAYS, _CUT * float(np.median(np.abs(ends))), min(1.1 * furthest, _WIDE))
    low, high = min(-_ALWAYS, max(float(ends.min()), -cut)), max(_ALWAYS, min(float(ends.max()), cut))
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _height_of(line: Line) -> float:
    return _HEADING if isinstance(line, Heading) else _ROW


def _height(sheet: Sequence[Line]) -> float:
    return sum(_height_of(line) for line in sheet) + _TOP + _BOTTOM


def draw(panel: Panel, name: str) -> str:
    """``panel`` as SVG."""
    total = sum(_height_of(line) for line in panel.lines)
    with drawing.canvas(drawing.PAGE_WIDTH, _height(panel.lines)) as figure:
        axes = figure.add_subplot()
        drawing.inches(axes, _NAMES, _BOTTOM, drawing.PAGE_WIDTH - _NAMES - _NUMBERS, total)
        axes.set_xlim(*panel.limits)
        axes.set_ylim(total, 0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=drawing.FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.axvline(0, color=drawing.GREY, linewidth=0.8, zorder=1)
        axes.set_xlabel("Relative improvement of joint over single in %")
        top = 0.0
        for line in panel.lines:
            height = _height_of(line)
            if isinstance(line, Heading):
                _draw_heading(axes, line, panel.limits, top, height)
            else:
                _draw_row(axes, line, panel.limits, top + height / 2)
            top += height
        _heads(axes)
        questions = ", ".join(line.task for line in panel.lines if isinstance(line, Row))
        return drawing.svg(figure, name=name, title=f"Relative improvement by department: {questions}")


def _draw_heading(axes: Axes, line: Heading, limits: tuple[float, float], top: float, height: float) -> None:
    inner = drawing.PAGE_WIDTH - _NAMES - _NUMBERS
    band = Rectangle((-_NAMES / inner, top + 0.03), drawing.PAGE_WIDTH / inner, height - 0.03, clip_on=False)
    band.set(transform=axes.get_yaxis_transform(), color="#eef2f5", linewidth=0, zorder=0)
    axes.add_patch(band)
    middle = top + 0.015 + height / 2
    name = words.shortened(line.name, drawing.LONGEST) + (" (continued)" if line.continued else "")
    _outside(axes, -_NAMES + 0.02, middle, name, weight="bold", size=min(7.5, 7.5 * _FITTING / len(name)))
    if line.continued or line.mean is None or line.least is None or line.most is None:
        return
    _line(axes, middle, line.least, line.most, limits, drawing.INK, 0.9)
    _point(axes, middle, line.mean, limits, "D", drawing.INK, filled=True)
    _numbers(axes, middle, words.signed(line.mean, 1), _range(line), line.ratio, weight="bold")


def _range(line: Heading) -> str:
    return words.interval(line.least, line.most, 1, plus=True)


def _draw_row(axes: Axes, row: Row, limits: tuple[float, float], y: float) -> None:
    name = words.shortened(row.task, drawing.LONGEST)
    _outside(axes, -_NAMES + 0.1, y, name, size=min(7.2, 7.2 * _FITTING / len(name)))
    if row.verdict == "same":
        _outside(axes, _COLUMNS["change"], y, "same network", color=drawing.GREY)
        return
    colour = _COLOURS.get(row.verdict, drawing.GREY)
    if row.relative is not None:
        if row.low is not None and row.high is not None:
            _line(axes, y, row.low, row.high, limits, colour, 1.3)
        _point(axes, y, row.relative, limits, "o", colour, filled=row.verdict in _COLOURS)
    # of a single score near 0 there is no percentage, but a direction
    bare = _SIGNS.get(row.verdict, words.NOTHING)
    change = words.signed(row.relative, 1) if row.relative is not None else bare
    between = "very same score" if row.verdict == "equal" else words.interval(row.low, row.high, 1, plus=True)
    _numbers(axes, y, change, between, row.ratio, weight="bold" if row.verdict in _COLOURS else "normal")


def _line(
    axes: Axes, y: float, low: float, high: float, limits: tuple[float, float], colour: str, width: float
) -> None:
    if high >= limits[0] and low <= limits[1]:
        ends = (max(low, limits[0]), min(high, limits[1]))
        axes.plot(ends, (y, y), color=colour, linewidth=width, solid_capstyle="butt", zorder=2)


def _point(
    axes: Axes, y: float, value: float, limits: tuple[float, float], shape: str, colour: str, *, filled: bool
) -> None:
    x = value
    if not limits[0] <= value <= limits[1]:
        # off the axis: an arrow at its edge; the numbers say where
        shape, x = ("<", limits[0]) if value < limits[0] else (">", limits[1])
    axes.plot(
        [x],
        [y],
        shape,
        color=colour,
        markerfacecolor=colour if filled else "white",
        markersize=4.2,
        markeredgewidth=0.9,
        clip_on=False,
        zorder=3,
    )


def _numbers(
    axes: Axes,
    y: float,
    change: str,
    between: str,
    ratio: float | None,
    *,
    weight: str,
) -> None:
    inner = drawing.PAGE_WIDTH - _NAMES - _NUMBERS
    texts = {
        "change": change,
        "interval": between,
        "width": words.number(ratio, 2),
    }
    for key, text in texts.items():
        _outside(axes, inner + _COLUMNS[key], y, text, weight=weight, size=7)


def _outside(
    axes: Axes, x: float, y: float, text: str, *, color: str = drawing.INK, weight: str = "normal", size: float = 7.2
) -> None:
    """Text at ``x`` inches from the axes' left edge, at ``y`` in data."""
    inner = drawing.PAGE_WIDTH - _NAMES - _NUMBERS
    transform = axes.get_yaxis_transform()
    axes.text(
        x / inner, y, text, transform=transform, va="center_baseline", color=color, fontweight=weight, fontsize=size
    )


def _heads(axes: Axes) -> None:
    inner = drawing.PAGE_WIDTH - _NAMES - _NUMBERS
    for key, text in (("change", "Change %"), ("interval", "95 % or range"), ("width", "Width")):
        _outside(axes, inner + _COLUMNS[key], -0.1, text, color=drawing.GREY, size=7)
    common: dict[str, Any] = {"marker": "o", "markersize": 4.2, "linewidth": 1.2}
    marks = {
        "joint ahead": Line2D([], [], color=_AHEAD, **common),
        "joint behind": Line2D([], [], color=_BEHIND, **common),
        "no difference beyond chance": Line2D([], [], color=drawing.GREY, markerfacecolor="white", **common),
        "mean and range of a department": Line2D([], [], color=drawing.INK, **{**common, "marker": "D"}),
    }
    axes.legend(
        list(marks.values()),
        list(marks),
        loc="lower left",
        bbox_to_anchor=(-_NAMES / inner, 1.0),
        bbox_transform=axes.transAxes,
        ncols=len(marks),
        frameon=False,
        borderaxespad=1.6,
        borderpad=0.0,
        handlelength=1.8,
        columnspacing=1.3,
        fontsize=7,
    )
