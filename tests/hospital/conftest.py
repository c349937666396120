"""A small made-up hospital, written as CSV, CSV.GZ or Parquet, and a way to read all of it into comparable values."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from m3h.hospital.inputs import read_source
from m3h.hospital.labels import encode, read_labels
from m3h.hospital.samples import read_samples
from m3h.hospital.sources import Events, Images, TableColumns, Texts
from m3h.hospital.tables import Tables
from m3h.study.spec import Study

STUDY = """
[samples]
table = "samples.{s}"
id = "visit"
patient = "person"
time = "moment"
split = "side"
subgroups = ["ward"]
[[source]]
name = "facts"
modality = "tabular"
columns = ["age", "ward", "smoker"]
[[source]]
name = "latest"
modality = "tabular"
table = "scores.{s}"
key = "person"
time = "at"
columns = ["score", "grade"]
[[source]]
name = "labs"
modality = "timeseries"
table = "labs.{s}"
key = "visit"
time = "at"
available = "known"
signal = "code"
value = "result"
signals = {{ "50" = "sodium", "7" = "potassium", "51" = "sodium" }}
[[source]]
name = "everything"
modality = "timeseries"
table = "labs.{s}"
key = "visit"
time = "at"
signal = "code"
value = "result"
[[source]]
name = "notes"
modality = "language"
table = "notes.{s}"
key = "person"
time = "at"
column = "text"
[[source]]
name = "films"
modality = "vision"
table = "films.{s}"
key = "visit"
time = "at"
column = "file"
folder = "images"
[[task]]
name = "died"
kind = "binary"
column = "died"
[[task]]
name = "kind"
kind = "multiclass"
column = "kind"
[[task]]
name = "days"
kind = "regression"
column = "days"
"""

NOON = datetime(2021, 3, 1, 12)


def _hours(*hours: float | None) -> list[datetime | None]:
    return [None if hour is None else NOON + timedelta(hours=hour) for hour in hours]


def _frames() -> dict[str, pl.DataFrame]:
    """Visit 10 has a prediction moment at noon, 9 an hour later (same person), 8 none; 7 has no rows at all."""
    return {
        "samples": pl.DataFrame(
            {
                "visit": [10, 9, 8, 7],
                "person": ["a01", "a01", "b", "c"],
                "moment": _hours(0, 1, None, 0),
                "side": ["train", "train", "train", "test"],
                "ward": ["icu", "icu", None, "er"],
                "age": [50.0, 51.5, None, 70.0],
                "smoker": [True, False, None, True],
                "died": [0, 1, None, 1],
                "kind": ["x", "y", "x", "z"],
                "days": [1.5, None, 2.0, 3.0],
            }
        ),
        "labs": pl.DataFrame(
            {
                "visit": [10.0, 10.0, 10.0, 10.0, 9.0, 9.0, 8.0, None, 99.0, 10.0],
                "at": _hours(-2, -1, -1, 2, -0.1, None, -5, -1, -1, -3),
                "known": _hours(-1, -1, 3, 2, 0, 0, -5, -1, -1, -3),
                "code": [50, 50, 7, 50, 51, 50, 50, 50, 50, 66],
                "result": [140.0, None, 4.5, 150.0, 139.5, 1.0, 2.0, 3.0, 4.0, 5.0],
            }
        ),
        "scores": pl.DataFrame(
            {
                "person": ["a01", "a01", "a01", "b", "c"],
                "at": _hours(-3, 0.5, 9, -1, -1),
                "score": [1.0, 2.0, 3.0, 4.0, 5.0],
                "grade": ["low", "mid", "high", "low", None],
            }
        ),
        "notes": pl.DataFrame(
            {
                "person": ["a01", "a01", "a01", "c", "zz"],
                "at": _hours(0.5, -1, -1, 5, 0),
                "text": ["third, later", "second", 'a "first"\nnote', "too late", "nobody"],
            }
        ),
        "films": pl.DataFrame(
            {"visit": [10, 10, 7], "at": _hours(-1, -2, 0), "file": ["b.png", "sub/a.png", "gone.png"]}
        ),
    }


def _write(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
        return
    text = frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S")
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def write() -> Callable[[pl.DataFrame, Path], None]:
    return _write


@pytest.fixture
def frames() -> dict[str, pl.DataFrame]:
    return _frames()


@pytest.fixture
def hospital(tmp_path: Path) -> Callable[..., Study]:
    """Write the made-up hospital into a folder and read its study file."""

    def make(
        suffix: str = "csv", change: Callable[[str, pl.DataFrame], pl.DataFrame] = lambda name, frame: frame
    ) -> Study:
        folder = tmp_path / f"hospital{len(list(tmp_path.iterdir()))}"
        (folder / "images" / "sub").mkdir(parents=True)
        (folder / "images" / "b.png").write_bytes(b"film b")
        (folder / "images" / "sub" / "a.png").write_bytes(b"film a")
        for name, frame in _frames().items():
            _write(change(name, frame), folder / f"{name}.{suffix}")
        (folder / "study.toml").write_text(STUDY.format(s=suffix))
        return Study.read(folder / "study.toml")

    return make


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Study]:
    """A study of one samples table (CSV text) and whatever else a test writes: ``rest`` is TOML, ``files`` texts."""

    def make(samples: str, rest: str = "", more: str = "", **files: str) -> Study:
        (tmp_path / "samples.csv").write_text(samples)
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text)
        rest = rest or '[[source]]\nname = "s"\nmodality = "tabular"\ncolumns = ["x"]'
        (tmp_path / "study.toml").write_text(
            f'[samples]\ntable = "samples.csv"\nid = "id"\npatient = "person"\n{more}\n{rest}\n'
            '[[task]]\nname = "t"\nkind = "clustering"\n'
        )
        return Study.read(tmp_path / "study.toml")

    return make


def _plain(data: Any, folder: Path) -> Any:
    """A source as plain values that == compares (NaN as None)."""
    if isinstance(data, TableColumns):
        return {name: [_value(value) for value in column] for name, column in data.columns.items()}, data.counts
    if isinstance(data, Events):
        parts = list(data.batches())
        joined = [
            np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0)]).tolist()
            for name in ("sample", "signal", "time", "value")
        ]
        return data.signals, data.time_unit, data.relative, list(zip(*joined, strict=True)), data.counts
    if isinstance(data, Images):
        paths = [tuple(path.relative_to(folder).as_posix() for path in paths) for paths in data.paths]
        return paths, _plain(Texts((), data.times, data.counts), folder)
    return data.texts, [[_value(time) for time in times] for times in data.times], data.counts


def _value(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


@pytest.fixture
def read_all() -> Callable[[Study], dict[str, Any]]:
    """Everything a study's tables give: samples, every source, every task's labels."""

    def read(study: Study, *, labels: bool = True, data: Path | None = None) -> dict[str, Any]:
        with Tables(study, data=data) as tables:
            samples = read_samples(tables, study)
            found: dict[str, Any] = {
                "ids": samples.ids.tolist(),
                "patients": samples.patients.tolist(),
                "subgroups": {name: values.tolist() for name, values in samples.subgroups.items()},
            }
            for source in study.sources:
                found[source.name] = _plain(read_source(tables, study, samples, source), tables.folder)
            for task in study.tasks if labels else ():
                train = np.ones(len(samples), dtype=bool) if samples.split is None else samples.split == "train"
                encoded = encode(read_labels(samples, task), train)
                found[task.name] = [_value(v) for v in encoded.values.tolist()], encoded.classes, encoded.unknown_class
        return found

    return read


@pytest.fixture
def studies() -> Path:
    """The folder of real studies; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("STUDIES", Path(__file__).parents[2] / ".." / "shared" / "data"))
    if not (folder / "icu2012" / "study.toml").is_file():
        pytest.skip("the real studies are not here: set STUDIES to their folder")
    return folder
