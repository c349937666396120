"""Series statistics: published values, a plain loop over SciPy, and the shape of what comes out."""

import time

import numpy as np
import pytest
from scipy.signal import find_peaks
from scipy.stats import linregress

from m3h.core.errors import DataError
from m3h.encoders.timeseries import STATISTICS, Statistics, statistics
from m3h.hospital.sources import EventBatch, Events


def batch_of(rows):
    """A batch from (sample, signal, time, value) rows, sorted as the readers sort them."""
    rows = sorted(rows)
    return EventBatch(
        sample=np.array([row[0] for row in rows], dtype=np.int64),
        signal=np.array([row[1] for row in rows], dtype=np.int32),
        time=np.array([row[2] for row in rows], dtype=np.float64),
        value=np.array([row[3] for row in rows], dtype=np.float64),
    )


def events_of(rows, samples, signals, *, relative=True, batches=1):
    """Events whose batches hold whole samples."""

    def stream():
        for part in np.array_split(np.arange(samples), batches):
            yield batch_of([row for row in rows if row[0] in set(part.tolist())])

    def signals_of(mask):
        return tuple(signals[index] for index in sorted({row[1] for row in rows if mask[row[0]]}))

    return Events(samples, tuple(signals), "minutes", relative, stream, signals_of)


def series(values):
    return statistics(batch_of([(0, 0, float(at), value) for at, value in enumerate(values)])).values[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([80, 90, 85], [90, 80, 85, 25, 2.5, 7.5, 10, 15, 5, 1, 2.5]),
        ([80, 90, 85, 0], [90, 0, 63.75, 1822.916667, -26.666667, 33.333333, 85, 100, -80, 1, -24.5]),
        ([7.4], [7.4, 7.4, 7.4, 0, 0, 0, 0, 0, 0, 0, 0]),
        ([7.4, 0], [7.4, 0, 3.7, 27.38, -7.4, 7.4, 7.4, 7.4, -7.4, 0, -7.4]),
        ([1, 2, 2, 1, 3, 0], [3, 0, 1.5, 1.1, -0.2, 1.4, 3, 7, -1, 2, -0.085714]),
    ],
)
def test_published_values(values, expected):
    assert series(values) == pytest.approx(expected, abs=1e-6)


def loop(x):
    """The statistics of one series the plain way."""
    d = np.diff(x)
    if len(x) == 1:
        return [x[0], x[0], x[0], *[0.0] * 8]
    return [
        x.max(),
        x.min(),
        x.mean(),
        x.var(ddof=1),
        d.mean(),
        np.abs(d).mean(),
        np.abs(d).max(),
        np.abs(d).sum(),
        x[-1] - x[0],
        len(find_peaks(x)[0]),
        linregress(np.arange(len(x)), x).slope,
    ]


@pytest.mark.parametrize("levels", [2, 3, 1000])
def test_vectorised_statistics_equal_a_loop_over_scipy(levels):
    random = np.random.default_rng(levels)  # few levels give plateaus and ties, also at the ends
    rows, expected = [], []
    for sample in range(60):
        for signal in range(4):
            x = random.integers(0, levels, random.integers(1, 25)) / 3 + 100
            rows += [(sample, signal, float(at), value) for at, value in enumerate(x)]
            expected.append(loop(x))
    np.testing.assert_allclose(statistics(batch_of(rows)).values, expected, rtol=1e-9, atol=1e-9)


def test_equal_values_have_no_variance_and_no_peak():
    assert series([0.1] * 7).tolist() == [0.1, 0.1, 0.1, *[0.0] * 8]


def test_block_worked_by_hand():
    rows = [(0, 1, -30.0, 5.0), (0, 1, -10.0, 7.0), (2, 0, -2.0, 1.0)]
    events = events_of(rows, 3, ["heart rate", "spo2"])
    encoder = Statistics()
    block = encoder.transform("bedside", events, encoder.fit(events, np.array([True, True, True])))
    assert block.width == 2 * 14
    assert block.present.tolist() == [True, False, True]
    assert np.isnan(block.values[1]).all()
    column = {name: index for index, name in enumerate(block.names)}
    first, last = block.values[0], block.values[2]
    assert [first[column[f"spo2.{name}"]] for name in ("max", "diff", "last", "time_since_last", "count")] == [
        7,
        2,
        7,
        10,
        2,
    ]
    assert first[column["heart rate.count"]] == 0
    assert np.isnan(first[column["heart rate.time_since_last"]])
    assert last[column["heart rate.time_since_last"]] == 2
    assert block.units[column["spo2.time_since_last"]] == "minutes"
    assert block.units[column["spo2.max"]] == ""


def test_without_a_sample_time_there_is_no_time_since_last():
    events = events_of([(0, 0, 5.0, 1.0)], 1, ["a"], relative=False)
    state = Statistics().fit(events, np.array([True]))
    assert Statistics().transform("s", events, state).names == tuple(f"a.{s}" for s in (*STATISTICS, "last", "count"))
    plain = Statistics(extras=False)
    assert plain.transform("s", events, state).names == tuple(f"a.{s}" for s in STATISTICS)


def test_signals_are_those_of_training_rows_sorted():
    rows = [(0, 2, -1.0, 3.0), (0, 0, -1.0, 4.0), (1, 1, -1.0, 9.0)]
    events = events_of(rows, 2, ["z", "only test", "a"])
    state = Statistics().fit(events, np.array([True, False]))
    block = Statistics(extras=False).transform("s", events, state)
    assert [name for name in block.names if name.endswith(".max")] == ["a.max", "z.max"]
    assert block.values[0, [0, 11]].tolist() == [3, 4]
    assert block.present.tolist() == [True, False]


def test_new_patients_may_have_their_signals_in_another_order():
    fitted = events_of([(0, 0, -1.0, 3.0), (0, 1, -1.0, 4.0)], 1, ["a", "b"])
    new = events_of([(0, 0, -1.0, 4.0), (0, 1, -1.0, 3.0)], 1, ["b", "a"])
    state = Statistics().fit(fitted, np.array([True]))
    first, second = (Statistics().transform("s", events, state) for events in (fitted, new))
    assert first.values.tobytes() == second.values.tobytes()


def test_batches_change_no_byte():
    random = np.random.default_rng(4)
    rows = [
        (int(s), int(g), -float(t), float(v)) for s, g, t, v in random.normal(5, 2, (400, 4)).clip(0, 8) // 0.01 / 100
    ]
    encoder = Statistics()
    blocks = []
    for batches in (1, 2, 9):
        events = events_of(rows, 9, [f"s{index}" for index in range(9)], batches=batches)
        blocks.append(encoder.transform("s", events, encoder.fit(events, np.ones(9, bool))).values.tobytes())
    assert blocks[0] == blocks[1] == blocks[2]


def test_what_does_not_fit_float32_is_refused_with_signal_and_statistic():
    events = events_of([(0, 0, -2.0, 1e25), (0, 0, -1.0, -1e25)], 1, ["lactate"])
    state = Statistics().fit(events, np.array([True]))
    with pytest.raises(DataError, match=r"(?s)lactate\.variance is too large.*maximum of 1e\+25.*leave the signal out"):
        Statistics().transform("s", events, state)


def test_no_event_in_training_is_refused():
    events = events_of([(1, 0, -1.0, 1.0)], 2, ["a"])
    with pytest.raises(DataError, match="no event reaches a training sample"):
        Statistics().fit(events, np.array([True, False]))


def test_times_of_another_kind_are_refused():
    events = events_of([(0, 0, -1.0, 1.0)], 1, ["a"])
    state = Statistics().fit(events, np.array([True]))
    other = events_of([(0, 0, 8.0, 1.0)], 1, ["a"], relative=False)
    with pytest.raises(DataError, match="not of the kind"):
        Statistics().transform("s", other, state)


def test_half_a_million_events_take_no_loop_over_series():
    samples, signals, each = 2000, 37, 6
    count = samples * signals * each
    index = np.arange(count)
    batch = EventBatch(
        index // (signals * each),
        (index // each % signals).astype(np.int32),
        -1.0 - index % each,
        np.sin(index),
    )
    names = tuple(f"s{number:02d}" for number in range(signals))
    events = Events(samples, names, "minutes", True, lambda: iter([batch]), lambda rows: names)
    state = Statistics().fit(events, np.ones(samples, bool))
    start = time.perf_counter()
    Statistics().transform("s", events, state)
    assert time.perf_counter() - start < 5  # measured: 0.1 s
