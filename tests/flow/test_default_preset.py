"""A study that names no preset: trained by m3h, repeated to the byte, asked again, and quiet."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import m3h
from called import call

Writes = Callable[..., Path]


@pytest.fixture(scope="module")
def study(small_study: Writes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("unnamed") / "study", text=lambda text: text + "\n[network]\n")


@pytest.fixture(scope="module")
def run(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    done = call("run", study, "--out", place / "run", "--cache", place / "cache")
    assert done.status == 0, done.err
    assert "LightGBM" not in done.err + done.out
    return place / "run"


def test_it_is_m3h(run: Path) -> None:
    with (run / "scores.csv").open() as file:
        assert {row["preset"] for row in csv.DictReader(file)} == {"m3h"}


def test_it_repeats_itself_to_the_byte(study: Path, run: Path, tmp_path: Path) -> None:
    assert call("run", study, "--out", tmp_path / "again", "--cache", tmp_path / "cache").status == 0
    for name in ("scores.csv", "differences.csv", "attention.csv", "predictions.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes(), name


def test_its_model_says_of_patients_what_the_run_said(study: Path, run: Path, tmp_path: Path) -> None:
    done = call("predict", run, "--data", study.parent, "--out", tmp_path / "said.csv")
    assert done.status == 0, done.err
    said = pl.read_csv(tmp_path / "said.csv").filter(pl.col("task") == "died")
    told = pl.read_parquet(run / "predictions.parquet")
    told = told.filter((pl.col("task") == "died") & (pl.col("role") == "joint"))
    both = told.join(said, on="sample", suffix="_new")
    assert len(both) == len(told) > 0
    np.testing.assert_allclose(both["prediction_new"], both["prediction"], atol=1e-6)


def test_python_takes_the_same(study: Path) -> None:
    dataset = m3h.dataset(m3h.Study.read(study))
    model = m3h.M3H().fit(dataset, tasks=["died", "days"])
    table = model.score(dataset)
    assert set(table["task"]) == {"died", "days"}
