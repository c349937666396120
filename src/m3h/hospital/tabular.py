"""Tabular sources: columns of the samples table, or the last row before each sample's time of a table of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.hospital.link import check_columns, check_used, described, link
from m3h.hospital.samples import SampleTable
from m3h.hospital.sources import Counts, TableColumns
from m3h.hospital.sql import quoted
from m3h.hospital.tables import Tables
from m3h.hospital.values import as_text, floats, is_number, named, numbers, objects, parsed, remedy, with_comma
from m3h.study.spec import Source


def read_tabular(
    tables: Tables, samples: SampleTable, source: Source, texts: Collection[str] | None = None
) -> TableColumns:
    """Columns as float64 (NaN = missing) or as texts (None = missing), per sample.

    A text column is numbers if all its values are, and categories if fewer than half of them are; in between it is
    an error. ``options = {categories = [...]}`` makes columns categories; true/false are 1 and 0. ``texts`` names
    the categories outright. Of a table of its own with times the last row counts; of several at that time, the last
    in the order of their values. Errors: DataError for missing columns, texts among numbers, infinite values, other
    types, several rows of one key without a time.
    """
    where = described(tables, source)
    names = chosen(tables, source)
    check_columns([("columns", name) for name in names], tables.types(source), where)
    if source.own_table:
        frame, rows, counts = _last_rows(tables, samples, source, names)
    else:
        frame, rows = samples.frame.select(names), samples.rows
        counts = _of_samples(frame)
    check_used(tables, source, counts)
    forced = texts if texts is not None else source.options.get("categories", ())
    columns = {
        name: _values(frame[name], rows, f"{where}, column {name}", name in forced, decided=texts is not None)
        for name in names
    }
    return TableColumns(columns, counts)


def chosen(tables: Tables, source: Source) -> tuple[str, ...]:
    """The columns of a source; a name that ends in * stands for all columns that begin so, in the table's order."""
    if not any(name.endswith("*") for name in source.columns):
        return source.columns
    there = tables.columns(source)
    found: dict[str, None] = {}
    for name in source.columns:
        fitting = [one for one in there if one.startswith(name[:-1])] if name.endswith("*") else [name]
        found |= dict.fromkeys(fitting)
    return tuple(found)


def _of_samples(frame: pl.DataFrame) -> Counts:
    used = len(frame) - _empty(frame)
    return Counts(rows=len(frame), missing_value=len(frame) - used, used=used)


def _empty(frame: pl.DataFrame) -> int:
    """Number of rows in which every column is empty."""
    texts = [
        as_text(frame[name]).is_null() if _readable(frame[name]) else frame[name].is_null() for name in frame.columns
    ]
    return int(np.logical_and.reduce([column.to_numpy() for column in texts]).sum()) if texts else 0


def _readable(series: pl.Series) -> bool:
    return is_number(series) or series.dtype in (pl.String, pl.Categorical, pl.Enum)


def _values(series: pl.Series, rows: NDArray[np.int64], where: str, categories: bool, *, decided: bool) -> NDArray[Any]:
    if not _readable(series) and series.dtype != pl.Null:
        raise DataError(
            "neither numbers nor texts",
            where=where,
            got=f"type {series.dtype}",
            next_step='turn it into a number in a query = "file.sql", such as hours before the sample',
        )
    if categories:
        return objects(as_text(series))
    if is_number(series) or series.dtype == pl.Null:
        return floats(numbers(series), rows, where, "finite numbers")
    text = as_text(series)
    found = parsed(text)
    given, fitting = len(text) - text.null_count(), len(found) - found.null_count()
    likely = fitting + int(with_comma(text).sum())
    if fitting < given and not decided and 2 * likely < given:
        return objects(text)
    if fitting < given:
        odd = (text.is_not_null() & found.is_null()).to_numpy()
        raise DataError(
            f"{given - fitting} of {given} values are texts where numbers belong ({named(rows[odd])})",
            where=where,
            expected="numbers; empty where nothing was measured",
            next_step=remedy(text.filter(pl.Series(odd)))
            or 'correct them, or declare the column as categories: options = { categories = ["..."] }',
        )
    return floats(found.fill_nan(None), rows, where, "finite numbers")


def _last_rows(
    tables: Tables, samples: SampleTable, source: Source, names: Sequence[str]
) -> tuple[pl.DataFrame, NDArray[np.int64], Counts]:
    """A frame with one row per sample (nulls where there is none), the table's row numbers, and what was left out."""
    joined = link(tables, samples, source)
    missing_time, later, kept, reached = tables.rows(
        f"SELECT count(*) FILTER (WHERE m3h_missing), count(*) FILTER (WHERE NOT m3h_missing AND m3h_later), "
        f"count(*) FILTER (WHERE NOT m3h_missing AND NOT m3h_later), "
        f"count(DISTINCT m3h_sample) FILTER (WHERE NOT m3h_missing AND NOT m3h_later) FROM ({joined.matched})",
        source,
    )[0]
    if source.time is None and kept > reached:
        raise DataError(
            f"{source.key}: {kept - reached} rows too many, keys stand more than once",
            where=described(tables, source),
            expected="at most one row for each key",
            next_step="name the column of the rows' time (the last before the sample's time counts), or remove rows",
        )
    columns = ", ".join(quoted(name) for name in names)
    last = ""
    if source.time is not None:
        ties = ", ".join(f"CAST({quoted(name)} AS VARCHAR) DESC NULLS LAST" for name in names)
        last = f"QUALIFY row_number() OVER (PARTITION BY m3h_sample ORDER BY m3h_moment DESC, {ties}, m3h_row) = 1"
    frame = tables.frame(
        f"SELECT m3h_sample, m3h_row, {columns} FROM ({joined.matched}) WHERE NOT m3h_missing AND NOT m3h_later {last}",
        source,
    )
    empty = _empty(frame.select(names))
    counts = Counts(joined.rows, joined.unmatched, missing_time, later, empty, len(frame) - empty)
    every = pl.DataFrame({"m3h_sample": np.arange(len(samples))})
    aligned = every.join(frame.with_columns(pl.col("m3h_sample").cast(pl.Int64)), on="m3h_sample", how="left").sort(
        "m3h_sample"
    )
    rows = aligned["m3h_row"].fill_null(0).to_numpy().astype(np.int64)
    return aligned.select(names), rows, counts
