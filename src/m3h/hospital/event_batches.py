"""Events, stored once for all samples of a key, handed to each of these samples: cut at its time, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from m3h.hospital.moments import MICROSECONDS_PER_HOUR
from m3h.hospital.sources import EventBatch

#: Events in one batch, at most; a batch is longer where a single sample has more. Of stored events a quarter of it.
BATCH_ROWS = 1_000_000

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Readers:
    """The samples that read a group of events, groups numbered from 0 and ascending.

    ``sample`` and ``at`` (its time, exact; of any value where ``relative`` is False) hold one entry for each sample,
    ordered by ``group`` and sample; ``hours``: times are timestamps; ``timed``: events have times at all.
    """

    group: Integers
    sample: Integers
    at: NDArray[Any]
    relative: bool
    hours: bool
    timed: bool

    def batches(self, parts: Iterator[pa.RecordBatch], signals: NDArray[np.int32]) -> Iterator[EventBatch]:
        """The events of stored ``parts``, which are ordered by group; ``signals`` gives each stored signal its number.

        Columns of a part: m3h_group, m3h_signal, m3h_moment, m3h_known where events have one, m3h_value.
        """
        for events in _whole_groups(parts):
            for pairs in self._pairs(events):
                batch = self._batch(events, pairs, signals)
                if len(batch.value):
                    yield batch

    def _pairs(self, events: pa.Table) -> Iterator[tuple[Integers, Integers, Integers]]:
        """Reader, and first and number of its events, ordered by sample; about a batch of them at a time."""
        group = events["m3h_group"].to_numpy()
        if np.any(group[1:] < group[:-1]):
            raise RuntimeError("the database gave events out of order")
        there, start, count = np.unique(group, return_index=True, return_counts=True)
        first, last = np.searchsorted(self.group, there), np.searchsorted(self.group, there, side="right")
        readers = last - first
        reader = _ranges(first, readers)
        order = np.argsort(self.sample[reader])
        reader, start, count = reader[order], np.repeat(start, readers)[order], np.repeat(count, readers)[order]
        begin = 0
        while begin < len(reader):
            end = begin + max(1, int(np.searchsorted(np.cumsum(count[begin:]), BATCH_ROWS, side="right")))
            yield reader[begin:end], start[begin:end], count[begin:end]
            begin = end

    def _batch(
        self, events: pa.Table, pairs: tuple[Integers, Integers, Integers], signals: NDArray[np.int32]
    ) -> EventBatch:
        reader, start, count = pairs
        row, reader = _ranges(start, count), np.repeat(reader, count)
        if self.relative:
            seen = np.ones(len(row), dtype=bool)
            for name in ("m3h_moment", "m3h_known"):
                if name in events.column_names:
                    seen &= events[name].to_numpy()[row] <= self.at[reader]
            row, reader = row[seen], reader[seen]
        return EventBatch(
            sample=self.sample[reader],
            signal=signals[events["m3h_signal"].to_numpy()[row]],
            time=self._time(events, row, reader),
            value=events["m3h_value"].to_numpy()[row].astype(np.float64, copy=False),
        )

    def _time(self, events: pa.Table, row: Integers, reader: Integers) -> NDArray[np.float64]:
        if not self.timed:
            return np.full(len(row), np.nan)
        time = events["m3h_moment"].to_numpy()[row]
        if self.relative:
            time = time - self.at[reader]
        time = time.astype(np.float64, copy=False)
        return np.asarray(time / MICROSECONDS_PER_HOUR if self.hours else time, dtype=np.float64)


def _whole_groups(parts: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The stored events in their order, cut between groups."""
    waiting: list[pa.RecordBatch] = []
    for part in parts:
        waiting.append(part)
        if sum(len(other) for other in waiting) < BATCH_ROWS // 4:
            continue
        table = pa.Table.from_batches(waiting).combine_chunks()
        group = table["m3h_group"].to_numpy()
        cut = int(np.searchsorted(group, group[-1]))  # the last group may go on in the next part
        if cut:
            yield table.slice(0, cut)
        waiting = table.slice(cut).to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks()


def _ranges(start: Integers, count: Integers) -> Integers:
    """All of start[0], start[0] + 1, ... (count[0] of them), then those of the next."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(start - (ends - count), count), dtype=np.int64)
