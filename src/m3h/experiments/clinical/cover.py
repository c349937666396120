"""What predictions cover: conformal sets and intervals, and whether they hold the truth as often as they promise, also
in subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.evaluation.conformal import coverage
from m3h.evaluation.intervals import Draws
from m3h.experiments.clinical.answer import Answer
from m3h.experiments.scoring import table_of

CONFORMAL = {
    **dict.fromkeys(("task", "role", "preset"), pl.String),
    "level": pl.Float64,
    **dict.fromkeys(("group", "subgroup"), pl.String),
    **dict.fromkeys(("n", "patients"), pl.Int64),
    **dict.fromkeys(("covered", "low", "high", "size"), pl.Float64),
}


def conformal_table(answers: Sequence[Answer], groups: Mapping[str, NDArray[np.str_]], draws: Draws) -> pl.DataFrame:
    """conformal.csv: limits from training rows held out, and the share of test rows that they cover: of all, and of
    each subgroup of ``groups`` (column -> value of each test row, "" unknown). ``patients`` are those that the limits
    come from; ``size`` is the mean number of classes in a set, or the width of an interval in the task's unit, empty
    where it has no end."""
    rows = []
    for answer in answers:
        for limits in answer.reliance.limits:
            common = answer.names | {"level": limits.level, "patients": max(limits.patients)}
            for number, (name, values) in enumerate({"": None, **groups}.items()):
                found = coverage(limits, answer.truth, answer.calibrated, draws, subgroup=values)
                rows += [
                    common
                    | {"group": name, "subgroup": one.value, "n": one.n, "covered": one.covered.value}
                    | {"low": one.covered.low, "high": one.covered.high}
                    | {"size": one.size if np.isfinite(one.size) else float("nan")}
                    for one in found[min(number, 1) :]  # all rows are told once
                ]
    return table_of(rows, CONFORMAL)
