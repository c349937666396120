"""Events of a key handed to each of its samples, beside loops over events and samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from m3h.hospital import event_batches
from m3h.hospital.event_batches import Readers

GROUPS, SAMPLES = 40, 90
HOUR = 3_600_000_000
SIGNALS = np.array([5, 3, 9], dtype=np.int32)  # what the stored signals 0, 1, 2 are called


def stored(generator: np.random.Generator, *, known: bool, times: str) -> pa.Table:
    """Events in order of group, signal and time; the last group has most of them."""
    count = 3000
    group = np.minimum(np.sort(generator.integers(0, GROUPS + 20, count)), GROUPS - 1)
    moment = generator.integers(0, 50 * HOUR, count)
    signal = generator.integers(0, 3, count)
    order = np.lexsort((moment, signal, group))
    columns = {
        "m3h_group": pa.array(group[order], pa.int32()),
        "m3h_signal": pa.array(signal[order], pa.int32()),
        "m3h_moment": pa.array(moment[order] if times == "hours" else moment[order] / HOUR),
        "m3h_value": pa.array(generator.normal(size=count)),
    }
    if times == "none":
        columns["m3h_moment"] = pa.nulls(count, pa.int64())
    if known:
        columns["m3h_known"] = pa.array(np.asarray(columns["m3h_moment"]) + generator.integers(0, 9, count) * HOUR // 4)
    return pa.table(columns)


def parts(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    return iter(table.to_batches(max_chunksize=rows))


def looped(table: pa.Table, readers: Readers) -> list[tuple[int, int, float, float]]:
    """Event by event and sample by sample."""
    found = []
    rows = table.to_pylist()
    for group, sample, at in zip(readers.group.tolist(), readers.sample.tolist(), readers.at.tolist(), strict=True):
        for row in rows:
            seen = [row[name] for name in ("m3h_moment", "m3h_known") if name in row]
            if row["m3h_group"] != group or (readers.relative and max(seen) > at):
                continue
            time = float("nan")
            if readers.timed:
                time = (row["m3h_moment"] - (at if readers.relative else 0)) / (HOUR if readers.hours else 1)
            found.append((sample, int(SIGNALS[row["m3h_signal"]]), time, row["m3h_value"]))
    return sorted(found, key=lambda one: one[0])  # stable: the stored order within a sample


@pytest.mark.parametrize("batch_rows", [40, 1000, 1_000_000])
@pytest.mark.parametrize(
    ("times", "relative", "known"),
    [
        ("hours", True, True),
        ("hours", True, False),
        ("numbers", True, False),
        ("hours", False, False),
        ("numbers", False, False),
        ("none", False, False),
    ],
)
def test_each_sample_gets_what_is_there_by_its_time(
    monkeypatch: pytest.MonkeyPatch, batch_rows: int, times: str, relative: bool, known: bool
) -> None:
    monkeypatch.setattr(event_batches, "BATCH_ROWS", batch_rows)
    generator = np.random.default_rng(4)
    table = stored(generator, known=known, times=times)
    group = np.sort(generator.integers(0, GROUPS, SAMPLES))
    sample = generator.permutation(SAMPLES)
    sample = sample[np.lexsort((sample, group))]
    at = generator.integers(0, 60 * HOUR, SAMPLES) if times == "hours" else generator.uniform(0, 60, SAMPLES)
    readers = Readers(group, sample, at, relative=relative, hours=times == "hours", timed=times != "none")
    found: list[tuple[float, ...]] = []
    seen: set[int] = set()
    for batch in readers.batches(parts(table, 170), SIGNALS):
        assert len(batch.value) and (np.diff(batch.sample) >= 0).all()
        own = set(batch.sample.tolist())
        assert len(batch.value) <= batch_rows or len(own) == 1
        assert seen.isdisjoint(own)  # each sample's in one batch
        seen |= own
        columns = (batch.sample, batch.signal, batch.time, batch.value)
        found += list(zip(*(column.tolist() for column in columns), strict=True))
    expected = looped(table, readers)
    assert len(expected) > 1000
    found.sort(key=lambda one: one[0])
    np.testing.assert_array_equal(np.array(found), np.array(expected))


def test_events_out_of_order_are_noticed() -> None:
    table = pa.table({"m3h_group": pa.array([1, 0], pa.int32())})
    each = np.array([0, 1])
    readers = Readers(each, each, each, relative=False, hours=False, timed=False)
    with pytest.raises(RuntimeError, match="out of order"):
        list(readers.batches(parts(table, 10), SIGNALS))
