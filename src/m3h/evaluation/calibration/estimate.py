"""A number with its interval, and sums over bootstrap draws, of which shares, lines and net benefits are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from m3h.core.errors import DataError
from m3h.evaluation.intervals import Draws, interval

Floats = NDArray[np.float64]

#: A pass over some draws holds at most this many of their numbers as float64 (16 MB).
CELLS = 2_000_000


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval ``low`` to ``high`` by patient; NaN where there is nothing to say."""

    value: float
    low: float
    high: float


def estimates(found: Sequence[Floats], drawn: Sequence[Floats] | None) -> tuple[Estimate, ...]:
    """One of each measure: ``found`` (1,) of all rows each, ``drawn`` (draws,) each, or None for no intervals."""
    values = [float(value[0]) for value in found]
    if drawn is None:
        return tuple(Estimate(value, float("nan"), float("nan")) for value in values)
    nothing = np.full(1, np.nan)
    limits = (interval(nothing if np.isnan(value) else of) for value, of in zip(values, drawn, strict=True))
    return tuple(Estimate(value, low, high) for value, (low, high) in zip(values, limits, strict=True))


def labelled(
    truth: Floats, predicted: Floats, draws: Draws | None, *, dimensions: int = 1
) -> tuple[Floats, Floats, Draws | None]:
    """The three of the rows that have a label: ``truth`` (n,), ``predicted`` (n,) or (n, classes), draws (draws, n).

    Errors: DataError if ``predicted`` has another number of ``dimensions``, or lengths differ.
    """
    if truth.ndim != 1 or predicted.ndim != dimensions or len(predicted) != len(truth):
        shape = "(rows,)" if dimensions == 1 else "(rows, classes)"
        raise DataError(
            f"predictions of shape {predicted.shape} for truth of shape {truth.shape}",
            expected=f"truth (rows,) and predictions {shape}",
        )
    if draws is not None and draws.shape[1:] != truth.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(truth)}), as the truth has rows")
    known = ~np.isnan(truth)
    if known.all():
        return truth.astype(np.float64), predicted.astype(np.float64), draws
    kept = None if draws is None else draws[:, known]
    return truth[known].astype(np.float64), predicted[known].astype(np.float64), kept


def check_outcomes(truth: Floats) -> None:
    """Errors: DataError if an outcome (n,) is neither 0 nor 1."""
    wrong = truth[(truth != 0) & (truth != 1)]
    if len(wrong):
        raise DataError(
            f"{len(wrong)} of {len(truth)} outcomes are neither 0 nor 1",
            got=", ".join(f"{value:g}" for value in wrong[:3]),
            expected="0 or 1, NaN where there is no label",
        )


def check_probabilities(values: Floats) -> None:
    """Errors: DataError for a number outside 0 to 1, in an array of any shape; NaN passes."""
    outside = values[(values < 0) | (values > 1)]
    if len(outside):
        raise DataError(
            f"{len(outside)} of {values.size} predictions are no probabilities",
            got=", ".join(f"{value:g}" for value in outside[:3]),
            expected="numbers from 0 to 1",
            next_step="give probabilities, not logits",
        )


def totals(columns: Floats, draws: Draws | None) -> Floats:
    """Sums of ``columns`` (n, k) over the rows of each draw, (draws, k), float64; (1, k) of each row once for None."""
    if draws is None:
        plain: Floats = columns.sum(axis=0, keepdims=True)
        return plain
    result = np.empty((len(draws), columns.shape[1]))
    step = max(1, CELLS // max(1, len(columns)))
    # one thread: the order of a sum depends on the number of threads
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, len(draws), step):
            result[start : start + step] = draws[start : start + step].astype(np.float64) @ columns
    return result


def ratio(top: Floats, bottom: Floats) -> Floats:
    """``top / bottom``, NaN where ``bottom`` is 0."""
    result: Floats = np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom != 0)
    return result
