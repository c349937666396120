"""The table of a run for docs/results: `python benchmarks/run_table.py runs/icu2012 docs/results/icu2012.csv`.

One row per task: headline scores of every model with 95 % intervals by patient, and the paired difference joint minus
single; at the end the mean over the tasks that every model scored.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import polars as pl

from m3h.study.task import HEADLINE

MODELS = (("single", "paper"), ("joint", "paper"), ("baseline", "lightgbm"), ("baseline", "linear"))


def cell(row: dict[str, float]) -> str:
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})" if row["low"] is not None else ""


def table(run: Path) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of a run folder."""
    scores = pl.read_csv(run / "scores.csv").with_columns(pl.col("value", "low", "high").cast(pl.Float64))
    gaps = pl.read_csv(run / "differences.csv").filter(pl.col("role_b") == "single")
    headline = scores.filter(pl.col("metric") == pl.col("kind").replace_strict(HEADLINE))
    models = [m for m in MODELS if len(headline.filter((pl.col("role") == m[0]) & (pl.col("preset") == m[1])))]
    heads = ["task", "metric", "test rows", *(preset if role == "baseline" else role for role, preset in models)]
    rows, means = [], {model: [] for model in models}
    for (task, metric), own in headline.group_by("task", "metric", maintain_order=True):
        found = {(r["role"], r["preset"]): r for r in own.to_dicts() if r["value"] is not None}
        gap = gaps.filter(pl.col("task") == task).to_dicts()
        text = f"{gap[0]['difference']:+.3f} ({gap[0]['low']:+.3f} to {gap[0]['high']:+.3f})" if gap else ""
        if gap and gap[0]["metric"] != metric:
            text += f" {gap[0]['metric']}"
        cells = [cell(found[model]) if model in found else "" for model in models]
        rows.append([str(task), str(metric), str(max(r["n_test"] for r in own.to_dicts())), *cells, text])
        if len(found) == len(models):
            for model in models:
                means[model].append(found[model]["value"])
    count = len(next(iter(means.values())))
    total = [f"**{sum(values) / count:.4f}**" for values in means.values()]
    rows.append([f"**mean of {count}**", "", "", *total, ""])
    return [*heads, "joint - single"], rows


if __name__ == "__main__":
    heads, rows = table(Path(sys.argv[1]))
    with Path(sys.argv[2]).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([heads, *rows])
