"""Maps of the groups that clustering tasks found: test rows as points of the plane, single beside joint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing

#: Okabe and Ito's palette without black, then the same darker: neighbours in it differ in hue or in lightness.
_COLOURS = (
    *("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999"),
    *("#8a5f00", "#2b6d96", "#00543d", "#8f8600", "#003a5c", "#7f3800", "#7d3f64", "#444444"),
)
_SIDE, _ABOVE, _BELOW, _LEFT = 3.1, 0.3, 0.08, 0.2
#: Dots are pixels of this many to an inch, so that 2,000 of them cost little.
_PIXELS = 200
#: Networks in the order in which they stand.
_ROLES = ("single", "joint")
#: Groups with fewer rows bear no number.
_NUMBERED = 5


@dataclass(frozen=True)
class Map:
    """One network's groups: places ``x`` and ``y`` (row,), the ``group`` of each row (row,) as it is called in both
    maps, and the silhouette of its own space."""

    role: str
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    group: npt.NDArray[np.int64]
    silhouette: float | None


@dataclass(frozen=True)
class Panel:
    """One clustering task: its maps, the ``method`` that made them, the rows of each, and whether joint and single are
    the same network, so that only one is drawn."""

    task: str
    method: str
    maps: tuple[Map, ...]
    rows: int
    same: bool


def panels(contents: Contents) -> list[Panel]:
    """One panel per clustering task that has places, in the study's order."""
    frame = contents.phenotype_map
    found = []
    for task in contents.tasks:
        own = frame.filter(pl.col("task") == task["name"])
        if own.is_empty():
            continue
        same = task["name"] in contents.alone
        roles = [role for role in _ROLES if role in set(own.get_column("role"))]
        maps = tuple(_map(contents, own, task["name"], role) for role in (roles[-1:] if same else roles))
        found.append(Panel(task["name"], own.item(0, "method"), maps, len(maps[0].x), same))
    return found


def _map(contents: Contents, frame: pl.DataFrame, task: str, role: str) -> Map:
    own = frame.filter(pl.col("role") == role)
    scored = contents.scores.filter(
        (pl.col("task") == task) & (pl.col("role") == role) & (pl.col("metric") == "silhouette")
    )
    x, y, group = (own.get_column(name).to_numpy() for name in ("x", "y", "beside"))
    return Map(role, x, y, group, scored.item(0, "value") if scored.height else None)


def draw(panel: Panel, name: str) -> str:
    """``panel`` as SVG, its dots as one picture per map."""
    height = _SIDE + _ABOVE + _BELOW
    with drawing.canvas(drawing.PAGE_WIDTH, height) as figure:
        figure.set_dpi(_PIXELS)
        for place, one in enumerate(panel.maps):
            axes = figure.add_subplot()
            drawing.inches(axes, _LEFT + place * (_SIDE + 0.3), _BELOW, _SIDE, _SIDE)
            _paint(axes, one)
        _note_axes(figure, panel)
        return drawing.svg(figure, name=name, title=f"Map of the groups of {panel.task}")


def _paint(axes: Axes, one: Map) -> None:
    colours = [_COLOURS[number % len(_COLOURS)] for number in one.group.tolist()]
    size = 7.0 if len(one.x) > 600 else 14.0
    axes.scatter(one.x, one.y, s=size, c=colours, linewidths=0, alpha=0.75, rasterized=True)
    # a few far rows do not squeeze the others
    for values, limit in ((one.x, axes.set_xlim), (one.y, axes.set_ylim)):
        low, high = np.quantile(values, (0.002, 0.998))
        margin = 0.06 * (high - low) or 1.0
        limit(float(low - margin), float(high + margin))
    for number in np.unique(one.group).tolist():
        rows = one.group == number
        if rows.sum() >= _NUMBERED:
            _number(axes, *middle(one.x[rows], one.y[rows]), number)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(drawing.FAINT)
    score = f", silhouette {words.number(one.silhouette, 3)}" if one.silhouette is not None else ""
    axes.set_title(f"{words.series(one.role)}{score}", loc="left", fontsize=7.5, fontweight="bold", pad=4)


def middle(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The place of the row nearest to the medians: of a group in two parts it lies on one of them, not between."""
    nearest = int(np.argmin(np.hypot(x - np.median(x), y - np.median(y))))
    return float(x[nearest]), float(y[nearest])


def _number(axes: Axes, x: float, y: float, number: int) -> None:
    text = axes.text(x, y, str(number), ha="center", va="center", fontsize=7.5, fontweight="bold", color=drawing.INK)
    text.set_path_effects([patheffects.withStroke(linewidth=2.2, foreground="white")])


def _note_axes(figure: Figure, panel: Panel) -> None:
    figure.text(
        0.04 / drawing.PAGE_WIDTH, 0.5, f"{panel.method}: axes have no unit", rotation=90, va="center", fontsize=6.2,
        color=drawing.GREY,
    )  # fmt: skip
