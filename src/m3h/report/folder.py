"""Files of a run folder, read strictly: the columns asked for, in their kinds, or an error that says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from m3h.core.errors import FolderError

TEXT, NUMBER, WHOLE, TRUTH = pl.String(), pl.Float64(), pl.Int64(), pl.Boolean()
Schema = Mapping[str, pl.DataType]


def json_object(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Errors: FolderError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise not_a_run(file, "cannot be read") from error
    if not isinstance(content, dict):
        raise not_a_run(file, "is not a JSON object")
    return content


def csv(file: Path, schema: Schema, *, needed: bool = False, later: Collection[str] = frozenset()) -> pl.DataFrame:
    """A CSV file with the columns of ``schema``; empty where it may be absent and is. Columns that are ``later`` than
    some files are empty where a file lacks them. Errors: FolderError."""
    if not file.exists():
        if needed:
            raise not_a_run(file, "is not there")
        return pl.DataFrame(schema=dict(schema))
    try:
        frame = pl.read_csv(file, schema_overrides=dict(schema))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise not_a_run(file, "cannot be read as a table") from error
    absent = {name: kind for name, kind in schema.items() if name in later and name not in frame.columns}
    frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in absent.items())
    return _fitted(frame, file, schema)


def parquet(file: Path, schema: Schema) -> pl.DataFrame:
    """A Parquet file with the columns of ``schema``, its rows sorted; empty where it is absent. Errors: FolderError."""
    if not file.exists():
        return pl.DataFrame(schema=dict(schema))
    try:
        # sorted, so that the page's bytes do not follow the order in which trainings finished
        frame = pl.read_parquet(file).sort(pl.all())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise not_a_run(file, "cannot be read as a table") from error
    return _fitted(frame, file, schema)


def _fitted(frame: pl.DataFrame, file: Path, schema: Schema) -> pl.DataFrame:
    """The columns of ``schema`` alone, not-a-number made missing."""
    absent = [name for name in schema if name not in frame.columns]
    if absent:
        raise not_a_run(file, "lacks a column", got=", ".join(absent))
    return frame.select(_column(name, kind) for name, kind in schema.items())


def _column(name: str, kind: pl.DataType) -> pl.Expr:
    """A column of its kind; an empty word is a word, a number that is none is missing."""
    column = pl.col(name).cast(kind)
    if kind == TEXT:
        return column.fill_null("")
    return column.fill_nan(None) if kind == NUMBER else column


def not_a_run(file: Path, what: str, got: str | None = None) -> FolderError:
    """The error of a file that no command of this library has left so."""
    return FolderError(
        f"{file.name} {what}",
        where=str(file.parent),
        got=got,
        expected="a folder that m3h run, search or tim has written",
        next_step="give the folder named by --out of that command, or repeat it",
    )
