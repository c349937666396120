"""Predicted against observed for questions about a number: points, or counts per hexagon where there are many.

Values with a long tail stand on axes that grow logarithmically, so that the tail is seen and not cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing, multiples

Floats = npt.NDArray[np.float64]

_POINTS = 250
_COLOURS = LinearSegmentedColormap.from_list("m3h", ["#cfe3f1", "#0072B2", "#00304c"])
#: Observed values have a long tail if none is below 0 and the far end is this many times as far from the median as the
#: near end, both without the outermost 0.5 %.
_TAIL = 3.0
#: Plain axes hold all rows if they need not be longer than this, at either end, as a share of what 99 % take.
_NEAR = 0.25
#: How far axes of a long tail reach beyond the 99.5 % nearest values, as a share of those.
_FURTHER = 0.5
#: Ticks of a logarithmic axis, times powers of ten; and how many there are at most.
_STEPS, _TICKS = (1, 3), 5


@dataclass(frozen=True)
class Panel:
    """Test rows of one task from one network: ``observed`` and ``predicted`` (row,), in the task's unit.

    ``limits`` of both axes; ``outside`` counts the rows beyond them, which are drawn at the edge. ``linear`` is 0 on
    plain axes, which hold 99 % of either, and all rows where that takes little more; else the axes grow logarithmically
    above about this value and hold the tail.
    """

    task: str
    unit: str
    series: str
    observed: Floats
    predicted: Floats
    limits: tuple[float, float]
    outside: int
    linear: float = 0.0


def panels(contents: Contents) -> list[Panel]:
    """Each regression task's joint network or, where there is none, its chosen set's or its single one."""
    found = []
    for task in contents.tasks:
        if task["kind"] != "regression":
            continue
        part = contents.predictions.filter(pl.col("task") == task["name"]).drop_nulls(["truth", "prediction"])
        roles = set(part.get_column("role"))
        role = next((name for name in ("joint", "best", "single") if name in roles), None)
        if role is None:
            continue
        own = part.filter(pl.col("role") == role)
        observed, predicted = own.get_column("truth").to_numpy(), own.get_column("prediction").to_numpy()
        linear = _linear(observed)
        limits = _with_tail(observed, predicted, linear) if linear else _limits(observed, predicted)
        inside = _within(observed, limits) & _within(predicted, limits)
        outside = int(np.count_nonzero(~inside))
        found.append(Panel(task["name"], task.get("unit") or "", role, observed, predicted, limits, outside, linear))
    return found


def _linear(observed: Floats) -> float:
    """Where axes turn from linear to logarithmic: at half the median of what is above 0; 0 without a long tail."""
    if (observed < 0).any() or not (observed > 0).any():
        return 0.0
    low, middle, high = np.quantile(observed, (0.005, 0.5, 0.995))
    return float(np.median(observed[observed > 0])) / 2 if high - middle > _TAIL * max(middle - low, 0.0) else 0.0


def _limits(observed: Floats, predicted: Floats) -> tuple[float, float]:
    """One range for both axes, so that the diagonal is a diagonal; a few far values do not squeeze the others."""
    low = min(np.quantile(observed, 0.005), np.quantile(predicted, 0.005))
    high = max(np.quantile(observed, 0.995), np.quantile(predicted, 0.995))
    ends = [end for values in (observed, predicted) for end in (values.min(), values.max())]
    room = _NEAR * (high - low)
    if low - room <= min(ends) and max(ends) <= high + room:
        low, high = min(ends), max(ends)
    margin = 0.04 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _with_tail(observed: Floats, predicted: Floats, linear: float) -> tuple[float, float]:
    """One range for both axes that holds the tail, unless it is so far out that all others would be squeezed."""
    near = _limits(*(_bent(values, linear) for values in (observed, predicted)))
    room = _FURTHER * (near[1] - near[0])
    ends = [float(_bent(values, linear).max()) for values in (observed, predicted)]
    high = max(near[1], min(max(ends) + 0.02 * (near[1] - near[0]), near[1] + room))
    low = max(near[0], min(0.0, float(_bent(predicted, linear).min())) - 0.04 * (high - near[0]))
    return float(np.sinh(low) * linear), float(np.sinh(high) * linear)


def _bent(values: Floats, linear: float) -> Floats:
    """Values on an axis that is linear near 0 and logarithmic far from it."""
    return np.asarray(np.arcsinh(values / linear), dtype=np.float64) if linear else values


def _within(values: Floats, limits: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (values >= limits[0]) & (values <= limits[1])


def draw(found: list[Panel], name: str) -> list[str]:
    """Sheets of small squares, one per task."""
    return multiples.sheets(found, _paint, name=name, title="Predicted against observed values", below=0.44)


def _paint(axes: Axes, panel: Panel) -> None:
    low, high = (float(_bent(np.array([end]), panel.linear)[0]) for end in panel.limits)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=6, pad=1.5)
    if panel.linear:
        ticks = tail_ticks(panel.limits[1], panel.linear)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(_bent(np.array(ticks), panel.linear).tolist(), [f"{tick:,g}" for tick in ticks])
    axes.plot([low, high], [low, high], color=drawing.GREY, linewidth=0.7, linestyle=(0, (3, 2)), zorder=3)
    inside = _within(panel.observed, panel.limits) & _within(panel.predicted, panel.limits)
    x, y = (_bent(values, panel.linear) for values in (panel.observed, panel.predicted))
    if inside.sum() > _POINTS:
        extent = (low, high, low, high)
        axes.hexbin(x[inside], y[inside], gridsize=22, extent=extent, mincnt=1, bins="log", cmap=_COLOURS, linewidths=0)
    else:
        colour = drawing.COLOURS["joint"]
        axes.plot(x[inside], y[inside], "o", color=colour, alpha=0.45, markersize=2.6, markeredgewidth=0)
    _at_the_edge(axes, x[~inside], y[~inside], (low, high))
    multiples.heading(axes, panel.task)
    unit = f" ({words.shortened(panel.unit, 12)})" if panel.unit else ""
    axes.set_xlabel(f"observed{unit}", fontsize=6.2, labelpad=1.5)
    axes.set_ylabel("predicted", fontsize=6.2, labelpad=1.5)


def _at_the_edge(axes: Axes, x: Floats, y: Floats, limits: tuple[float, float]) -> None:
    """Rows beyond the axes as triangles at their edge, pointing to where they are."""
    low, high = limits
    sides = {">": x > high, "<": x < low, "^": (x >= low) & (x <= high) & (y > high)}
    sides["v"] = (x >= low) & (x <= high) & (y < low)
    for shape, rows in sides.items():
        if rows.any():
            places = (np.clip(values[rows], low, high) for values in (x, y))
            axes.plot(*places, shape, color="#D55E00", markersize=2.6, markeredgewidth=0, clip_on=False, zorder=4)


def tail_ticks(high: float, linear: float) -> list[float]:
    """Ticks of a logarithmic axis up to ``high``: 0, then 1 and 3 times powers of ten from about ``linear``, the upper
    ones where there are many."""
    first = math.floor(math.log10(linear))
    last = math.floor(math.log10(high)) if high > 0 else first
    steps = [step * 10.0**power for power in range(first, last + 1) for step in _STEPS]
    wanted = [tick for tick in steps if linear <= tick <= high]
    if len(wanted) > _TICKS:
        wanted = wanted[::-1][:: -(-len(wanted) // _TICKS)][::-1]
    return [0.0, *wanted]


def told(found: list[Panel]) -> str:
    """What the caption says of the axes, and of rows beyond them."""
    tails = [panel for panel in found if panel.linear]
    outside = [f"{panel.outside:,} of {len(panel.observed):,} ({panel.task})" for panel in found if panel.outside]
    text = ""
    if tails:
        names = words.listed([panel.task for panel in tails])
        text += f" Both axes of {names} grow logarithmically, so that the long tail is seen."
    if outside:
        text += f" Rows beyond the axes, drawn as triangles at the edge: {words.listed(outside, 20)}."
    return text
