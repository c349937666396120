"""What the tables say of time, and of codes, beside what the study declares: worked examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.dataset.given import codes_among_inputs
from m3h.dataset.times import undeclared_times
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables
from m3h.study.spec import Study

STUDY = """
[study]
name = "times"
[samples]
table = "samples.csv"
id = "id"
patient = "id"
time = "t"
[diagnoses]
table = "codes.csv"
key = "id"
code = "code"
system = 10
[[source]]
name = "labs"
modality = "timeseries"
table = "labs.csv"
key = "id"
time = "taken"
signal = "what"
value = "value"
{more}
[[task]]
name = "ill"
kind = "binary"
column = "ill"
"""
START = pl.datetime(2030, 1, 1)


def write(folder: Path, labs: pl.DataFrame, more: str = "", numbers: bool = False) -> Study:
    ids = [f"a{number:03d}" for number in range(40)]
    hours = pl.Series("t", range(40))
    samples = pl.DataFrame({"id": ids, "ill": [number % 2 for number in range(40)]}).with_columns(hours)
    codes = pl.DataFrame({"id": ids, "code": [f"I{number:02d}1" for number in range(40)]})
    if not numbers:
        samples = samples.with_columns((START + pl.duration(hours=pl.col("t"))).alias("t"))
    samples.write_csv(folder / "samples.csv")
    codes.write_csv(folder / "codes.csv")
    labs.write_csv(folder / "labs.csv")
    (folder / "study.toml").write_text(STUDY.replace("{more}", more), encoding="utf-8")
    return Study.read(folder / "study.toml")


def rows(**columns: pl.Expr) -> pl.DataFrame:
    """Three rows a sample, taken 3, 2 and 1 hours before its time."""
    frame = pl.DataFrame({"number": [n // 3 for n in range(120)], "before": [3 - n % 3 for n in range(120)]})
    frame = frame.with_columns(pl.format("a{}", pl.col("number").cast(pl.String).str.zfill(3)).alias("id"))
    taken = START + pl.duration(hours=pl.col("number") - pl.col("before"))
    frame = frame.with_columns(taken.alias("taken"), pl.lit("x").alias("what"), pl.lit(1.5).alias("value"))
    return frame.with_columns(**columns)


def looked(study: Study) -> list[dict[str, object]]:
    with Tables(study) as tables:
        return undeclared_times(tables, study, read_samples(tables, study))


def test_rows_that_were_stored_after_the_samples_time_are_counted(tmp_path: Path) -> None:
    # taken 1 hour before the sample's time and stored 3 hours later: 2 hours after it; the others 1 and 0 hours after
    study = write(tmp_path, rows(kept=pl.col("taken") + pl.duration(hours=3)))
    counts = {"rows": 40, "used": 120, "samples": 40, "reached": 40}
    assert looked(study) == [{"source": "labs", "column": "kept", "declared": True} | counts]


@pytest.mark.parametrize("minutes", [0, 60, 119])
def test_charting_within_the_hour_is_no_leak(tmp_path: Path, minutes: int) -> None:
    assert looked(write(tmp_path, rows(kept=pl.col("taken") + pl.duration(minutes=minutes)))) == []


def test_what_is_declared_is_not_told(tmp_path: Path) -> None:
    study = write(tmp_path, rows(kept=pl.col("taken") + pl.duration(hours=2)), 'available = "kept"')
    assert looked(study) == []


def test_the_end_of_a_row_whose_value_stops_at_the_samples_time_is_no_leak(tmp_path: Path) -> None:
    hours = pl.col("number") % 5 + 1
    frame = rows(until=pl.col("taken") + pl.duration(hours=hours))
    whole = write(tmp_path, frame.with_columns(hours.cast(pl.Float64).alias("value")))
    assert [one["column"] for one in looked(whole)] == ["until"]
    cut = pl.min_horizontal(hours, pl.col("before")).cast(pl.Float64)
    assert looked(write(tmp_path, frame.with_columns(cut.alias("value")))) == []


def test_numbers_that_keep_step_with_the_rows_time_are_times_and_others_are_not(tmp_path: Path) -> None:
    frame = rows().with_columns((pl.col("number") - pl.col("before")).alias("taken"))
    noise = pl.Series("score", np.random.default_rng(0).integers(0, 500, 120))
    frame = frame.with_columns(
        (pl.col("taken") + 4).alias("filed"), noise, pl.int_range(1000, 1120).alias("row_number")
    )
    found = looked(write(tmp_path, frame, numbers=True))
    assert [(one["column"], one["rows"]) for one in found] == [("filed", 120)]


def test_a_number_that_never_falls_below_the_samples_time_is_a_time_after_it(tmp_path: Path) -> None:
    more = '[[source]]\nname = "own"\nmodality = "tabular"\ncolumns = ["gone", "ill"]\n'
    study = write(tmp_path, rows().with_columns(pl.col("number").alias("taken")), more, numbers=True)
    samples = pl.read_csv(tmp_path / "samples.csv").with_columns((pl.col("t") + 5).alias("gone"))
    samples.write_csv(tmp_path / "samples.csv")
    assert [(one["source"], one["column"], one["rows"]) for one in looked(study)] == [("own", "gone", 40)]


def given(study: Study) -> list[dict[str, object]]:
    with Tables(study) as tables:
        return codes_among_inputs(tables, study, read_samples(tables, study))


@pytest.mark.parametrize("form", ["I{}1", "i{}.1", "icd I{}1 main"])
def test_codes_of_the_same_key_are_found_however_they_are_written(tmp_path: Path, form: str) -> None:
    number = pl.col("number").cast(pl.String).str.zfill(2)
    found = given(write(tmp_path, rows(what=pl.format(form, number))))
    assert found == [{"source": "labs", "column": "what", "own": 1.0, "other": 0.0}]


def test_codes_of_others_are_not_told(tmp_path: Path) -> None:
    other = ((pl.col("number") + 7) % 40).cast(pl.String).str.zfill(2)
    assert given(write(tmp_path, rows(what=pl.format("I{}1", other)))) == []
