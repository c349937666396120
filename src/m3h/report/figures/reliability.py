"""Reliability and decision curves: risks beside what happened, and what acting on them is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from matplotlib.axes import Axes

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing, multiples

#: Rows of a sheet: a whole sheet of paper would leave what the table before it leaves of one empty.
_ROWS = 2


@dataclass(frozen=True)
class Reliability:
    """One yes-or-no question: bins of what was ``predicted`` and ``observed`` with intervals ``low`` to ``high``, raw
    and calibrated."""

    task: str
    raw: pl.DataFrame
    calibrated: pl.DataFrame


@dataclass(frozen=True)
class Benefit:
    """One yes-or-no question: net benefit by ``threshold`` of acting on the ``model``, with its interval, and of
    treating all."""

    task: str
    curve: pl.DataFrame


def reliabilities(contents: Contents) -> list[Reliability]:
    """The yes-or-no questions with a curve, in the study's order."""
    kinds = {task["name"]: task["kind"] for task in contents.tasks}
    frame = contents.appraisal["calibration_curve"]
    found = []
    for name, kind in kinds.items():
        own = frame.filter(pl.col("task") == name)
        if kind == "binary" and own.height:
            raw, calibrated = (own.filter(pl.col("stage") == stage).sort("bin") for stage in ("raw", "calibrated"))
            found.append(Reliability(name, raw, calibrated))
    return found


def benefits(contents: Contents) -> list[Benefit]:
    """The yes-or-no questions with a decision curve, in the study's order."""
    frame = contents.appraisal["decision"]
    names = [task["name"] for task in contents.tasks]
    parts = ((name, frame.filter(pl.col("task") == name).sort("threshold")) for name in names)
    return [Benefit(name, own) for name, own in parts if own.height]


def draw_reliabilities(found: Sequence[Reliability], name: str) -> list[str]:
    """Sheets of small squares, one per question; the diagonal is right."""
    return multiples.sheets(
        found, _reliability, name=name, title="Predicted risk beside what happened", below=0.44, rows=_ROWS
    )


def _reliability(axes: Axes, panel: Reliability) -> None:
    bins = pl.concat([panel.raw, panel.calibrated])
    most = max(float(bins["predicted"].max() or 0), float(panel.calibrated["high"].max() or 0), 0.02)  # type: ignore[arg-type]
    top = min(1.0, most * 1.05)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.plot([0, top], [0, top], color=drawing.GREY, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
    raw, mended = panel.raw, panel.calibrated
    axes.plot(raw["predicted"], raw["observed"], color=drawing.COLOURS["single"], linewidth=0.9, zorder=2)
    axes.vlines(mended["predicted"], mended["low"], mended["high"], color=drawing.COLOURS["joint"], linewidth=0.7)
    known = mended.drop_nulls(["predicted", "observed"])
    (dots,) = axes.plot(
        known["predicted"], known["observed"], "o", color=drawing.COLOURS["joint"], markersize=2.8, markeredgewidth=0
    )
    drawing.tell(dots, *(_told(panel.task, row) for row in known.iter_rows(named=True)))
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=6, pad=1.5)
    multiples.heading(axes, panel.task)
    axes.set_xlabel("predicted", fontsize=6.2, labelpad=1.5)
    axes.set_ylabel("observed", fontsize=6.2, labelpad=1.5)


def _told(task: str, row: Mapping[str, Any]) -> str:
    """What a dot says to whoever points at it."""
    seen = f"{words.percent(row['observed'])} [{words.percent(row['low'])} to {words.percent(row['high'])}]"
    return f"{task}: predicted {words.percent(row['predicted'])}, observed {seen}"


def draw_benefits(found: Sequence[Benefit], name: str) -> list[str]:
    """Sheets of small squares, one per question; higher is better."""
    return multiples.sheets(found, _benefit, name=name, title="Net benefit by threshold", below=0.44, rows=_ROWS)


def _benefit(axes: Axes, panel: Benefit) -> None:
    curve = panel.curve
    top = max(float(curve["model"].max() or 0), 1e-3) * 1.15  # type: ignore[arg-type]
    axes.set_xlim(0, float(curve["threshold"].max() or 0.5))  # type: ignore[arg-type]
    axes.set_ylim(-0.25 * top, top)
    axes.axhline(0, color=drawing.GREY, linewidth=0.7)
    axes.plot(
        curve["threshold"], curve["treat_all"], color=drawing.GREY, linewidth=0.8, linestyle=(0, (3, 2)), clip_on=True
    )
    axes.fill_between(
        curve["threshold"], curve["low"], curve["high"], color=drawing.COLOURS["joint"], alpha=0.18, linewidth=0
    )
    axes.plot(curve["threshold"], curve["model"], color=drawing.COLOURS["joint"], linewidth=1.1)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=6, pad=1.5)
    multiples.heading(axes, panel.task)
    axes.set_xlabel("threshold", fontsize=6.2, labelpad=1.5)
    axes.set_ylabel("net benefit", fontsize=6.2, labelpad=1.5)
