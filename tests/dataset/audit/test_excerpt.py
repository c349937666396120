"""The rows of some samples stand in place of the tables, and every look finds in them what it finds in the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.dataset.audit import audit, looks
from m3h.dataset.audit.excerpt import excerpt
from m3h.dataset.audit.times import rows_of
from m3h.dataset.build import build
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables
from timed import START, rows, write

AGAIN = """
[[source]]
name = "again"
modality = "timeseries"
table = "labs.csv"
key = "id"
time = "taken"
signal = "what"
value = "value"
"""


def test_within_it_tables_hold_the_rows_of_these_samples_alone_and_after_it_all(tmp_path: Path) -> None:
    study = write(tmp_path, rows(), AGAIN)
    (labs, again) = study.sources
    with Tables(study) as tables:
        samples = read_samples(tables, study)

        def ids() -> list[str]:
            return tables.frame(f"SELECT DISTINCT id FROM ({tables.select(again)}) ORDER BY id", labs)["id"].to_list()

        whole, types = ids(), tables.types(labs)
        with excerpt(tables, study, rows_of(samples, np.array([2, 7, 31]))):
            assert ids() == ["a002", "a007", "a031"]
            assert tables.types(labs) == types
        assert ids() == whole and len(whole) == 40
        with pytest.raises(DataError), excerpt(tables, study, samples):
            raise DataError("stopped within")
        assert ids() == whole


def test_a_part_of_the_samples_tells_what_the_whole_tables_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = pl.col("number").cast(pl.String).str.zfill(2)
    study = write(tmp_path, rows(kept=pl.col("taken") + pl.duration(hours=3), what=pl.format("I{}1", number)))
    monkeypatch.setattr("m3h.dataset.audit.times.SAMPLES", 22)
    monkeypatch.setattr("m3h.dataset.audit.afterwards.SAMPLES", 10)
    found = []
    for few in (1, 1000):
        monkeypatch.setattr(looks, "FEW", few)
        found.append(build(study, cache=None).facts["tables"])
    assert found[0] == found[1]
    assert [(one["column"], one["reached"], one["used"]) for one in found[0]["times"]] == [("kept", 22, 66)]
    assert [(one["source"], one["column"], one["own"]) for one in found[0]["codes"]] == [("labs", "what", 1.0)]


def test_without_looks_the_audit_says_that_tables_were_not_searched(tmp_path: Path) -> None:
    study = write(tmp_path, rows(kept=START + pl.duration(hours=90)))
    kinds = [
        {alarm["kind"] for alarm in audit(build(study, cache=None, looks=look))["alarms"]} for look in (True, False)
    ]
    assert "time not declared" in kinds[0] and "tables not looked at" not in kinds[0]
    assert "time not declared" not in kinds[1] and "tables not looked at" in kinds[1]


def test_what_is_taken_from_the_cache_is_looked_at_again(tmp_path: Path) -> None:
    study = write(tmp_path / "study", rows(kept=START + pl.duration(hours=90)))
    first, second = (build(study, cache=tmp_path / "cache").facts["tables"] for _ in range(2))
    assert first == second and first["times"]
