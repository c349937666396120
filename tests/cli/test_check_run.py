"""m3h check of a run: an honest model is quiet, one that was scaled on other rows is not, and no study is an error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from called import call
from disguised_models import quick_model, scaled_on_other_rows
from m3h.api import saved
from m3h.core import seeds
from m3h.dataset.build import build, read_study
from m3h.dataset.dataset import Dataset

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def study(small_study: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study(tmp_path_factory.mktemp("run") / "study")


@pytest.fixture(scope="module")
def data(study: Path) -> Dataset:
    return build(read_study(study), cache=None)


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> saved.Fitted:
    return quick_model(data)


@pytest.fixture
def run(data: Dataset, fitted: saved.Fitted, study: Path, tmp_path: Path) -> Path:
    """A run's folder as far as the check reads it."""
    saved.save(fitted, {}, tmp_path / "run" / "model")
    told = {"command": f"m3h run '{study}' --out runs/x", "data": {"tables": data.facts["fingerprints"]}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(told), encoding="utf-8")
    tested = data.ids[data.test_rows].tolist()
    pl.DataFrame({"sample": tested}).write_parquet(tmp_path / "run" / "predictions.parquet")
    return tmp_path / "run"


def test_an_honest_model_is_quiet(run: Path, data: Dataset, study: Path) -> None:
    for words in (("check", run), ("check", run / "model", "--study", study)):
        done = call(*words, "--no-cache", "--json")
        assert (done.status, done.err) == (0, "")
        assert done.json["alarms"] == []
        assert done.json["networks"][0]["rows"] == len(data.train_rows)
    assert "nothing suspicious was found" in call("check", run, "--no-cache").out


@pytest.mark.parametrize("number", range(4))
def test_a_model_learnt_from_other_rows_is_told(
    data: Dataset, fitted: saved.Fitted, study: Path, tmp_path: Path, number: int
) -> None:
    how = scaled_on_other_rows(fitted, data, tmp_path / "model", seeds.generator(0, "leak", "model", number))
    done = call("check", tmp_path / "model", "--study", study, "--no-cache")
    assert done.status == 0
    assert "does not follow from" in done.out.replace("\n", " "), how


def test_training_patients_among_the_tested_are_told(run: Path, data: Dataset) -> None:
    pl.DataFrame({"sample": data.ids.tolist()}).write_parquet(run / "predictions.parquet")
    (alarm,) = call("check", run, "--no-cache", "--json").json["alarms"]
    assert (alarm["kind"], alarm["number"]) == (
        "tested on training rows",
        len(np.unique(data.patients[data.train_rows])),
    )


def test_without_the_study_it_says_what_is_needed(run: Path, study: Path) -> None:
    (run / "run.json").write_text(json.dumps({"command": "m3h run gone.toml"}), encoding="utf-8")
    done = call("check", run)
    assert done.status == 2 and "--study" in done.err
    assert call("check", study, "--study", study).status == 2
    assert call("check", run.parent).status == 2


def test_other_tables_are_refused_by_name(run: Path, study: Path, tmp_path: Path) -> None:
    shutil.copytree(study.parent, tmp_path / "other")
    path = tmp_path / "other" / "vitals.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("heart_rate", "pulse"), encoding="utf-8")
    done = call("check", run, "--study", tmp_path / "other" / "study.toml", "--no-cache")
    assert done.status == 2
    assert "not the one this model was trained on" in done.err and 'the table of "vitals"' in done.err
