"""Diagnosis codes of the sample's own key among the inputs: worked examples."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from m3h.dataset.audit.coded_inputs import codes_among_inputs
from m3h.hospital.samples import read_samples
from m3h.hospital.tables import Tables
from m3h.study.spec import Study
from timed import rows, write


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
