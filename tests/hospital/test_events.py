"""Time series: joined, cut, sorted and cut into batches of whole samples."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital import event_batches
from m3h.hospital.events import read_events
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables

SERIES = (
    '[[source]]\nname = "s"\nmodality = "timeseries"\ntable = "own.csv"\nkey = "id"\n'
    'time = "at"\nsignal = "code"\nvalue = "v"\n'
)
HEAD = "id,at,code,v\n"


def _rows(found):
    return [
        row
        for part in found.batches()
        for row in zip(part.sample.tolist(), part.signal.tolist(), part.time.tolist(), part.value.tolist(), strict=True)
    ]


def _read(study):
    with Tables(study) as tables:
        found = read_events(tables, read_samples(tables, study), study.sources[0])
        return found, _rows(found)


def _message(study):
    with pytest.raises(DataError) as caught:
        _read(study)
    return str(caught.value)


def test_ties_are_ordered_by_value_and_times_without_a_sample_time_stand_as_recorded(small):
    study = small("id,person\n1,a\n", SERIES, own=HEAD + "1,5,hr,80\n1,5,hr,70\n1,-1,hr,60\n1,,hr,1\n1,5,bp,9\n")
    found, rows = _read(study)
    assert (found.signals, found.time_unit, found.relative) == (("bp", "hr"), "at", False)
    assert rows == [(0, 0, 5.0, 9.0), (0, 1, -1.0, 60.0), (0, 1, 5.0, 70.0), (0, 1, 5.0, 80.0)]
    assert found.counts.missing_time == 1


def test_an_event_reaches_every_sample_of_its_key(small):
    study = small(
        "id,person,stay,t\n1,a,s,10\n2,a,s,20\n",
        SERIES.replace('"id"', '"stay"'),
        more='time = "t"',
        own="stay,at,code,v\ns,10,hr,1\ns,15,hr,2\n",
    )
    assert _read(study)[1] == [(0, 0, 0.0, 1.0), (1, 0, -10.0, 1.0), (1, 0, -5.0, 2.0)]


@pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.Int16, pl.UInt32, pl.UInt64, pl.Float64])
def test_keys_and_ties_mean_the_same_whatever_their_type(small, tmp_path, kind):
    large = 2**53  # and one more are one number as DOUBLE
    ties = {"n": [str(large + 1), "3", str(large), "20"]}
    if kind in (pl.Int64, pl.UInt64):
        ties = {"n": [int(tie) for tie in ties["n"]]}
    own = pl.DataFrame(
        {"id": [17, 17, 17, 17], "at": [1, 1, 1, 1], "code": ["hr"] * 4, "v": [1.0, 2.0, 3.0, 4.0]} | ties
    )
    own.with_columns(pl.col("id").cast(kind)).write_parquet(tmp_path / "own.parquet")
    series = SERIES.replace(".csv", ".parquet") + 'order = ["n"]\n'
    found, rows = _read(small("id,person\n17.0,a\n017,b\n-3,c\n70000,d\n", series))
    # 017 is another id; ids are sorted as texts: -3, 017, 17, 70000
    assert [row[0] for row in rows] == [2] * 4
    assert [row[3] for row in rows] == [2.0, 4.0, 3.0, 1.0]
    assert (found.counts.rows, found.counts.unmatched, found.counts.used) == (4, 0, 4)


@pytest.mark.parametrize(
    ("more", "samples", "own", "message"),
    [
        ("", "", "1,1,hr,high\n1,1,hr,5\n", "v: 1 texts where numbers belong, 1 numbers"),
        ("", "", "1,1,hr,inf\n1,1,hr,5\n", "v: 1 infinite values, 1 numbers"),
        ("", "", "7,1,hr,5\n", "no row for any sample\n  got: 1 rows: 1 belong to no sample"),
        ("", "", "1,,hr,5\n1,1,,5\n1,1,hr,\n", "0 later than their sample's time, 2 empty"),
        ("", "", "1,soon,hr,5\n1,2,hr,5\n1,3,hr,5\n", "own.csv: at: 1 values that are no time (row 1)"),
        ('time = "t"', "2020-01-01", "1,1,hr,5\n", "at holds numbers, the samples' time timestamps"),
        ('time = "t"', "5", "1,2020-01-01,hr,5\n", "at holds timestamps, the samples' time numbers"),
        ('time = "t"', "2020-01-01T00:00:00Z", "1,2020-01-01,hr,5\n", "the samples' time has a time zone, at has none"),
    ],
)
def test_mistakes(small, more, samples, own, message):
    found = _message(small(f"id,person,t\n1,a,{samples}\n", SERIES, more=more, own=HEAD + own))
    assert message in found
    assert "high" not in found


def test_missing_columns_name_the_nearest(small):
    study = small("id,person\n1,a\n", SERIES, own="id,at,cod,v\n1,1,hr,2\n")
    assert 'source "s" (own.csv): no column "code" (signal); did you mean "cod"?' in _message(study)


def test_mapped_signals_keep_the_order_of_the_map(small):
    series = SERIES + 'signals = { "50.0" = "b", "7" = "a", "8" = "b", "99" = "never" }\n'
    study = small("id,person\n1,a\n", series, own=HEAD + "1,1,7,1\n1,1,8,2\n1,1,6,3\n1,1,50.0,4\n")
    found, rows = _read(study)
    assert found.signals == ("b", "a", "never")
    assert (found.counts.unmapped, found.counts.used) == (1, 3)
    assert rows == [(0, 0, 1.0, 2.0), (0, 0, 1.0, 4.0), (0, 1, 1.0, 1.0)]


def test_batches_hold_whole_samples_and_can_be_read_again_and_at_once(small, tmp_path, monkeypatch):
    monkeypatch.setattr(event_batches, "BATCH_ROWS", 4000)
    generator = np.random.default_rng(5)
    count = 60_000
    frame = pl.DataFrame(
        {
            "id": generator.integers(0, 50, count),
            "at": generator.integers(0, 100, count),
            "code": generator.integers(0, 5, count),
            "v": generator.normal(size=count),
        }
    )
    frame.write_parquet(tmp_path / "own.parquet")
    rows = "".join(f"{number},p{number},90\n" for number in range(50))
    study = small("id,person,t\n" + rows, SERIES.replace(".csv", ".parquet"), more='time = "t"')
    with Tables(study) as tables:
        samples = read_samples(tables, study)
        found = read_events(tables, samples, study.sources[0])
        first, second = found.batches(), found.batches()
        begun = [next(first), next(second)]  # two streams side by side
        parts = [begun[0], *first]
        again = [begun[1], *second]
        assert found.signals_of(samples.ids == "7") == found.signals
        assert found.signals_of(np.zeros(50, dtype=bool)) == ()
    assert len(parts) > 5
    seen = [set(part.sample.tolist()) for part in parts]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 50
    values = np.concatenate([part.value for part in parts])
    np.testing.assert_array_equal(values, np.concatenate([part.value for part in again]))
    # the same by another road
    position = pl.DataFrame({"id": [int(name) for name in samples.ids], "sample": range(50)})
    expected = frame.filter(pl.col("at") <= 90).join(position, on="id").with_columns(pl.col("code").cast(pl.String))
    expected = expected.sort("sample", "code", "at", "v")
    np.testing.assert_array_equal(values, expected["v"].to_numpy())
    np.testing.assert_array_equal(np.concatenate([part.time for part in parts]), expected["at"].to_numpy() - 90.0)
    assert found.counts.later == count - len(expected)
