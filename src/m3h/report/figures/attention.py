"""The task-to-task attention matrix: from which tasks each task's answer was drawn, on average over the test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing

_COLOURS = LinearSegmentedColormap.from_list("m3h", ["#ffffff", "#9ecae8", "#0072B2", "#00304c"])
_NUMBERED_UP_TO = 12
_SLANTED_UP_TO = 24
#: Inches above the matrix, where the title of a short key stands.
_ABOVE = 0.16


@dataclass(frozen=True)
class Matrix:
    """Weights (task, task from which) of one task set; each row sums to 1. NaN where the file holds no weight."""

    preset: str
    tasks: tuple[str, ...]
    weights: npt.NDArray[np.float64]


def matrices(contents: Contents) -> list[Matrix]:
    """One matrix per task set of two tasks or more, in the study's order of tasks.

    Sets that only the search has chosen have none: there may be one per task, each of two or three tasks.
    """
    order = {task["name"]: place for place, task in enumerate(contents.tasks)}
    chosen = sets_of_search_alone(contents)
    found = []
    for (preset, task_set), part in contents.attention.group_by("preset", "task_set", maintain_order=True):
        if task_set in chosen:
            continue
        names = sorted(set(part.get_column("task")), key=lambda name: (order.get(name, len(order)), name))
        if len(names) < 2:
            continue
        place = {name: index for index, name in enumerate(names)}
        weights = np.full((len(names), len(names)), np.nan)
        for row in part.iter_rows(named=True):
            if row["from_task"] in place and row["weight"] is not None:
                weights[place[row["task"]], place[row["from_task"]]] = row["weight"]
        found.append(Matrix(str(preset), tuple(names), weights))
    return sorted(found, key=lambda matrix: (-len(matrix.tasks), matrix.tasks))


def sets_of_search_alone(contents: Contents) -> set[str]:
    """Task sets that were scored as chosen sets and as nothing else."""
    roles = contents.scores.group_by("task_set").agg(pl.col("role").unique())
    return {name for name, found in roles.iter_rows() if found == ["best"]}


def own_share(matrix: Matrix) -> float:
    """The mean weight that a task keeps for itself."""
    return float(np.nanmean(np.diag(matrix.weights)))


def draw(matrix: Matrix, name: str) -> str:
    """``matrix`` as SVG: a row is the task that asks, a column the task it draws from."""
    count = len(matrix.tasks)
    labels = [words.shortened(task, drawing.LONGEST) for task in matrix.tasks]
    bar = 0.75
    cell = min(0.4, (drawing.PAGE_WIDTH - 1.4 - bar) / count)
    size = min(7.0, cell * 72 * 0.82)
    # slanted names of narrow columns run into one another; 0.6 of its size is what a letter takes at most on average
    steep = count > _SLANTED_UP_TO
    longest = max(len(label) for label in labels) * 0.6 * size / 72
    left, bottom = 0.15 + longest, 0.2 + (longest if steep else 0.75 * longest)
    cell = min(0.4, (drawing.PAGE_WIDTH - left - bar) / count)
    size = min(size, cell * 72 * 0.82)
    side = cell * count
    with drawing.canvas(drawing.PAGE_WIDTH, side + bottom + 0.1 + _ABOVE) as figure:
        axes = figure.add_subplot()
        drawing.inches(axes, left, bottom, side, side)
        highest = float(np.nanmax(matrix.weights))
        edges = np.arange(count + 1) - 0.5
        drawn = axes.pcolormesh(
            edges, edges, matrix.weights, cmap=_COLOURS, vmin=0, vmax=highest, edgecolors="white", linewidth=0.3
        )
        drawing.tell(
            drawn,
            *(
                f"{task} from {other}: {words.number(float(weight))}"
                for task, row in zip(matrix.tasks, matrix.weights, strict=True)
                for other, weight in zip(matrix.tasks, row, strict=True)
            ),
        )
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xticks(range(count), labels, rotation=90 if steep else 50, fontsize=size)
        for label in axes.get_xticklabels():
            label.set(
                horizontalalignment="right", verticalalignment="center" if steep else "top", rotation_mode="anchor"
            )
        axes.set_yticks(range(count), labels, fontsize=size)
        axes.tick_params(length=0, pad=3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if count <= _NUMBERED_UP_TO:
            _numbers(axes, matrix, highest)
        scale = figure.add_subplot()
        drawing.inches(scale, left + side + 0.2, bottom, 0.12, min(side, 1.6))
        key = figure.colorbar(drawn, cax=scale)
        if key.solids is not None:
            # left alone, the library puts an image here; shapes print sharper
            key.solids.set(rasterized=False, edgecolor="face")
        scale.set_title("weight", loc="left", fontsize=7, pad=5)
        scale.tick_params(length=2)
        return drawing.svg(figure, name=name, title=f"Attention between {count} tasks, rows draw from columns")


def _numbers(axes: Axes, matrix: Matrix, highest: float) -> None:
    for row in range(len(matrix.tasks)):
        for column in range(len(matrix.tasks)):
            weight = matrix.weights[row, column]
            if np.isfinite(weight):
                shade = "white" if weight > 0.5 * highest else drawing.INK
                axes.text(column, row, f"{weight:.2f}", ha="center", va="center_baseline", fontsize=6.5, color=shade)
