"""Risk quantile against observed rate, a line for each subgroup: does the same risk mean the same for everybody?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing, multiples

#: A column with more subgroups than this is not drawn: nobody could tell its lines apart.
MOST = 5
#: Columns that are drawn first: the words by which studies call the sex.
_SEX = re.compile(r"sex|gender|(fe)?male", re.IGNORECASE)
_YES, _NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SHAPES = ("o", "s", "^", "D", "v")
#: Between the marks of one quantile, in quantiles.
_APART = 0.13
_QUANTILES = {10: "tenths", 5: "fifths", 4: "quarters", 3: "thirds", 2: "halves"}


@dataclass(frozen=True)
class Panel:
    """One question by the subgroups of one column: quantile (``bin``), ``observed`` rate and interval of each line, and
    the mean ``predicted`` risk of all in ``everybody``."""

    task: str
    lines: tuple[tuple[str, pl.DataFrame], ...]
    everybody: pl.DataFrame

    @property
    def quantiles(self) -> int:
        """How many quantiles the risk has; fewer than wanted where many risks are equal."""
        return self.everybody.height


@dataclass(frozen=True)
class Group:
    """A column of subgroups: its ``values`` in the order of the lines, its questions, and the subgroups ``left_out`` in
    at least one question, each with its reason there."""

    name: str
    values: tuple[str, ...]
    panels: tuple[Panel, ...]
    left_out: tuple[tuple[str, str], ...]


def groups(contents: Contents) -> list[Group]:
    """The columns with two to MOST subgroups that are large enough in some question; sex comes first."""
    frame = contents.appraisal["calibration_groups"]
    names = frame.get_column("group").unique(maintain_order=True).to_list()
    found = []
    for name in sorted(names, key=lambda name: _SEX.fullmatch(name) is None):
        own = frame.filter(pl.col("group") == name)
        told = own.filter((pl.col("subgroup") != "") & pl.col("bin").is_not_null())
        values = tuple(sorted(told.get_column("subgroup").unique().to_list(), key=_place))
        panels = tuple(_panels(contents, own, values)) if 2 <= len(values) <= MOST else ()
        small = own.filter(pl.col("reason") != "").unique("subgroup", maintain_order=True)
        if panels:
            found.append(Group(name, values, panels, tuple(small.select("subgroup", "reason").iter_rows())))
    return found


def _place(value: str) -> tuple[int, float, str]:
    """Numbers and bands of numbers by size, words by the alphabet after them."""
    first = re.match(r"(<|up to |above )?(-?\d+(?:\.\d+)?)", value)
    if first is None:
        return (1, 0.0, value)
    shift = {"<": -0.5, "up to ": -0.5, "above ": 0.5}.get(first.group(1) or "", 0.0)
    return (0, float(first.group(2)) + shift, value)


def _panels(contents: Contents, frame: pl.DataFrame, values: Sequence[str]) -> list[Panel]:
    found = []
    for task in contents.tasks:
        own = frame.filter((pl.col("task") == task["name"]) & pl.col("bin").is_not_null()).sort("bin")
        lines = tuple((value, own.filter(pl.col("subgroup") == value)) for value in values)
        told = tuple((value, line) for value, line in lines if line.height)
        if len(told) > 1:
            found.append(Panel(task["name"], told, own.filter(pl.col("subgroup") == "")))
    return found


def called(group: str, value: str) -> str:
    """A subgroup for people: of a column "male" the value 1 is male, 0 not male; others as ``age: 75+``."""
    if _SEX.fullmatch(group) and value.lower() in _YES:
        return group.replace("_", " ")
    if _SEX.fullmatch(group) and value.lower() in _NO:
        return f"not {group.replace('_', ' ')}"
    return f"{group}: {value}" if value.lower() in _YES | _NO or _NUMBER.fullmatch(value) else value


def column(name: str) -> str:
    """A column for people: one called male or female is the sex."""
    return "sex" if _SEX.fullmatch(name) and name.lower().endswith("male") else name.replace("_", " ")


def parted(group: Group) -> str:
    """What the risk is parted into, such as ``tenths`` or ``fifths or thirds``."""
    counts = sorted({panel.quantiles for panel in group.panels}, reverse=True)
    return " or ".join(_QUANTILES.get(count, f"{count} parts") for count in counts)


def draw(group: Group, name: str) -> list[str]:
    """Sheets of small squares, one per question, the names of the lines above."""
    handles = [
        (
            Line2D([], [], color=_colour(place), marker=_SHAPES[place], markersize=3.5, linewidth=1),
            called(group.name, one),
        )
        for place, one in enumerate(group.values)
    ]
    handles.append((Line2D([], [], color=drawing.GREY, linewidth=0.9, linestyle=(0, (3, 2))), "mean predicted risk"))

    def paint(axes: Axes, panel: Panel) -> None:
        _paint(axes, panel, group.values)

    title = f"Observed rate by quantile of the risk and {group.name}"
    return multiples.sheets(group.panels, paint, name=name, title=title, below=0.44, legend=handles)


def _colour(place: int) -> str:
    return drawing.CLASS_COLOURS[place]


def _paint(axes: Axes, panel: Panel, values: Sequence[str]) -> None:
    everybody = panel.everybody
    expected = 100 * everybody["predicted"]
    axes.plot(everybody["bin"], expected, color=drawing.GREY, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    rates = pl.concat([everybody["predicted"], *(line["observed"] for _, line in panel.lines)]).drop_nulls()
    # a wide interval does not squeeze the lines; it leaves the square
    top = min(100.0, max(130 * max(rates.to_list(), default=0.0), 2.0))
    for value, line in panel.lines:
        place = list(values).index(value)
        at = line["bin"] + _APART * (place - (len(values) - 1) / 2)
        colour = _colour(place)
        axes.vlines(at, 100 * line["low"], 100 * line["high"], color=colour, linewidth=0.7, alpha=0.6, zorder=2)
        axes.plot(
            at, 100 * line["observed"], color=colour, linewidth=0.9, marker=_SHAPES[place], markersize=2.6, zorder=3
        )
    axes.set_xlim(0.5, panel.quantiles + 0.5)
    axes.set_ylim(0, 1.02 * top)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.tick_params(labelsize=6, pad=1.5)
    multiples.heading(axes, panel.task)
    axes.set_xlabel("quantile of the risk", fontsize=6.2, labelpad=1.5)
    axes.set_ylabel("observed %", fontsize=6.2, labelpad=1.5)


def left_out(group: Group) -> str:
    """Which subgroups are left out for being small; "" where none is."""
    if not group.left_out:
        return ""
    names = words.listed([f"{called(group.name, value)} ({reason})" for value, reason in group.left_out])
    return f" Left out in at least one question: {names}."
