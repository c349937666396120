"""Columns that were computed over a whole stay: they follow what was measured after the sample's time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.dataset.audit.order import ranks
from m3h.dataset.audit.times import rows_of
from m3h.dataset.dataset import Dataset
from m3h.encoders.block import Block
from m3h.encoders.timeseries import Statistics
from m3h.hospital.events import read_events
from m3h.hospital.samples import SampleTable
from m3h.hospital.tables import Tables
from m3h.study.spec import Source, Study

Floats = NDArray[np.float64]

#: Training samples that are looked at, at equal distances; more cost time and tell nothing new.
SAMPLES = 1500
#: Samples whose statistic the rows left out would change; of fewer nothing is said.
LEAST = 30
#: Rank correlation with the whole stay's statistic from which on a column follows it.
FOLLOWS = 0.95
#: The statistic up to the sample's time must leave open this many times as much.
MORE = 4.0
#: Below this over all samples, a correlation is not looked at where the statistics differ.
LIKELY = 0.6
#: No moment is later; whole microseconds and their differences stay within 64 bits.
_END = 1 << 61


def computed_afterwards(tables: Tables, study: Study, samples: SampleTable, dataset: Dataset) -> list[dict[str, Any]]:
    """Columns of tabular sources that follow a statistic of a series over all of its rows, also those after the
    sample's time, and not the statistic of the rows up to it.

    Each with source, column, ``series`` (source), ``statistic`` and ``correlation`` of ranks, over ``samples`` where
    the two statistics differ. Only series whose table has later rows are looked at.
    """
    numbers = [block for block in dataset.blocks.values() if block.modality == "tabular"]
    if samples.moment is None or not numbers:
        return []
    rows = training_rows(dataset)
    some = rows_of(samples, rows)
    found: list[dict[str, Any]] = []
    for source in study.sources:
        counts = dataset.facts.get("sources", {}).get(source.name, {}).get("counts", {})
        if source.read_as != "timeseries" or source.time is None or not counts.get("later"):
            continue
        try:
            whole = _statistics(tables, _unending(some), source)
            likely = [_likely(block.values[rows], whole.values) for block in numbers]
            # what would have been known then is read only where it matters
            cut = _statistics(tables, some, source) if any(pairs.any() for pairs in likely) else whole
        except DataError:  # read without one for all samples before; here no row reaches those looked at
            continue
        for block, pairs in zip(numbers, likely, strict=True):
            found += _following(block, rows, source, cut, whole, pairs)
    return found


def training_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Training rows that are looked at, ascending."""
    rows = dataset.train_rows
    return rows if len(rows) <= SAMPLES else rows[np.linspace(0, len(rows) - 1, SAMPLES).astype(np.int64)]


def _unending(samples: SampleTable) -> SampleTable:
    assert samples.moment is not None
    end = pl.Series([_END] * len(samples), dtype=pl.Int64).cast(samples.moment.dtype)
    return replace(samples, moment=end, time=np.full(len(samples), float(_END)))


def _statistics(tables: Tables, samples: SampleTable, source: Source) -> Block:
    events = read_events(tables, samples, source)
    encoder = Statistics()
    state = encoder.fit(events, np.ones(len(samples), dtype=bool))
    # the end is no moment that anything could be measured from
    return encoder.transform(source.name, events, state)


def _following(
    block: Block, rows: NDArray[np.int64], source: Source, cut: Block, whole: Block, likely: NDArray[np.bool_]
) -> Iterator[dict[str, Any]]:
    place = {name: number for number, name in enumerate(cut.names)}
    after = whole.values.astype(np.float64)
    columns = block.values[rows].astype(np.float64)
    for number, column in enumerate(block.names):
        best: tuple[float, str, int] = (0.0, "", 0)
        for at in np.flatnonzero(likely[number]):
            name = whole.names[at]
            before = np.full(len(rows), np.nan)
            if name in place:
                before = cut.values[:, place[name]].astype(np.float64)
            # against an end that never comes, no time has passed
            if not name.endswith(".time_since_last"):
                correlation, count = _follows(columns[:, number], after[:, at], before)
                best = max(best, (correlation, name, count))
        if best[0]:
            yield {
                "source": block.source,
                "column": column,
                "series": source.name,
                "statistic": best[1],
                "correlation": round(best[0], 4),
                "samples": best[2],
            }


def _likely(columns: NDArray[np.float32], statistics: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(column, statistic): whether ranks agree at all; spares the closer look at nearly all pairs."""
    x, x_known = _ranked(columns.astype(np.float64))
    y, y_known = _ranked(statistics.astype(np.float64))
    count = x_known.T @ y_known
    sums = (x.T @ y_known, x_known.T @ y)
    squares = ((x * x).T @ y_known, x_known.T @ (y * y))
    product = x.T @ y
    count = np.maximum(count, 1)
    spread = (squares[0] - sums[0] ** 2 / count) * (squares[1] - sums[1] ** 2 / count)
    agreed = product - sums[0] * sums[1] / count
    return np.asarray((count >= LEAST) & (np.abs(agreed) >= LIKELY * np.sqrt(np.maximum(spread, 1e-12))))


def _ranked(values: Floats) -> tuple[Floats, Floats]:
    """Ranks of each column's known values between -1 and 1, 0 where unknown; and where they are known, 1 or 0."""
    known = ~np.isnan(values)
    found = np.zeros(values.shape)
    for column in range(values.shape[1]):
        own = known[:, column]
        if own.any():
            found[own, column] = 2 * ranks(values[own, column]) / own.sum() - 1
    return found, known.astype(np.float64)


def _follows(column: Floats, after: Floats, before: Floats) -> tuple[float, int]:
    """Correlation of ranks with the whole statistic where the two differ, and the rows; 0 where it is not followed."""
    differs = ~np.isnan(column) & ~np.isnan(after) & ~(after == before)
    if differs.sum() < LEAST:
        return 0.0, 0
    with_after = _correlation(column[differs], after[differs])
    if with_after < FOLLOWS:
        return 0.0, 0
    both = differs & ~np.isnan(before)
    with_before = _correlation(column[both], before[both]) if both.sum() >= LEAST else 0.0
    fits = MORE * (1 - with_after**2) <= 1 - with_before**2
    return (with_after, int(differs.sum())) if fits else (0.0, 0)


def _correlation(x: Floats, y: Floats) -> float:
    if x.min() == x.max() or y.min() == y.max():
        return 0.0
    return abs(float(np.corrcoef(ranks(x), ranks(y))[0, 1]))
