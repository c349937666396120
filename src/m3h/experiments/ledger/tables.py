"""The ledger for people: one row per trial, or one per trial, task and metric."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl

from m3h.core.atomic import atomic_file
from m3h.experiments.ledger.rows import Record

Status = Literal["finished", "failed"]
Fold = int | Literal["final"]

#: Columns of a listing. Task sets are joined by "+"; ``preset`` is the nearest registered one, ``overrides`` the
#: fields that differ; ``fold`` is null for a training on the whole training part; ``failed`` says why, ``seconds`` is
#: the member's share of its fleet's time, ``finished`` is UTC; directions of the metrics: m3h.study.task.
TRIALS: dict[str, Any] = {
    "id": pl.String,
    "study": pl.String,
    "dataset": pl.String,
    "tasks": pl.String,
    "sources": pl.String,
    "weights": pl.List(pl.Float64),
    "preset": pl.String,
    "overrides": pl.String,
    "preset_fingerprint": pl.String,
    "fold": pl.Int64,
    "folds": pl.Int64,
    "replicate": pl.Int64,
    "learning_rate": pl.Float64,
    "batch_size": pl.Int64,
    "epochs": pl.Int64,
    "update": pl.String,
    "precision": pl.String,
    "device": pl.String,
    "seed": pl.Int64,
    "status": pl.String,
    "failed": pl.String,
    "warnings": pl.List(pl.String),
    "seconds": pl.Float64,
    "finished": pl.Datetime("ms", "UTC"),
    "m3h": pl.String,
    "torch": pl.String,
    "numerics": pl.Int64,
    "scores": pl.List(pl.Struct({"task": pl.String, "metric": pl.String, "value": pl.Float64})),
}


def where(
    *, study: str | None, task: str | None, status: Status | None, fold: Fold | None, preset: str | None
) -> tuple[str, list[object]]:
    """The filters as an SQL condition and its parameters; None filters nothing."""
    parts: list[tuple[str, list[object]]] = [("1", [])]
    if study is not None:
        parts.append(("study = ?", [study]))
    if task is not None:
        parts.append(("EXISTS (SELECT 1 FROM json_each(trial.tasks) AS one WHERE one.value = ?)", [task]))
    if status is not None:
        parts.append(("(failed <> '') = ?", [status == "failed"]))
    if fold is not None:
        parts.append(("fold IS NULL", []) if fold == "final" else ("fold = ?", [fold]))
    if preset is not None:
        parts.append(("preset = ?", [preset]))
    return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


def trials(records: Sequence[Record]) -> pl.DataFrame:
    """One row per trial; the columns are those of :data:`TRIALS`."""
    rows = [_row(record) for record in records]
    columns = {name: [row[name] for row in rows] for name in TRIALS if name != "scores"}
    scored = pl.DataFrame(
        [(number, *score) for number, record in enumerate(records) for score in record.scores],
        schema={"number": pl.Int64, "task": pl.String, "metric": pl.String, "value": pl.Float64},
        orient="row",
    )
    lists = scored.group_by("number").agg(pl.struct("task", "metric", "value").alias("scores"))
    frame = pl.DataFrame(columns, schema={name: kind for name, kind in TRIALS.items() if name != "scores"})
    joined = frame.with_row_index("number").cast({"number": pl.Int64}).join(lists, on="number", how="left")
    return joined.sort("number").with_columns(pl.col("scores").fill_null([])).select(list(TRIALS))


def scores(table: pl.DataFrame) -> pl.DataFrame:
    """A listing as one row per trial, task and metric, all columns plain; a failed trial keeps one row without them."""
    single = table.with_columns(
        pl.col("warnings").list.join("; "),
        pl.col("weights").cast(pl.List(pl.String)).list.join(" "),
        pl.when(pl.col("scores").list.len() > 0).then("scores"),  # a null keeps its row, an empty list may not
    )
    return single.explode("scores").unnest("scores")


def write_scores(table: pl.DataFrame, file: Path) -> int:
    """Write a listing to a CSV file as :func:`scores` has it, whole or not at all; returns the number of rows.

    Errors: FolderError if the file cannot be written.
    """
    rows = scores(table)
    with atomic_file(file) as place:
        rows.write_csv(place)
    return len(rows)


def _row(record: Record) -> dict[str, Any]:
    values = record.values
    overrides = record.several("overrides")
    return {
        **values,
        "tasks": "+".join(record.several("tasks")),
        "sources": "+".join(record.several("sources")),
        "weights": record.several("weights"),
        "warnings": record.several("warnings"),
        "overrides": ", ".join(f"{name}={value}" for name, value in overrides.items()),
        "update": values["update_mode"],
        "status": "failed" if values["failed"] else "finished",
        "finished": datetime.fromisoformat(values["finished"]),
    }
