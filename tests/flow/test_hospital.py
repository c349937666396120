"""From a synthetic hospital to the table of which task helps which: four modalities, 44 tasks, pretrained encoders."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from called import call
from pretrained import write_weights

TASKS = 44
#: The paper's network, and as many sets as tell all tasks apart, once.
MORE = '\n[network]\npreset = "paper"\n[tim]\nsets = 88\nreplicates = 1\n'
#: Of this seed every task has labels of both kinds on both sides and in the validation fold.
HOSPITAL = ("--patients", 130, "--seed", 1, "--layout", "2.2", "--events-per-stay", 30)
NAMES = ("demographics", "chart", "labs", "procedures", "ecg", "echo", "radiology")
IMAGES = ("image_dense", "image_predictions", "images_dense", "images_predictions")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flow")


@pytest.fixture(scope="module")
def study(place: Path) -> Path:
    done = call("simulate", place / "hospital", *HOSPITAL)
    assert done.status == 0, done.err
    done = call("mimic", place / "hospital", "--encoders", "paper", "--out", place / "study")
    assert done.status == 0, done.err
    file = place / "study" / "study.toml"
    file.write_text(file.read_text(encoding="utf-8") + MORE, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def run(place: Path, study: Path) -> Path:
    (place / "weights").mkdir()
    texts = pl.read_parquet(study.parent / "radiology.parquet")["text"].to_list()
    write_weights(place / "weights", words=sorted({word for text in texts for word in re.findall(r"[A-Za-z]+", text)}))
    words = ("--out", place / "run", "--weights", place / "weights", "--cache", place / "cache")
    done = call("run", study, "--tim", *words, "--epochs", 1)
    assert done.status == 0, done.err
    return place / "run"


def test_without_weights_nothing_is_read(place: Path, study: Path) -> None:
    done = call("run", study, "--out", place / "none", "--weights", place, "--cache", place / "cache")
    assert done.status == 2
    assert 'encoder "clinicalbert": the pretrained weights' in done.err
    assert 'set encoder = "tfidf"' in done.err
    assert not (place / "none").exists()


def test_every_source_has_its_columns_and_presence(run: Path) -> None:
    audit = json.loads((run / "run.json").read_text())["audit"]
    sources = {source["name"]: source for source in audit["sources"]}
    assert tuple(sources) == (*NAMES, *IMAGES)
    widths = {name: source["width"] for name, source in sources.items()}
    series = {"chart": 99, "labs": 242, "procedures": 110}
    assert widths == {"demographics": 6} | series | dict.fromkeys(("ecg", "echo", "radiology"), 768) | dict(
        zip(IMAGES, (16, 18, 16, 18), strict=True)
    )
    assert Counter(source["modality"] for source in sources.values()) == {
        "tabular": 1, "timeseries": 3, "language": 3, "vision": 4,
    }  # fmt: skip
    for name in ("demographics", "image_dense", "images_dense"):
        assert sources[name]["coverage_train"] == sources[name]["coverage_test"] == 1.0
    for name in ("ecg", "echo"):
        assert 0 < sources[name]["coverage_train"] < 1
    assert len(audit["tasks"]) == TASKS
    assert not [task["name"] for task in audit["tasks"] if task["unusable"]]


def test_the_table_of_tim_is_full(run: Path) -> None:
    with (run / "tim.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = sorted({row["source"] for row in rows})
    assert len(names) == TASKS
    assert {(row["source"], row["target"]) for row in rows} == {(a, b) for a in names for b in names if a != b}
    assert len(rows) == TASKS * (TASKS - 1)
    assert all(row["tim"] for row in rows)
    for source in names:
        ranks = [float(row["rank"]) for row in rows if row["source"] == source]
        values = [float(row["tim"]) for row in rows if row["source"] == source]
        # tasks that gain and tasks that lose are ranked apart
        assert max(ranks) - min(ranks) == sum(value != 0 for value in values)


def test_the_run_scores_all_tasks(run: Path) -> None:
    with (run / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for role in ("single", "joint"):
        assert len({row["task"] for row in rows if row["role"] == role and row["value"]}) == TASKS


def test_new_patients_are_encoded_and_predicted_as_in_the_run(place: Path, study: Path, run: Path) -> None:
    # as new patients come: tables of the study's names, and the images in a folder beside them
    data = Path(shutil.copytree(study.parent, place / "data"))
    images = Path(tomllib.loads(study.read_text(encoding="utf-8"))["source"][-1]["folder"])
    shutil.copytree(images, data / images.name)
    new = ("predict", run, "--data", data, "--out", place / "new.parquet")
    assert 'encoder "clinicalbert"' in call(*new).err
    done = call(*new, "--weights", place / "weights")
    assert done.status == 0, done.err
    told = pl.read_parquet(place / "new.parquet")
    assert told["task"].n_unique() == TASKS
    # for rows of the test part the run said the same
    before = pl.read_parquet(run / "predictions.parquet").filter(pl.col("role") == "joint")
    keys = ["sample", "task", "class"]
    both = before.join(told, on=keys, suffix="_new")
    assert both.height == before.height
    assert (both["prediction"] - both["prediction_new"]).abs().max() < 1e-5
