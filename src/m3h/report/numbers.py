"""Scores that need a word: of models that say the same for everybody, and intervals of no width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents

#: What ranks nobody scores, exactly and in every redraw.
NO_RANKING = 0.5
_RANKS = ("auroc", "macro_auroc")


def constant(contents: Contents, series: str) -> list[str]:
    """Questions to which the networks of a series answer every test patient with one and the same value, in the
    study's order. Read from the predictions; without them from an AUROC of 0.5 in every redraw."""
    roles = contents.predictions.filter((pl.col("role") == series) & pl.col("prediction").is_not_null())
    kinds = {task["name"]: task["kind"] for task in contents.tasks}
    seen = roles.group_by("task", "class").agg(pl.col("prediction").n_unique().alias("values"), pl.len().alias("rows"))
    by_task = seen.group_by("task").agg(pl.col("values").max(), pl.col("rows").max())
    flat = set(by_task.filter((pl.col("values") == 1) & (pl.col("rows") > 1)).get_column("task"))
    for row in contents.headline.filter(pl.col("role") == series).iter_rows(named=True):
        if unranked(row):
            flat.add(row["task"])
    return [name for name, kind in kinds.items() if name in flat and kind != "clustering"]


def unranked(row: Mapping[str, Any]) -> bool:
    """Whether a score is what a model gets that says the same for everybody: an AUROC of 0.5 in every redraw."""
    return row["metric"] in _RANKS and row["value"] == row["low"] == row["high"] == NO_RANKING


def beneath(row: Mapping[str, Any], tested: Mapping[str, int], digits: int = 3) -> str:
    """The line beneath a score: its interval, or in words why that has no width. ``tested``: test patients by task."""
    if unranked(row):
        return "the same for everybody"
    if row["low"] is not None and row["low"] == row["high"]:
        return "one test patient" if tested.get(row["task"]) == 1 else "the same in every redraw"
    return words.interval(row["low"], row["high"], digits)


def counted_patients(contents: Contents) -> dict[str, int]:
    """Test patients with an answer to each question, where the run counted them."""
    counts = {task["name"]: (task.get("test") or {}).get("patients") for task in contents.tasks}
    return {name: int(count) for name, count in counts.items() if count is not None}
