"""A run beside the paper's own table: same questions, same measures, other patients."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.tables import Cell, Table, grouped
from m3h.report.titles import shown

#: The paper's three roles beside ours: a task alone, and the best of the sets it was learnt in.
ROLES = ("single", "joint", "best")


def published() -> pl.DataFrame:
    """The paper's results (Bertsimas & Ma 2024): task_id, group, metric, score and interval of single and multi."""
    content = resources.files("m3h.hospital.catalog").joinpath("paper-results.csv").read_bytes()
    return pl.read_csv(content)


def beside(contents: Contents) -> pl.DataFrame:
    """A row per task of the paper: its scores, and this run's where it has the task with the same measure."""
    here = contents.headline.filter(pl.col("role").is_in(ROLES)).select(
        "task", "metric", "role", "value", "low", "high"
    )
    frame = published().rename({"task_id": "task"})
    for role in ROLES:
        own = here.filter(pl.col("role") == role).unique(["task", "metric"], keep="first", maintain_order=True)
        columns = {name: f"run_{role}_{name}" for name in ("value", "low", "high")}
        frame = frame.join(own.drop("role").rename(columns), on=["task", "metric"], how="left", maintain_order="left")
    return frame


def compared(file: Path) -> int:
    """How many of the paper's tasks the run of a paper.csv has, with the same measure."""
    values = [pl.col(f"run_{role}_value").is_not_null() for role in ROLES]
    return pl.read_csv(file, infer_schema_length=None).filter(pl.any_horizontal(values)).height


def table(contents: Contents) -> Table | None:
    """The table of the report; None where the run has no task of the paper."""
    frame = beside(contents)
    there = [role for role in ROLES if frame.get_column(f"run_{role}_value").is_not_null().any()]
    if not there:
        return None
    called, rows = shown(contents), []
    for row in frame.iter_rows(named=True):
        fields = [_cell(row[f"{name}_score"], row[f"{name}_lo"], row[f"{name}_hi"], 2) for name in ("single", "multi")]
        fields += [
            _cell(row[f"run_{role}_value"], row[f"run_{role}_low"], row[f"run_{role}_high"], 3) for role in there
        ]
        rows.append(
            (row["group"], (Cell(called.get(row["task"], row["task"])), Cell(words.metric(row["metric"])), *fields))
        )
    titles = ("Paper, single", "Paper, multitask", *(f"This run, {words.series(role).lower()}" for role in there))
    return Table(
        caption="Beside the paper (Bertsimas & Ma 2024, MIMIC-IV with images)",
        columns=("Question", "Measure", *titles),
        rows=grouped(rows),
        texts=frozenset({0, 1}),
        note="Other patients, other features or another version of the data make other numbers: the paper's column "
        "says what was reached there, not what must be reached here. Its multitask score is that of the best set.",
    )


def _cell(value: float | None, low: float | None, high: float | None, digits: int) -> Cell:
    if value is None:
        return Cell(words.NOTHING, tone="quiet")
    return Cell(words.number(value, digits), words.interval(low, high, digits))
