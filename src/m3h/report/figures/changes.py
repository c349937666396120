"""What becomes of the scores when the input changes: the model beside the baselines, averaged over questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import drawing

#: How robustness.csv calls no change, and the end of its names of missing sources and of other units.
UNCHANGED, ABSENT, TIMES = "none", " absent", " times"
_FAMILIES = {"auroc": "AUROC", "macro_auroc": "AUROC", "r2": "R²"}
_AXES = {"AUROC": "mean AUROC", "R²": "mean R²"}
# however bad a score is: one of -12 would flatten all the others
_FLOOR = {"AUROC": 0.35, "R²": -0.3}
_STEPS = {"noise": "noise, in standard deviations", "values missing": "share of values missing"}
_BASELINE, _MODEL = "baseline", "joint"
_LEFT, _TALL, _ABOVE, _BELOW = 0.55, 1.5, 0.3, 0.42
#: Inches under marks for their names: these, and so many for each letter of the longest.
_NAMES, _LETTER, _LETTERS = 0.32, 0.033, 26


@dataclass(frozen=True)
class Curve:
    """One model under one kind of change: at each of ``places`` the ``mean`` score over questions, and the quartiles
    ``low`` and ``high`` of the questions."""

    series: str
    places: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """One kind of change for the questions of one family: curves over amounts, or with ``names`` marks over changes
    that have no amount."""

    family: str
    title: str
    questions: int
    curves: tuple[Curve, ...]
    names: tuple[str, ...] = ()


def series_of(contents: Contents) -> pl.DataFrame:
    """Headline scores under every change with the column ``series``: the baseline's name, or "joint" for the model that
    answers, chosen set or joint."""
    frame = contents.appraisal["robustness"].filter((pl.col("metric") != "moved") & pl.col("value").is_not_null())
    own = pl.when(pl.col("role") == _BASELINE).then(pl.col("preset")).otherwise(pl.lit(_MODEL))
    return frame.with_columns(
        own.alias("series"), pl.col("metric").replace_strict(_FAMILIES, default="").alias("family")
    )


def panels(contents: Contents) -> list[Panel]:
    """The panels in the order in which they are drawn. Questions that any model lacks, or that any change leaves
    without a score, are left out of all: else means would be of different questions."""
    frame = series_of(contents)
    found = []
    for family in dict.fromkeys(_FAMILIES.values()):
        own = _common(frame.filter(pl.col("family") == family))
        count = own["task"].n_unique()
        if not count:
            continue
        for change, title in _STEPS.items():
            part = own.filter(pl.col("change").is_in([UNCHANGED, change])).with_columns(place=pl.col("amount"))
            if part["amount"].n_unique() > 1:
                found.append(Panel(family, title, count, _curves(part)))
        for end, title in ((ABSENT, "a source is missing"), (TIMES, "another unit of measurement")):
            keys = [
                (change, amount)
                for change, amount in own.select("change", "amount").unique(maintain_order=True).iter_rows()
                if change.endswith(end)
            ]
            if keys:
                keys = [(UNCHANGED, 0.0), *keys]
                part = own.join(
                    pl.DataFrame(
                        [(*key, float(place)) for place, key in enumerate(keys)],
                        schema={"change": pl.String, "amount": pl.Float64, "place": pl.Float64},
                        orient="row",
                    ),
                    on=["change", "amount"],
                )
                found.append(Panel(family, title, count, _curves(part), tuple(called(*key) for key in keys)))
    return found


def called(change: str, amount: float) -> str:
    """A change without steps, in words."""
    if change == UNCHANGED:
        return "as it is"
    if change.endswith(TIMES):
        return f"{change.removesuffix(TIMES).partition(': ')[2]} × {amount:g}"
    return f"no {change.removesuffix(ABSENT)}"


def _common(frame: pl.DataFrame) -> pl.DataFrame:
    """The questions that every model answers under every change."""
    whole = frame.select("series", "change", "amount").n_unique()
    counts = frame.group_by("task").len().filter(pl.col("len") == whole)
    return frame.filter(pl.col("task").is_in(counts["task"].to_list()))


def _curves(frame: pl.DataFrame) -> tuple[Curve, ...]:
    found = []
    for series in ("linear", "lightgbm", _MODEL):
        steps = (
            frame.filter(pl.col("series") == series)
            .group_by("place")
            .agg(
                pl.col("value").mean().alias("mean"),
                pl.col("value").quantile(0.25, "linear").alias("low"),
                pl.col("value").quantile(0.75, "linear").alias("high"),
            )
            .sort("place")
        )
        if steps.height:
            columns: Mapping[str, list[float]] = steps.to_dict(as_series=False)
            found.append(Curve(series, *(tuple(columns[name]) for name in ("place", "mean", "low", "high"))))
    return tuple(found)


def draw(found: Sequence[Panel], name: str) -> list[str]:
    """One sheet for each family of questions: curves above, marks by change below."""
    drawings: list[str] = []
    for family in dict.fromkeys(panel.family for panel in found):
        own = [panel for panel in found if panel.family == family]
        rows = [row for row in ([p for p in own if not p.names], [p for p in own if p.names]) if row]
        heights = [_TALL + _ABOVE + max(_under(panel) for panel in row) for row in rows]
        total = sum(heights) + 0.3
        with drawing.canvas(drawing.PAGE_WIDTH, total) as figure:
            top = total - 0.3
            for row, height in zip(rows, heights, strict=True):
                for place, panel in enumerate(row):
                    axes = figure.add_subplot()
                    width = (drawing.PAGE_WIDTH - 2 * _LEFT) / 2 - 0.05
                    drawing.inches(axes, _LEFT + place * (width + _LEFT), top - _ABOVE - _TALL, width, _TALL)
                    _panel(axes, panel)
                top -= height
            curves = own[0].curves[::-1]
            marks = [
                Line2D([], [], color=drawing.colour(one.series), marker=drawing.marker(one.series), markersize=4)
                for one in curves
            ]
            names = ["Model" if one.series == _MODEL else words.series(one.series) for one in curves]
            figure.legend(marks, names, loc="upper left", ncols=len(marks), frameon=False, fontsize=7)
            drawings.append(drawing.svg(figure, name=f"{name}-{len(drawings)}", title=f"Changed inputs: {family}"))
    return drawings


def _under(panel: Panel) -> float:
    longest = max((min(len(name), _LETTERS) for name in panel.names), default=0)
    return _NAMES + _LETTER * longest if panel.names else _BELOW


def _panel(axes: Axes, panel: Panel) -> None:
    floor = _FLOOR[panel.family]
    width = len(panel.curves)
    for number, curve in enumerate(panel.curves):
        colour, shape = drawing.colour(curve.series), drawing.marker(curve.series)
        mean, low, high = (np.maximum(values, floor) for values in (curve.mean, curve.low, curve.high))
        if panel.names:
            places = np.array(curve.places) + 0.17 * (number - (width - 1) / 2)
            axes.vlines(places, low, high, color=colour, linewidth=1.0, alpha=0.6)
            axes.plot(places, mean, shape, color=colour, markersize=3.6, markeredgewidth=0, clip_on=False)
        else:
            axes.fill_between(curve.places, low, high, color=colour, alpha=0.1, linewidth=0)
            axes.plot(curve.places, mean, marker=shape, color=colour, markersize=3, markeredgewidth=0, linewidth=1.1)
    lows = [value for curve in panel.curves for value in curve.low]
    highs = [value for curve in panel.curves for value in curve.high]
    axes.set_ylim(max(floor, min(lows) - 0.02), min(1.0, max(highs) + 0.02))
    axes.set_title(panel.title, loc="left", fontsize=7, pad=3, fontweight="bold")
    axes.set_ylabel(_AXES[panel.family], fontsize=6.5, labelpad=2)
    axes.tick_params(labelsize=6.2, pad=1.5)
    if panel.names:
        labels = [words.shortened(name, _LETTERS) for name in panel.names]
        axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
