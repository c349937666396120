"""Receiver operating characteristics: sensitivity against false alarms at every threshold, on the test rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from sklearn.metrics import auc, roc_curve

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing, multiples

_POINTS = 200
#: More classes than this in one square cannot be told apart.
CLASSES = 8
_NETWORKS = ("single", "joint", "best")


@dataclass(frozen=True)
class Curve:
    """One curve: false positive and true positive rates (point,), both rising from 0 to 1, and the area under it."""

    label: str
    false_positive: npt.NDArray[np.float64]
    true_positive: npt.NDArray[np.float64]
    area: float


@dataclass(frozen=True)
class Panel:
    """One task's curves: by series for a binary task, by class for a multiclass one."""

    task: str
    curves: tuple[Curve, ...]
    left_out: int = 0


def curve(label: str, truth: npt.NDArray[np.float64], score: npt.NDArray[np.float64]) -> Curve | None:
    """The curve of ``score`` (row,) for ``truth`` (row,) of 0 and 1, thinned to 200 points; the area is of the whole
    curve. None where only one of the two answers occurs.
    """
    if len(np.unique(truth)) < 2:
        return None
    false_positive, true_positive, _ = roc_curve(truth, score)
    area = float(auc(false_positive, true_positive))
    # evenly along the curve's length, not along its index: a steep rise keeps its shape
    length = np.concatenate([[0.0], np.cumsum(np.diff(false_positive) + np.diff(true_positive))])
    if len(length) > _POINTS:
        wanted = np.searchsorted(length, np.linspace(0, length[-1], _POINTS))
        kept = np.unique(np.clip(wanted, 0, len(length) - 1))
        false_positive, true_positive = false_positive[kept], true_positive[kept]
    return Curve(label, false_positive, true_positive, area)


def binary(contents: Contents) -> list[Panel]:
    """Curves of each binary task's networks, single, joint and best; tasks without predictions have none."""
    found = []
    for task in _tasks(contents, "binary"):
        part = contents.predictions.filter(pl.col("task") == task)
        curves = []
        for series in [name for name in contents.series if name in _NETWORKS]:
            own = _complete(part.filter(pl.col("role") == series))
            made = curve(series, own.get_column("truth").to_numpy(), own.get_column("prediction").to_numpy())
            curves += [made] if made else []
        if curves:
            found.append(Panel(task, tuple(curves)))
    return found


def multiclass(contents: Contents) -> list[Panel]:
    """Each class against all others, from the joint network or, where there is none, the chosen set's, else the single.

    The classes with most test rows come first; of more than eight the others are left out, counted in ``left_out``.
    """
    found = []
    for task in _tasks(contents, "multiclass"):
        part = contents.predictions.filter(pl.col("task") == task)
        roles = set(part.get_column("role"))
        role = next((name for name in ("joint", "best") if name in roles), "single")
        own = _complete(part.filter((pl.col("role") == role) & (pl.col("class") != "")))
        sizes = own.group_by("class").agg(pl.col("truth").sum().alias("rows"))
        classes = sizes.sort(["rows", "class"], descending=[True, False]).get_column("class").to_list()
        curves = []
        for label in classes:
            rows = own.filter(pl.col("class") == label)
            made = curve(label, rows.get_column("truth").to_numpy(), rows.get_column("prediction").to_numpy())
            curves += [made] if made else []
        if curves:
            found.append(Panel(task, tuple(curves[:CLASSES]), len(curves) - len(curves[:CLASSES])))
    return found


def _tasks(contents: Contents, kind: str) -> list[str]:
    return [task["name"] for task in contents.tasks if task["kind"] == kind]


def _complete(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop_nulls(["truth", "prediction"])


def draw_binary(panels: list[Panel], name: str) -> list[str]:
    """Sheets of small squares, one per task."""
    return multiples.sheets(panels, _binary, name=name, title="ROC curves of the yes-or-no questions")


def draw_multiclass(panels: list[Panel], name: str) -> list[str]:
    """Sheets of small squares with the classes named beneath."""
    most = max(len(panel.curves) for panel in panels)
    title = "ROC curves of each class against the others"
    return multiples.sheets(panels, _multiclass, name=name, title=title, below=0.36 + 0.115 * most)


def _square(axes: Axes, task: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.tick_params(labelsize=6, pad=1.5)
    axes.plot([0, 1], [0, 1], color=drawing.FAINT, linewidth=0.8, zorder=1)
    multiples.heading(axes, task)


def _binary(axes: Axes, panel: Panel) -> None:
    _square(axes, panel.task)
    # the words stay readable where a curve runs beneath them
    behind = Rectangle((0.36, 0.0), 0.66, 0.02 + 0.1 * len(panel.curves), facecolor="white", alpha=0.8, linewidth=0)
    axes.add_patch(behind).set_zorder(8)
    for place, made in enumerate(panel.curves):
        shade = drawing.colour(made.label)
        (line,) = axes.plot(made.false_positive, made.true_positive, color=shade, linewidth=1.1, zorder=2 + place)
        drawing.tell(line, f"{panel.task}, {words.series(made.label)}: area {words.number(made.area)}")
        text = f"{words.series(made.label)} {words.number(made.area)}"
        y = 0.06 + 0.1 * (len(panel.curves) - 1 - place)
        axes.plot(
            [0.4], [y + 0.005], drawing.marker(made.label), color=shade, markersize=3.2, markeredgewidth=0, zorder=9
        )
        axes.text(0.46, y, text, ha="left", va="center_baseline", fontsize=6.2, zorder=9)


def _multiclass(axes: Axes, panel: Panel) -> None:
    _square(axes, panel.task)
    for place, made in enumerate(panel.curves):
        shade = drawing.CLASS_COLOURS[place % CLASSES]
        (line,) = axes.plot(made.false_positive, made.true_positive, color=shade, linewidth=1.0, zorder=2 + place)
        drawing.tell(line, f"{panel.task}, {made.label}: area {words.number(made.area)}")
        y = -0.2 - place * 0.082
        axes.plot([-0.02, 0.06], [y, y], color=shade, linewidth=2, clip_on=False)
        axes.text(0.1, y, words.shortened(made.label, 19), va="center_baseline", fontsize=6.2)
        axes.text(1.04, y, words.number(made.area), ha="right", va="center_baseline", fontsize=6.2)
    if panel.left_out:
        y = -0.2 - len(panel.curves) * 0.082
        axes.text(0.1, y, f"and {panel.left_out} more", va="center_baseline", fontsize=6.2, color=drawing.GREY)
