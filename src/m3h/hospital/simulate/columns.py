"""Columns of the tables made from arrays: times in seconds become text moments, unknown ones become null."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: A time or an id that is not there.
NONE = np.iinfo(np.int64).min
MINUTE, HOUR, DAY = 60, 3600, 86400


def moments(seconds: Ints) -> pl.Series:
    """Seconds since 1970 as timestamps; NONE becomes null."""
    return (ids(seconds) * 1000).cast(pl.Datetime("ms"))


def dates(seconds: Ints) -> pl.Series:
    """The days of seconds since 1970; NONE becomes null."""
    return moments(seconds).dt.date()


def ids(numbers: Ints) -> pl.Series:
    """Whole numbers; NONE becomes null."""
    known = pl.Series(values=numbers != NONE)
    return pl.Series(values=numbers, dtype=pl.Int64).zip_with(known, pl.Series([None], dtype=pl.Int64))


def floats(numbers: Floats) -> pl.Series:
    """Numbers; NaN becomes null."""
    return pl.Series(values=numbers, dtype=pl.Float64, nan_to_null=True)


def picked(words: Sequence[str | None], numbers: npt.NDArray[np.integer]) -> pl.Series:
    """``words[number]`` for each number; a null word or a negative number becomes null."""
    at = pl.Series(values=np.where(numbers < 0, len(words), numbers), dtype=pl.UInt32)
    return pl.Series(values=[*words, None], dtype=pl.String).gather(at)


def written(numbers: pl.Series) -> pl.Series:
    """Numbers as text the way a laboratory writes them: whole ones without a decimal point."""
    whole = numbers.cast(pl.Int64).cast(pl.Float64) == numbers
    return numbers.cast(pl.Int64).cast(pl.String).zip_with(whole.fill_null(True), numbers.cast(pl.String))


def minutes(seconds: npt.NDArray[np.floating] | Ints) -> Ints:
    """Seconds cut to the minute."""
    return (np.floor(seconds / MINUTE) * MINUTE).astype(np.int64)


def chosen(random: Floats, shares: Sequence[float]) -> Ints:
    """For uniform numbers the index whose share they fall into; shares need not add up to 1."""
    ends = np.cumsum(shares) / np.sum(shares)
    return np.minimum(np.searchsorted(ends, random, side="right"), len(shares) - 1).astype(np.int64)


def weighted(values: Floats, weights: Floats) -> Floats:
    """The matrix product (row, variable) x (variable, column) -> (row, column). A library's would add up in an order
    that depends on its threads, and a last digit can decide who is among the highest."""
    return np.asarray(np.einsum("rv,vc->rc", values, weights))


def numbered(groups: npt.NDArray[np.integer], *, order: npt.NDArray[np.integer]) -> Ints:
    """For each row its number, from 0, among the rows of its group, counted in the order of ``order``."""
    sorting = np.lexsort((order, groups))
    ordered = groups[sorting]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else np.zeros(0, np.int64)
    within = np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
    result = np.empty(len(groups), np.int64)
    result[sorting] = within
    return result
