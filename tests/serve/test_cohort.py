"""Who is listed, what is said of them, and that it is what m3h predict says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.api.model import M3H
from m3h.core.errors import DataError, FolderError
from m3h.serve import cohort as cohorts
from m3h.serve.cohort import of_dataset, of_run, percentile
from m3h.serve.model import part
from m3h.serve.served import Served, load
from serve.sending import Made


def test_the_runs_predictions_are_the_models(served: Served, bare: Served, made: Made) -> None:
    """Two roads: what the run wrote of its test patients, and what their tables give now."""
    assert served.cohort is not None and bare.cohort is not None and served.reference is not None
    assert served.cohort.ids.tolist() == bare.cohort.ids.tolist()
    assert len(bare.cohort) < 60 and bare.cohort.dataset is None and served.cohort.dataset is not None
    for name, values in bare.cohort.answers.items():
        assert np.allclose(values, served.cohort.answers[name], atol=1e-5)
    left = 60 - len(served.cohort)
    assert served.cohort.notes == (f"{left} samples of the tables given are no test samples of the run, and left out.",)


def test_the_download_is_what_predict_writes(served: Served, made: Made) -> None:
    dataset = served.model.read(made.data)
    expected = M3H.load(made.run).predict(dataset)
    assert cohorts.table(served.model, of_dataset(served.model, dataset, "all")).equals(expected)


def test_patients_of_elsewhere_take_the_place_of_the_runs(served: Served, made: Made, tmp_path: Path) -> None:
    frame = pl.read_csv(made.data / "samples.csv").drop("died", "outcome", "days")
    frame.with_columns(pl.format("new-{}", "visit").alias("visit")).head(5).write_csv(tmp_path / "samples.csv")
    found = load(made.run, data=tmp_path / "samples.csv")
    assert found.cohort is not None and found.cohort.title == "Patients given" and len(found.cohort) == 5
    assert found.reference is not None and found.reference.title == "Test patients of the run"
    assert found.cohort.notes[0].startswith("Not known of anybody: vitals (a table of its own")


def test_nothing_known_of_anybody_is_refused(served: Served, made: Made) -> None:
    dataset = part(served.model.read(made.data), np.arange(2))
    for block in dataset.blocks.values():
        block.values[:], block.present[:] = np.nan, False
    with pytest.raises(DataError, match="nothing is known of any patient"):
        of_dataset(served.model, dataset, "nobody")


def test_percentiles_count_equals_half() -> None:
    reference = np.array([1.0, 2.0, 2.0, 3.0])
    assert [percentile(reference, value) for value in (0.0, 2.0, 2.5, 9.0)] == [0.0, 50.0, 75.0, 100.0]
    assert percentile(np.zeros(0), 1.0) is None


def test_a_run_without_predictions_or_with_others(served: Served, made: Made, tmp_path: Path) -> None:
    assert of_run(tmp_path, served.model, "x") is None
    file = tmp_path / "predictions.parquet"
    file.write_bytes(b"no table")
    with pytest.raises(FolderError, match="cannot be read as a table"):
        of_run(tmp_path, served.model, "x")
    run = made.run
    pl.read_parquet(run / "predictions.parquet").filter(pl.col("task") != "days").write_parquet(file)
    with pytest.raises(FolderError, match='does not have the answers of the model to "days"'):
        of_run(tmp_path, served.model, "x")


def test_a_run_that_kept_no_predictions_is_served(made: Made, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made.run, tmp_path / "run"))
    (copy / "predictions.parquet").unlink()
    found = load(copy)
    assert found.cohort is None and found.reference is None
