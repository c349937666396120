"""A study of a simulated hospital into which leaks are planted: its tables, and what may be changed in a copy."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from m3h.dataset.audit import LEAKS, audit
from m3h.dataset.build import build, read_study
from m3h.dataset.dataset import Dataset
from m3h.hospital.mimic.build import make_study
from m3h.hospital.mimic.extract import Choices
from m3h.hospital.mimic.study_file import table_text
from m3h.hospital.simulate.hospital import simulate

SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "vas", "qor", "pel", "dax", "fi", "zun", "hem")
CATALOGS = '[[tasks]]\ncatalog = "diseases"\n\n[[tasks]]\ncatalog = "operations"\n'

Values = np.ndarray[Any, Any]


def word(random: np.random.Generator) -> str:
    """A name that means nothing."""
    return "".join(random.choice(SYLLABLES, 4).tolist())


@dataclass
class Host:
    """A clean study: ``folder`` holds study.toml and its tables, ``notes`` all radiology reports of the hospital,
    ``data`` is its dataset and ``cache`` where its sources lie encoded."""

    folder: Path
    notes: pl.DataFrame
    data: Dataset
    cache: Path

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")


@dataclass
class Planting:
    """A copy of a host's study that is being changed; ``samples`` are in the order of their ids, as in the dataset."""

    host: Host
    folder: Path
    random: np.random.Generator
    samples: pl.DataFrame
    sources: list[str] = field(default_factory=list)
    edits: list[tuple[str, str]] = field(default_factory=list)

    def label(self, task: str) -> Values:
        return self.host.data.labels[task].values

    def add_column(self, values: Any) -> str:
        """A column of the samples table; NaN is empty."""
        name = word(self.random)
        series = pl.Series(name, values)
        self.samples = self.samples.with_columns(series.fill_nan(None) if series.dtype.is_float() else series)
        return name

    def read_columns(self, columns: list[str]) -> None:
        """Columns of the samples table as inputs: beside the demographics, or as a source of their own."""
        if self.random.random() < 0.5:
            listed = ", ".join(f'"{name}"' for name in columns)
            self.edits.append(('columns = ["age",', f'columns = [{listed}, "age",'))
        else:
            self.add_source(modality="tabular", columns=columns)

    def add_table(self, frame: pl.DataFrame) -> str:
        name = f"{word(self.random)}.parquet"
        frame[self.random.permutation(len(frame))].write_parquet(self.folder / name)
        return name

    def add_source(self, **entries: object) -> None:
        self.sources.append(table_text("[[source]]", {"name": word(self.random), **entries}))

    def alarms(self) -> list[dict[str, Any]]:
        """Write the study and audit it: the alarms of leaks."""
        text = (self.host.folder / "study.toml").read_text(encoding="utf-8")
        for before, after in self.edits:
            assert before in text, before
            text = text.replace(before, after)
        head, mark, tail = text.partition("[[task")
        (self.folder / "study.toml").write_text(head + "\n".join([*self.sources, ""]) + mark + tail, encoding="utf-8")
        self.samples[self.random.permutation(len(self.samples))].write_parquet(self.folder / "samples.parquet")
        return leaks(build(read_study(self.folder / "study.toml"), cache=self.host.cache))


def leaks(dataset: Dataset) -> list[dict[str, Any]]:
    """The audit's alarms of leaks."""
    return [alarm for alarm in audit(dataset)["alarms"] if alarm["kind"] in LEAKS]


def make_host(
    folder: Path, *, patients: int, seed: int, events: int, tasks: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> Host:
    """Simulate a hospital and make its study; of the diseases only ``tasks`` are kept, (): all 44 tasks. ``without``
    names sources that are left out."""
    simulate(folder / "hospital", patients=patients, seed=seed, events_per_stay=events)
    choices = Choices()
    make_study(folder / "hospital", folder / "clean", choices=choices, encoders="offline", say=lambda text: None)
    path = folder / "clean" / "study.toml"
    if tasks:
        _keep(path, tasks)
    for name in without:
        before, mark, after = path.read_text(encoding="utf-8").partition(f'[[source]]\nname = "{name}"\n')
        assert mark, name
        path.write_text(before + after[after.index("[[") :], encoding="utf-8")
    notes = pl.read_csv(folder / "hospital" / "note" / "radiology.csv.gz", infer_schema_length=None)
    notes = notes.with_columns(pl.col("charttime").str.to_datetime())
    return Host(path.parent, notes, build(read_study(path), cache=folder / "cache"), folder / "cache")


def _keep(study: Path, tasks: tuple[str, ...]) -> None:
    text = (resources.files("m3h.hospital.catalog") / "diseases.csv").read_text(encoding="utf-8")
    head, *rows = csv.reader(io.StringIO(text))
    kept = [head, *(row for row in rows if row[0] in tasks)]
    with (study.parent / "few.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(kept)
    whole = study.read_text(encoding="utf-8")
    assert CATALOGS in whole
    study.write_text(whole.replace(CATALOGS, '[[tasks]]\ncatalog = "few.csv"\n'), encoding="utf-8")


def plant(host: Host, folder: Path, random: np.random.Generator) -> Planting:
    """A copy of the host's study to plant a leak in."""
    folder.mkdir(parents=True)
    for file in host.folder.iterdir():
        if file.name not in ("samples.parquet", "study.toml", "mimic.json"):
            shutil.copy(file, folder / file.name)
    return Planting(host, folder, random, host.table("samples").sort(pl.col("sample_id").cast(pl.String)))
