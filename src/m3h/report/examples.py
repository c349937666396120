"""Answers to read: patients of whom the model was surest, right and wrong, and what pushed it; nobody is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.features import named
from m3h.report.tables import Cell, Table

_SURELY = {"right": "Surest and right", "wrong": "Surest and wrong"}
_CLOSE = {"right": "Nearest", "wrong": "Farthest off"}
Row = Mapping[str, Any]


def examples(contents: Contents) -> list[Table]:
    """One table per question, a row per patient; [] where the run kept none."""
    kinds = {task["name"]: task for task in contents.tasks}
    frame = contents.appraisal["examples"].sort("number", "rank", maintain_order=True)
    found = []
    for (task,), part in frame.group_by("task", maintain_order=True):
        facts = kinds.get(str(task), {})
        kind, unit = str(facts.get("kind") or ""), str(facts.get("unit") or "")
        rows = tuple(_row(own, kind) for _, own in part.group_by("number", maintain_order=True))
        said = {"binary": "Risk", "regression": "Said"}.get(kind, "Said, and how surely")
        columns = ("", said, "Truth", "What pushed the answer up (▲) and down (▼)")
        found.append(Table(f"{task}{f' ({unit})' if unit else ''}", columns, rows, frozenset({0, 3})))
    return found


def _row(part: pl.DataFrame, kind: str) -> tuple[Cell, ...]:
    rows = list(part.iter_rows(named=True))
    first = rows[0]
    group = (_CLOSE if kind == "regression" else _SURELY).get(first["group"], first["group"])
    said = first["predicted"] if first["prediction"] is None else words.percent(first["prediction"])
    return (
        Cell(group),
        Cell(said, first["predicted"] if kind == "multiclass" else ""),
        Cell(first["truth"], tone="behind" if first["group"] == "wrong" else ""),
        Cell("", lines=tuple(_push(row) for row in rows)),
    )


def _push(row: Row) -> str:
    sign = "▲" if row["adds"] > 0 else "▼"
    unit = f"\u00a0{row['unit']}" if row["unit"] else ""
    if row["feature"] and not row["measured"]:
        told = ", not measured"
    else:
        told = f" = {row['measured'].replace('-', words.MINUS)}{unit}" if row["feature"] else ""
    return f"{sign} {words.signed(row['adds'], 2)} {named(row['source'], row['feature'])}{told}"
