"""Columns of a frame as numbers or texts, the same for CSV (texts only) and Parquet (typed)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError

Floats = NDArray[np.float64]

_LONGEST_SHOWN = 30


def as_text(series: pl.Series) -> pl.Series:
    """Values as texts without blanks around them, null where empty; whole numbers without ".0", true and false."""
    if series.dtype.is_float():
        whole = series.is_finite() & (series == series.floor()) & (series.abs() < 9e15)
        integers = series.set(~whole.fill_null(False), None).cast(pl.Int64).cast(pl.String)
        return integers.fill_null(series.fill_nan(None).cast(pl.String))
    text = series.cast(pl.String).str.strip_chars().str.replace(r"^(-?[0-9]+)\.0+$", "${1}")
    return text.set((text == "").fill_null(False), None)


def parsed(text: pl.Series) -> pl.Series:
    """Texts as numbers, null where they are none; true and false are 1 and 0 where nothing else is there."""
    lower = text.str.to_lowercase()
    given = lower.drop_nulls()
    if len(given) and given.is_in(["true", "false"]).all():
        return (lower == "true").cast(pl.Float64)
    return text.cast(pl.Float64, strict=False)


def numbers(series: pl.Series) -> pl.Series:
    """A column of numbers or true/false as Float64, null where missing or NaN."""
    return series.cast(pl.Float64).fill_nan(None)


def is_number(series: pl.Series) -> bool:
    """Whether the column's type holds numbers or true/false."""
    return series.dtype.is_numeric() or series.dtype == pl.Boolean


def floats(series: pl.Series, rows: Sequence[int] | NDArray[np.int64], where: str, expected: str) -> Floats:
    """Float64 with NaN for null. Errors: DataError naming rows that hold an infinite value."""
    values = series.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(
            f"{int(infinite.sum())} infinite values in {named(np.asarray(rows)[infinite])}",
            where=where,
            expected=expected,
            next_step="leave the cells empty where nothing was measured",
        )
    return values


def objects(text: pl.Series) -> NDArray[Any]:
    """Texts as an object array, None where missing."""
    found = np.empty(len(text), dtype=object)
    found[:] = text.to_list()
    return found


def with_comma(text: pl.Series) -> pl.Series:
    """Which texts are numbers with a decimal comma, as 36,5; null stays null."""
    return text.str.contains(r"^[+-]?[0-9]+,[0-9]+$")


def remedy(odd: pl.Series) -> str | None:
    """What to do about these texts among numbers, where their looks tell it: decimal commas, or words for nothing."""
    if bool(with_comma(odd).any()):
        return "write a decimal point, 36.5 and not 36,5; or read the table by SQL: replace(column, ',', '.')"
    if bool(odd.str.to_lowercase().is_in(["na", "n/a", "null", "none", "nan", "nil", "-", ".", "?"]).any()):
        return "leave the cell empty where nothing was measured, without NA or NULL"
    return None


def named(rows: Iterable[int]) -> str:
    """Row numbers for a message: the first three, ascending, counted from 1 without the header."""
    ordered = sorted({int(row) for row in rows})
    shown = ", ".join(str(row) for row in ordered[:3]) + (", ..." if len(ordered) > 3 else "")
    return f"row {shown}" if len(ordered) == 1 else f"rows {shown}"


def shown(values: Iterable[str]) -> str:
    """At most three different short values for a message; longer ones may be free text and are not shown."""
    distinct = list(dict.fromkeys(values))
    parts = [f'"{value}"' if len(value) <= _LONGEST_SHOWN else "(a longer text)" for value in distinct[:3]]
    return ", ".join(dict.fromkeys(parts)) + (", ..." if len(distinct) > 3 else "")
