"""Time series: eleven statistics of each signal up to the sample's time, and what came last, when, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.encoders.block import Block, Bools, EncoderState, Floats
from m3h.hospital.sources import EventBatch, Events

#: In column order. x = a signal's values in order of time, d = their first differences; all but the first three are 0
#: where there is one value. Source: HAIM (Soenksen et al. 2022), without the zero that its code appends.
STATISTICS = (
    "max",
    "min",
    "mean",
    "variance",  # divisor n - 1
    "meandiff",  # mean of d
    "meanabsdiff",  # mean of |d|
    "maxdiff",  # largest |d|
    "sumabsdiff",  # sum of |d|
    "diff",  # last minus first
    "npeaks",  # local maxima: higher than both neighbours; a flat top counts once, the ends never
    "trend",  # slope of the least-squares line over 0 .. n-1, not over time
)


@dataclass(frozen=True)
class SeriesStatistics:
    """Statistics of each series (one signal of one sample), series in the order of their events.

    ``sample`` and ``signal`` as in EventBatch, (series,); ``values`` float64 (series, 11) in the order of STATISTICS;
    ``last`` value, ``last_time`` and ``count`` of events, float64 (series,).
    """

    sample: NDArray[np.int64]
    signal: NDArray[np.int32]
    values: NDArray[np.float64]
    last: NDArray[np.float64]
    last_time: NDArray[np.float64]
    count: NDArray[np.float64]


def statistics(batch: EventBatch) -> SeriesStatistics:
    """The statistics of every series of a batch, in float64; sums run in the order of the events.

    Numbers beyond float64 become infinite here; who narrows them must look.
    """
    x = batch.value
    new = np.ones(len(x), dtype=bool)
    new[1:] = (batch.sample[1:] != batch.sample[:-1]) | (batch.signal[1:] != batch.signal[:-1])
    starts = np.flatnonzero(new)
    count = np.diff(starts, append=len(x))
    ends = starts + count - 1
    values = np.zeros((len(starts), len(STATISTICS)))
    if len(x):
        with np.errstate(over="ignore", invalid="ignore"):
            _fill(values, x, starts, ends, count)
    return SeriesStatistics(
        sample=batch.sample[starts],
        signal=batch.signal[starts],
        values=values,
        last=x[ends],
        last_time=batch.time[ends],
        count=count.astype(np.float64),
    )


def _fill(
    out: NDArray[np.float64],
    x: NDArray[np.float64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    count: NDArray[np.int64],
) -> None:
    series = np.repeat(np.arange(len(starts)), count)
    largest, smallest = np.maximum.reduceat(x, starts), np.minimum.reduceat(x, starts)
    # rounding may carry the mean of equal values past them, which would give a constant series a variance
    mean = np.clip(np.add.reduceat(x, starts) / count, smallest, largest)
    deviation = x - mean[series]
    steps = np.abs(np.diff(x, prepend=x[0]))
    steps[starts] = 0
    gaps = np.maximum(count - 1, 1).astype(np.float64)
    change = np.add.reduceat(steps, starts)
    difference = x[ends] - x[starts]
    position = np.arange(len(x)) - ((starts + ends) / 2)[series]
    n = np.maximum(count, 2).astype(np.float64)
    columns = (
        largest,
        smallest,
        mean,
        np.add.reduceat(deviation * deviation, starts) / gaps,
        difference / gaps,
        change / gaps,
        np.maximum.reduceat(steps, starts),
        change,
        difference,
        _peaks(x, starts, series),
        np.add.reduceat(position * deviation, starts) / (n * (n * n - 1) / 12),
    )
    for index, column in enumerate(columns):
        out[:, index] = column


def _peaks(x: NDArray[np.float64], starts: NDArray[np.int64], series: NDArray[np.int64]) -> NDArray[np.float64]:
    """Number of local maxima of each series: runs of equal values with a lower run on either side."""
    new = np.ones(len(x), dtype=bool)
    new[1:] = x[1:] != x[:-1]
    new[starts] = True
    height, owner = x[new], series[new]
    top = np.zeros(len(height), dtype=bool)
    inside = (owner[:-2] == owner[1:-1]) & (owner[2:] == owner[1:-1])
    top[1:-1] = inside & (height[1:-1] > height[:-2]) & (height[1:-1] > height[2:])
    return np.bincount(owner[top], minlength=len(starts)).astype(np.float64)


@dataclass(frozen=True)
class Statistics:
    """Per signal 11 statistics, named "signal.max" and so on; the signals are those of the training rows, sorted.

    ``extras`` adds "signal.last", "signal.time_since_last" (in the unit of the time column; only where the samples
    have a time) and "signal.count". A signal without an event for a sample gives NaN and a count of 0; a sample
    without any event is absent, its row all NaN. ``every_signal`` keeps all signals of the study's map, in its order,
    whether training has them or not. Errors: DataError if no event reaches a training row, or if a statistic does not
    fit float32.
    """

    version: ClassVar[int] = 1

    extras: bool = True
    every_signal: bool = False

    def fit(self, data: Events, rows: Bools) -> EncoderState:
        """Learn which signals there are among the samples where ``rows`` is True."""
        signals = sorted(data.signals_of(rows))
        if not signals:
            raise DataError(
                "no event reaches a training sample",
                expected="events with a value, not later than the sample's time",
                next_step="compare the key, time and available columns of the source with the samples",
            )
        if self.every_signal:
            signals = list(data.signals)
        return EncoderState({"signals": signals, "relative": data.relative, "time_unit": data.time_unit})

    def transform(self, source: str, data: Events, state: EncoderState) -> Block:
        """Encode all samples; signals that training did not have are left out."""
        signals: list[str] = list(state.facts["signals"])
        columns = self._columns(bool(state.facts["relative"]))
        place = {signal: index for index, signal in enumerate(signals)}
        column_of = np.array([place.get(signal, -1) for signal in data.signals], dtype=np.int64)
        values = np.full((data.samples, len(signals), len(columns)), np.nan, dtype=np.float32)
        present = np.zeros(data.samples, dtype=bool)
        for batch in data.batches():
            if len(batch.value):
                self._check_times(data, state)
                series = statistics(batch)
                column = column_of[series.signal]
                known = column >= 0
                numbers = self._select(series, len(columns))[known]
                values[series.sample[known], column[known]] = _narrow(numbers, column[known], signals, columns)
                present[series.sample[known]] = True
        if self.extras:
            counts = values[:, :, -1]
            counts[np.isnan(counts) & present[:, None]] = 0
        names = tuple(f"{signal}.{column}" for signal in signals for column in columns)
        units = tuple(state.facts["time_unit"] if name.endswith(".time_since_last") else "" for name in names)
        return Block(source, "timeseries", values.reshape(data.samples, -1), present, names, units)

    def _columns(self, relative: bool) -> tuple[str, ...]:
        if not self.extras:
            return STATISTICS
        return (*STATISTICS, "last", *(("time_since_last",) if relative else ()), "count")

    def _select(self, series: SeriesStatistics, width: int) -> NDArray[np.float64]:
        if not self.extras:
            return series.values
        extras = [series.last, -series.last_time, series.count]
        if width == len(STATISTICS) + 2:
            del extras[1]
        return np.column_stack([series.values, *extras])

    def _check_times(self, data: Events, state: EncoderState) -> None:
        if self.extras and (data.relative, data.time_unit) != (state.facts["relative"], state.facts["time_unit"]):
            raise DataError(
                "the times of the events are not of the kind that the encoder was fitted on",
                got=_kind(data.relative, data.time_unit),
                expected=_kind(bool(state.facts["relative"]), str(state.facts["time_unit"])),
            )


def _kind(relative: bool, unit: str) -> str:
    return f"{unit or 'numbers'}, {'relative to the sample' if relative else 'of samples without a time'}"


def _narrow(
    numbers: NDArray[np.float64], signal: NDArray[np.int64], signals: list[str], columns: tuple[str, ...]
) -> Floats:
    """To float32, refusing what does not fit."""
    with np.errstate(invalid="ignore"):
        series, column = np.nonzero(~(np.abs(numbers) <= np.finfo(np.float32).max))
    if len(series):
        first = f"{signals[signal[series[0]]]}.{columns[column[0]]}"
        raise DataError(
            f"{first} is too large for {len(np.unique(series))} samples or signals",
            got="a maximum of " + f"{numbers[series[0], 0]:g}, a minimum of {numbers[series[0], 1]:g}",
            expected="statistics of at most 3.4e38; a variance is the square of the values",
            next_step="correct the values, or leave the signal out",
        )
    return numbers.astype(np.float32)
