"""Bars of the features that move each question's answer most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.features import SHOWN, named
from m3h.report.figures import drawing, multiples

#: More of it raises the answer, lowers it, or does neither throughout.
RAISES, LOWERS, NEITHER = drawing.COLOURS["joint"], "#D55E00", "#8C8C8C"
#: A rank correlation nearer to 0 is no direction.
CLEAR = 0.3
_COLUMNS, _LETTERS = 3, 42
_WIDTH, _GAP, _BAR, _ABOVE = 2.2, 0.22, 0.235, 0.36
_ROWS = int(drawing.PAGE_HEIGHT / (SHOWN * _BAR + _ABOVE))


@dataclass(frozen=True)
class Bars:
    """One question: features, the mean size of what each adds, and the colour that says which way, largest first."""

    task: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    colours: tuple[str, ...]


def bars(contents: Contents) -> list[Bars]:
    """The questions whose features were explained, in the study's order."""
    found = []
    for (task,), part in contents.appraisal["features"].group_by("task", maintain_order=True):
        rows = list(part.sort("value", descending=True, maintain_order=True).head(SHOWN).iter_rows(named=True))
        names = tuple(named(row["source"], row["feature"]) for row in rows)
        found.append(
            Bars(
                str(task), names, tuple(row["value"] for row in rows), tuple(_colour(row["direction"]) for row in rows)
            )
        )
    return found


def _colour(direction: float | None) -> str:
    if direction is None or abs(direction) < CLEAR:
        return NEITHER
    return RAISES if direction > 0 else LOWERS


def draw(found: Sequence[Bars], name: str) -> list[str]:
    """Sheets of panels, three to a row, each with its own scale."""
    drawings = []
    cell = SHOWN * _BAR + _ABOVE
    for number, sheet in enumerate(drawing.chunks(found, _COLUMNS * _ROWS) if found else []):
        rows = -(-len(sheet) // _COLUMNS)
        with drawing.canvas(drawing.PAGE_WIDTH, rows * cell) as figure:
            for place, panel in enumerate(sheet):
                row, column = divmod(place, _COLUMNS)
                axes = figure.add_subplot()
                bottom = (rows - 1 - row) * cell + 0.06
                drawing.inches(axes, 0.03 + column * (_WIDTH + _GAP), bottom, _WIDTH, SHOWN * _BAR)
                _panel(axes, panel)
            drawings.append(drawing.svg(figure, name=f"{name}-{number}", title="Features that matter most"))
    return drawings


def _panel(axes: Axes, panel: Bars) -> None:
    places = range(len(panel.values))
    top = max([*panel.values, 1e-12])
    axes.barh([place + 0.24 for place in places], panel.values, height=0.26, color=panel.colours)
    for place, name, value in zip(places, panel.names, panel.values, strict=True):
        axes.text(0, place - 0.16, words.shortened(name, _LETTERS), fontsize=6.2, va="center", ha="left")
        axes.text(value + 0.02 * top, place + 0.24, words.measure(value), fontsize=5.6, va="center", color=drawing.GREY)
    axes.set_xlim(0, top * 1.2)
    axes.set_ylim(SHOWN - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    multiples.heading(axes, panel.task)
