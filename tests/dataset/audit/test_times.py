"""What the tables say of time beside what the study declares: worked examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.dataset.audit.times import undeclared_times
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables
from m3h.study.spec import Study
from timed import rows, write


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
