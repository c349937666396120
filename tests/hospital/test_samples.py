"""The samples table: order, ids as text, times, splits, and every way it can be wrong."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables


def _read(study):
    with Tables(study) as tables:
        return read_samples(tables, study)


def _message(study):
    with pytest.raises(DataError) as caught:
        _read(study)
    return str(caught.value)


def test_ids_are_texts_in_the_order_of_texts(small):
    samples = _read(small("id,person,x\n10,p,1\n9,p,2\n 007 ,q,3\n"))
    assert samples.ids.tolist() == ["007", "10", "9"]
    assert samples.patients.tolist() == ["q", "p", "p"]
    assert samples.rows.tolist() == [3, 1, 2]
    assert samples.frame["x"].to_list() == ["3", "1", "2"]
    assert (samples.time, samples.time_kind, samples.split, len(samples)) == (None, "none", None, 3)


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt8, pl.Float64, pl.Float32, pl.String, pl.Decimal(10, 2)])
def test_whole_numbers_are_the_same_id_in_every_type(small, tmp_path, kind):
    study = small("id\n")
    study = study.model_copy(update={"samples": study.samples.model_copy(update={"table": "t.parquet"})})
    pl.DataFrame({"id": pl.Series([12, 5]).cast(kind), "person": ["a", "b"]}).write_parquet(tmp_path / "t.parquet")
    assert _read(study).ids.tolist() == ["12", "5"]


@pytest.mark.parametrize(
    ("samples", "more", "message"),
    [
        ("id,person\n1,a\n2,b\n1,c\n1,d\n", "", "samples.csv: 1 sample ids stand more than once (rows 1, 3, 4)"),
        ("id,person\n1,a\n,b\n", "", "samples.csv: 1 of 2 samples have no id (row 2)"),
        ("id,person\n1,a\n2, \n3,\n", "", "samples.csv: 2 of 3 samples have no patient (rows 2, 3)"),
        ("id,person\n", "", "samples.csv: no samples"),
        ("id,persn\n1,a\n", "", 'no column "person" (patient); did you mean "persn"?'),
        ("Id,person\n1,a\n", "", 'no column "id" (id); did you mean "Id"?'),
        ("id,person\n1,a\n", 'time = "when"', 'no column "when" (time)'),
        ("id,person\n1,a\n", 'subgroups = ["sex"]', 'no column "sex" (subgroups)'),
        (
            "id,person,side\n1,a,train\n2,b,tset\n3,c,\n",
            'split = "side"',
            "side: 2 values are neither train nor test (rows 2, 3)",
        ),
        (
            "id,person,side\n1,a,train\n2,a,test\n3,a,test\n4,b,test\n",
            'split = "side"',
            "side: 1 patients have samples on both sides of the split",
        ),
        (
            "id,person,at\n1,a,2020-01-01\n2,a,01/02/2020\n3,b,soon\n",
            'time = "at"',
            "at: 2 values that are no time (row 2, 3)\n  expected: ISO timestamps",
        ),
        ("id,person,at\n1,a,5\n2,a,6\n3,b,soon\n", 'time = "at"', "at: 1 values that are no time (row 3)"),
        ("id,person,at\n1,a,5\n2,a,inf\n", 'time = "at"', "at: 1 infinite times (row 2)"),
        (
            "id,person,at\n1,a,2020-01-01 10:00:00\n2,a,2020-01-01 10:00:00Z\n",
            'time = "at"',
            "at: 1 of 2 timestamps have a time zone, the others none",
        ),
    ],
)
def test_mistakes(small, samples, more, message):
    assert message in _message(small(samples, more=more))


def test_the_wrong_split_value_is_shown_and_no_id(small):
    message = _message(small("id,person,side\nMaria,Jones,left\n", more='split = "side"'))
    assert '"left"' in message and "Maria" not in message and "Jones" not in message


def test_numbers_and_timestamps_as_times(small):
    numbers = _read(small("id,person,at\n1,a,1440\n2,b,\n3,c,nan\n", more='time = "at"'))
    assert numbers.time_kind == "number"
    np.testing.assert_array_equal(numbers.time, [1440.0, np.nan, np.nan])
    stamps = _read(small("id,person,at\n1,a,1970-01-02\n2,b,\n3,c,1970-01-01T01:30\n", more='time = "at"'))
    assert stamps.time_kind == "timestamp"
    np.testing.assert_array_equal(stamps.time, [24.0, np.nan, 1.5])
    zoned = _read(small("id,person,at\n1,a,1970-01-01T02:00:00+02:00\n", more='time = "at"'))
    assert zoned.zoned and zoned.time.tolist() == [0.0]


def test_subgroups_are_texts_with_empty_for_missing(small):
    samples = _read(small("id,person,male\n1,a,1.0\n2,b,\n3,c,0\n", more='subgroups = ["male"]'))
    assert samples.subgroups["male"].tolist() == ["1", "", "0"]


@pytest.mark.parametrize("offset", ["Z", "+00:00", "-05:00", "+0530", "+02"])
def test_offsets_in_texts_are_honoured(small, offset):
    from datetime import datetime

    stamp = f"2020-01-01T02:00:00{offset}"
    zoned = _read(small(f"id,person,at\n1,a,{stamp}\n", more='time = "at"'))
    assert zoned.time.tolist() == [datetime.fromisoformat(stamp).timestamp() / 3600]
