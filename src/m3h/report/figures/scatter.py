"""Predicted against observed for questions about a number: points, or counts per hexagon where there are many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing, multiples

_POINTS = 250
_COLOURS = LinearSegmentedColormap.from_list("m3h", ["#cfe3f1", "#0072B2", "#00304c"])


@dataclass(frozen=True)
class Panel:
    """Test rows of one task from one network: ``observed`` and ``predicted`` (row,), in the task's unit.

    ``limits`` of both axes hold 99 % of either; ``outside`` counts the rows beyond them.
    """

    task: str
    unit: str
    series: str
    observed: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    limits: tuple[float, float]
    outside: int


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
        limits = _limits(observed, predicted)
        inside = _within(observed, limits) & _within(predicted, limits)
        outside = int(np.count_nonzero(~inside))
        found.append(Panel(task["name"], task.get("unit") or "", role, observed, predicted, limits, outside))
    return found


def _limits(observed: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> tuple[float, float]:
    """One range for both axes, so that the diagonal is a diagonal; a few far values do not squeeze the others."""
    low = min(np.quantile(observed, 0.005), np.quantile(predicted, 0.005))
    high = max(np.quantile(observed, 0.995), np.quantile(predicted, 0.995))
    margin = 0.04 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _within(values: npt.NDArray[np.float64], limits: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (values >= limits[0]) & (values <= limits[1])


def draw(found: list[Panel], name: str) -> list[str]:
    """Sheets of small squares, one per task."""
    return multiples.sheets(found, _paint, name=name, title="Predicted against observed values", below=0.44)


def _paint(axes: Axes, panel: Panel) -> None:
    low, high = panel.limits
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=6, pad=1.5)
    axes.plot([low, high], [low, high], color=drawing.GREY, linewidth=0.7, linestyle=(0, (3, 2)), zorder=3)
    inside = _within(panel.observed, panel.limits) & _within(panel.predicted, panel.limits)
    x, y = panel.observed[inside], panel.predicted[inside]
    if len(x) > _POINTS:
        axes.hexbin(x, y, gridsize=22, extent=(low, high, low, high), mincnt=1, bins="log", cmap=_COLOURS, linewidths=0)
    else:
        axes.plot(x, y, "o", color=drawing.COLOURS["joint"], alpha=0.45, markersize=2.6, markeredgewidth=0)
    multiples.heading(axes, panel.task)
    unit = f" ({words.shortened(panel.unit, 12)})" if panel.unit else ""
    axes.set_xlabel(f"observed{unit}", fontsize=6.2, labelpad=1.5)
    axes.set_ylabel("predicted", fontsize=6.2, labelpad=1.5)
