"""What many tests share: a small study of every modality and every kind of task, written as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from m3h.api.appraise import Answering, Appraised
from m3h.api.held import relied
from m3h.dataset.dataset import Dataset
from made import make_dataset

Tables = dict[str, list[dict[str, object]]]

STUDY = """
[study]
name = "small"
title = "Sixty visits of forty patients"
seed = 3

[samples]
table = "samples.csv"
id = "visit"
patient = "patient"
time = "hour"
subgroups = ["ward"]

[[source]]
name = "basics"
modality = "tabular"
columns = ["age", "ward"]

[[source]]
name = "vitals"
modality = "timeseries"
table = "vitals.csv"
key = "visit"
time = "hour"
signal = "signal"
value = "value"

[[source]]
name = "notes"
modality = "language"
table = "notes.parquet"
key = "visit"
time = "hour"
column = "text"

[[source]]
name = "xray"
modality = "vision"
column = "image"
folder = "images"

[[task]]
name = "died"
kind = "binary"
column = "died"

[[task]]
name = "outcome"
kind = "multiclass"
column = "outcome"

[[task]]
name = "days"
kind = "regression"
column = "days"
unit = "days"

[[task]]
name = "phenotype"
kind = "clustering"
clusters = 3
"""

#: Most tests are of what goes on around the network: this one trains fastest.
NETWORK = '\n[network]\npreset = "paper"\n'

_WORDS = ("cough", "fever", "clear", "effusion", "stable", "worse", "oxygen", "left", "right", "lower")


def _relied(data: Dataset, answering: Sequence[Answering], *_: object) -> Appraised:
    """No table, and what the networks held out of their training themselves."""
    held = {name: values for one in answering for name, values in one.network.held.items() if name in one.tasks}
    return Appraised({}, (), relied(data, held))


@pytest.fixture(autouse=True, scope="session")
def scores_alone() -> Iterator[None]:
    """Runs of tests leave out calibration, coverage, subgroups and explanations, which would take most of their time;
    those within called.appraising do not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("m3h.api.run.appraised", _relied)
        yield


@pytest.fixture(scope="session")
def small_study() -> Callable[..., Path]:
    """A function that writes the study into a folder and returns the path of its study.toml."""
    return write_small_study


def write_small_study(
    folder: Path,
    *,
    edit: Callable[[Tables], None] | None = None,
    text: Callable[[str], str] | None = None,
    order: int | None = None,
) -> Path:
    """``edit`` changes the rows of "samples", "vitals" and "notes" before they are written, ``text`` the study file;
    ``order`` is a seed by which the rows of every table are shuffled. The network is the paper's unless the text has a
    table [network]."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(11)
    tables: Tables = {"samples": [], "vitals": [], "notes": []}
    for number in range(60):
        _add_visit(number, rng, tables, folder / "images")
    if edit is not None:
        edit(tables)
    if order is not None:
        shuffle = np.random.default_rng(order)
        tables = {name: [rows[i] for i in shuffle.permutation(len(rows))] for name, rows in tables.items()}
    for name, rows in tables.items():
        frame = pl.DataFrame(rows, infer_schema_length=None)
        if name == "notes":
            frame.write_parquet(folder / "notes.parquet")
        else:
            frame.write_csv(folder / f"{name}.csv")
    path = folder / "study.toml"
    content = STUDY if text is None else text(STUDY)
    if "[network]" not in content:
        content += NETWORK
    path.write_text(content, encoding="utf-8")
    return path


def _add_visit(number: int, rng: np.random.Generator, tables: Tables, images: Path) -> None:
    """One visit; about one in ten values, notes and images is missing."""
    visit, patient = f"v{number:02d}", f"p{number % 40:02d}"
    severity = float(rng.normal())
    died = int(severity + rng.normal() > 0.8)
    outcome = ("home", "rehab", "hospice")[int(np.clip(severity + 1.2, 0, 2))]
    image = f"{visit}.png" if rng.random() < 0.9 else None
    if image:
        Image.fromarray(rng.integers(0, 256, (24, 24), dtype=np.uint8)).save(images / image)
    row: dict[str, object] = {
        "visit": visit,
        "patient": patient,
        "hour": 24.0 + number % 5,
        "age": round(60 + 12 * float(rng.normal()), 1) if rng.random() < 0.9 else None,
        "ward": ("surgery", "medicine", "heart")[number % 3] if rng.random() < 0.9 else None,
        "image": image,
        "died": died if rng.random() < 0.9 else None,
        "outcome": outcome if rng.random() < 0.9 else None,
        "days": round(5 + severity + float(rng.exponential(2)), 2) if rng.random() < 0.9 else None,
        "part": "test" if number % 40 < 8 else "train",
    }
    tables["samples"].append(row)
    for signal, level in (("heart_rate", 80.0), ("lactate", 2.0), ("spo2", 96.0)):
        for hour in sorted(rng.uniform(0, 24, int(rng.integers(0, 6))).round(2).tolist()):
            value = round(level * (1 + 0.1 * severity + 0.05 * float(rng.normal())), 3)
            tables["vitals"].append({"visit": visit, "hour": hour, "signal": signal, "value": value})
    if rng.random() < 0.9:
        words = " ".join(rng.choice(_WORDS, 6).tolist())
        tables["notes"].append({"visit": visit, "hour": 12.0, "text": words})


@pytest.fixture
def learning_data() -> Callable[..., Dataset]:
    """A factory of small data sets that can be learned, made of arrays alone."""
    return make_dataset
