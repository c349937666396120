"""Tasks by diagnosis codes on their way: tables, dataset, disk, a model, new patients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import m3h
from called import call
from m3h.dataset.audit import audit
from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset
from m3h.dataset.disk import load, save
from m3h.study.spec import Study
from m3h.study.task import Codes, Task

Writes = Callable[..., Path]

DIAGNOSES = (
    '[diagnoses]\ntable = "codes.csv"\nkey = "visit"\ncode = "icd"\nversion = "v"\n\n[[source]]\nname = "basics"'
)
TASKS = """
[[tasks]]
catalog = "mine.csv"
exclude_sources = ["notes"]
weight = 2
[protocol]
epochs = 1
batch_sizes = [32]
"""
MINE = "task_id,display_name,department,icd9,icd10\nodd,Odd visits,Numbers,7,\nboth,Odd or third,Numbers,7,Q3\n"


def coded(path: Path, *, codes: str = "7", order: int = 1) -> Path:
    """Every odd visit has a code 7x of ICD-9, every third a Q3x of ICD-10, all others but v10 a code of no task."""
    rows = [(f"v{n:02d}", f"{codes}{n % 10}", 9) for n in range(60) if n % 2]
    rows += [(f"v{n:02d}", "Q31", 10) for n in range(60) if n % 3 == 0]
    rows += [(f"v{n:02d}", "8888", 9) for n in range(60) if n % 2 == 0 and n != 10]
    rows += [("v99", "7", 9), ("v11", "", 9)]
    frame = pl.DataFrame(rows[::order], schema=["visit", "icd", "v"], orient="row")
    frame.write_csv(path.parent / "codes.csv")
    (path.parent / "mine.csv").write_text(MINE)
    return path


def with_codes(text: str) -> str:
    return text.replace('[[source]]\nname = "basics"', DIAGNOSES, 1) + TASKS


@pytest.fixture(scope="module")
def study(small_study: Writes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coded(small_study(tmp_path_factory.mktemp("coded") / "study", text=with_codes))


@pytest.fixture(scope="module")
def dataset(study: Path) -> Dataset:
    return build(Study.read(study), cache=None)


def test_labels_are_those_of_the_codes_and_v10_has_none(dataset: Dataset) -> None:
    number = np.arange(60)
    known = number != 10
    both = np.where(known, (number % 2 == 1) | (number % 3 == 0), np.nan)
    np.testing.assert_array_equal(dataset.labels["both"].values, both.astype(float))
    np.testing.assert_array_equal(dataset.labels["odd"].values, np.where(known, number % 2, np.nan))
    expected = Task(
        "odd", "binary", title="Odd visits", department="Numbers", exclude_sources=("notes",), weight=2.0,
        codes=(Codes("7"),),
    )  # fmt: skip
    assert dataset.labels["odd"].task == expected
    assert dataset.sources_for(["odd"]) == ("basics", "vitals", "xray")
    assert dataset.usable()[-2:] == ("odd", "both")


def test_what_was_read_and_left_out_is_counted(dataset: Dataset, study: Path) -> None:
    counts = {"rows": 81, "unmatched": 1, "missing_code": 1, "missing_version": 0, "used": 79, "samples_without": 1}
    assert dataset.facts["diagnoses"] == counts and audit(dataset)["diagnoses"] == counts
    told = next(task for task in audit(dataset)["tasks"] if task["name"] == "both")
    assert (told["department"], told["train"]["labelled"] + told["test"]["labelled"]) == ("Numbers", 59)
    done = call("check", study, "--no-cache")
    assert "diagnoses: 81 rows, 79 used, 1 of no sample, 1 without a code, 0 without a version; " in done.out
    assert "unlabelled for want of any: 1 samples" in done.out


def test_a_dataset_keeps_its_codes_on_disk(dataset: Dataset, tmp_path: Path) -> None:
    save(dataset, tmp_path / "data")
    again = load(tmp_path / "data")
    assert again.tasks == dataset.tasks and again.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(again.labels["both"].values, dataset.labels["both"].values)


def test_the_fingerprint_is_that_of_the_codes_and_of_the_tokens(study: Path, dataset: Dataset) -> None:
    def fingerprint() -> str:
        return build(Study.read(study), cache=None).fingerprint

    assert fingerprint() == dataset.fingerprint
    coded(study, codes="07")
    other_table = fingerprint()
    coded(study)
    (study.parent / "mine.csv").write_text(MINE.replace("Q3", "Q31"))
    other_tokens = fingerprint()
    (study.parent / "mine.csv").write_text(MINE)
    assert len({dataset.fingerprint, other_table, other_tokens}) == 3


def test_the_order_of_the_codes_changes_no_label(small_study: Writes, dataset: Dataset, tmp_path: Path) -> None:
    turned = build(Study.read(coded(small_study(tmp_path / "s", text=with_codes, order=5), order=-1)), cache=None)
    for name in ("odd", "both"):
        assert turned.labels[name].values.tobytes() == dataset.labels[name].values.tobytes()
    assert turned.facts["diagnoses"] == dataset.facts["diagnoses"]


def test_a_study_without_codes_says_nothing_of_diagnoses(small_study: Writes, tmp_path: Path) -> None:
    study = small_study(tmp_path / "s")
    data = build(Study.read(study), cache=None)
    assert "diagnoses" not in data.facts and audit(data)["diagnoses"] == {}
    assert not any("diagnoses" in name for name in data.facts["fingerprints"])
    assert "diagnoses" not in call("check", study, "--no-cache").out


def test_a_model_answers_for_new_patients_who_have_no_diagnoses_yet(
    dataset: Dataset, study: Path, tmp_path: Path
) -> None:
    model = m3h.M3H().fit(dataset, tasks=["died", "odd", "both"])
    model.save(tmp_path / "model")
    new = tmp_path / "new"
    new.mkdir()
    samples = pl.read_csv(study.parent / "samples.csv").select("visit", "patient", "hour", "age", "ward").head(5)
    # a column of the task's name is no label of it
    samples.with_columns(odd=pl.lit("nonsense")).write_csv(new / "samples.csv")
    again = m3h.M3H.load(tmp_path / "model")
    found = again.predict(new)
    assert again.tasks == ("died", "odd", "both")
    assert found.height == 5 * 3 and found["prediction"].is_finite().all()
    assert json.loads((tmp_path / "model" / "model.json").read_text())["tasks"][1]["codes"][0]["icd9"] == "7"
