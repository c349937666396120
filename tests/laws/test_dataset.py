"""Laws of a dataset, whatever the study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset
from m3h.dataset.disk import FACTS, load, save
from m3h.dataset.split import folds
from m3h.study.spec import Study

Write = Callable[..., Path]
Tables = dict[str, list[dict[str, Any]]]

BUILD = """
import sys
from pathlib import Path
from m3h.dataset.build import build
from m3h.dataset.disk import save
from m3h.study.spec import Study
save(build(Study.read(sys.argv[1]), cache=None), Path(sys.argv[2]))
"""


def built(path: Path) -> Dataset:
    return build(Study.read(path), cache=None)


def saved(folder: Path) -> dict[str, Any]:
    """A saved dataset's bytes; of its facts all but the fingerprints of the inputs' bytes."""
    content: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    facts = json.loads(content[FACTS])
    del facts["fingerprint"], facts["facts"]["fingerprints"]
    return content | {FACTS: json.dumps(facts)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, small_study: Write) -> Path:
    """The small study, built and saved."""
    folder = tmp_path_factory.mktemp("plain")
    save(built(small_study(folder / "study")), folder / "saved")
    return folder


@pytest.mark.parametrize("order", [1, 2])
def test_order_of_table_rows_changes_no_byte(small_study: Write, plain: Path, tmp_path: Path, order: int) -> None:
    path = small_study(tmp_path / "study", order=order)
    assert (path.parent / "samples.csv").read_bytes() != (plain / "study" / "samples.csv").read_bytes()
    save(built(path), tmp_path / "saved")
    assert saved(tmp_path / "saved") == saved(plain / "saved")


@pytest.mark.parametrize("threads", [1, 2])
def test_number_of_threads_changes_no_byte(plain: Path, tmp_path: Path, threads: int) -> None:
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads))
    arguments = [sys.executable, "-c", BUILD, str(plain / "study" / "study.toml"), str(tmp_path / "saved")]
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        # DuckDB takes as many threads as there are processors
        arguments = [sys.executable, "-c", "import os; os.sched_setaffinity(0, {0});" + BUILD, *arguments[3:]]
    subprocess.run(arguments, env=environment, check=True, timeout=120)
    for name in ("blocks.safetensors", "samples.parquet", FACTS):
        assert (tmp_path / "saved" / name).read_bytes() == (plain / "saved" / name).read_bytes(), name


def test_a_row_later_than_the_samples_time_changes_nothing(small_study: Write, plain: Path, tmp_path: Path) -> None:
    def edit(tables: Tables) -> None:
        for row in tables["samples"]:
            late = float(row["hour"]) + 0.01
            tables["vitals"].append({"visit": row["visit"], "hour": late, "signal": "lactate", "value": 999.0})
            tables["notes"].append({"visit": row["visit"], "hour": late, "text": "later words of any length"})
            tables["vitals"].append({"visit": row["visit"], "hour": None, "signal": "spo2", "value": -999.0})

    poisoned, untouched = built(small_study(tmp_path / "study", edit=edit)), load(plain / "saved")
    for name, block in untouched.blocks.items():
        assert poisoned.blocks[name].names == block.names
        np.testing.assert_array_equal(poisoned.blocks[name].values, block.values)
    counts = poisoned.facts["sources"]
    assert (counts["vitals"]["counts"]["later"], counts["vitals"]["counts"]["missing_time"]) == (60, 60)
    assert counts["notes"]["counts"]["later"] == 60
    for name in ("vitals", "notes"):
        assert counts[name]["counts"]["used"] == untouched.facts["sources"][name]["counts"]["used"]


def test_all_rows_of_a_patient_are_on_one_side_of_split_and_folds(plain: Path) -> None:
    dataset = load(plain / "saved")
    assert len(set(dataset.patients)) < dataset.samples
    train, test = set(dataset.patients[dataset.train_rows]), set(dataset.patients[dataset.test_rows])
    assert train and test and not train & test
    parts = [set(dataset.patients[rows]) for rows in folds(dataset.patients, dataset.train_rows, 5, dataset.seed)]
    assert set.union(*parts) == train
    assert sum(len(part) for part in parts) == len(train)


def test_empty_labels_are_unlabelled_and_never_negative(plain: Path) -> None:
    dataset = load(plain / "saved")
    table = pl.read_csv(plain / "study" / "samples.csv").sort("visit")
    for name in ("died", "outcome", "days"):
        empty = table[name].is_null().to_numpy()
        assert empty.any()
        np.testing.assert_array_equal(np.isnan(dataset.labels[name].values), empty)


def test_what_encoders_learned_comes_from_training_rows_only(small_study: Write, plain: Path, tmp_path: Path) -> None:
    """Poisoned values and words of test patients leave every training row as it was."""
    untouched = load(plain / "saved")
    tested = set(untouched.ids[untouched.test_rows].tolist())

    def edit(tables: Tables) -> None:
        for row in tables["samples"]:
            if row["visit"] in tested:
                row |= {"age": 9999.0, "ward": "unheard"}
        for row in tables["notes"]:
            if row["visit"] in tested:
                row["text"] = "unheard words that nobody in training wrote"

    poisoned = built(small_study(tmp_path / "study", edit=edit))
    np.testing.assert_array_equal(poisoned.split, untouched.split)
    for name, block in untouched.blocks.items():
        rows = untouched.train_rows
        assert poisoned.blocks[name].names == block.names
        np.testing.assert_array_equal(poisoned.blocks[name].values[rows], block.values[rows])
    ward = poisoned.blocks["basics"].names.index("ward=unknown")
    assert (poisoned.blocks["basics"].values[untouched.test_rows, ward] == 1).all()
