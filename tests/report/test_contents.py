from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from m3h.core.errors import FolderError
from m3h.report.contents import read, series_of, verdict

Run = Callable[..., Path]


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("auroc", 0.01, 0.05, "ahead"),
        ("auroc", -0.05, -0.01, "behind"),
        ("auroc", -0.01, 0.01, "open"),
        ("auroc", 0.0, 0.01, "open"),
        ("brier", 0.01, 0.05, "behind"),
        ("mae", -0.05, -0.01, "ahead"),
        ("r2", None, 0.1, "none"),
    ],
)
def test_verdict(metric: str, low: float | None, high: float | None, expected: str) -> None:
    assert verdict(metric, low, high) == expected


def test_baselines_are_series_of_their_own() -> None:
    assert [series_of("joint", "paper"), series_of("baseline", "linear")] == ["joint", "linear"]


def test_series_stand_in_a_fixed_order(run: Run) -> None:
    contents = read(run(3, series=("linear", "joint", "lightgbm", "single")))
    assert contents.series == ["single", "joint", "lightgbm", "linear"]


def test_scores_follow_the_order_of_the_study(run: Run) -> None:
    folder = run(5)
    pl.read_csv(folder / "scores.csv").sort("task").write_csv(folder / "scores.csv")
    found = read(folder).headline.get_column("task").unique(maintain_order=True).to_list()
    assert found == ["death", "length_of_stay", "icu_type", "hypotension", "phenotype"]


def test_headline_is_the_first_metric_of_each_kind(run: Run) -> None:
    metrics = dict(read(run(5)).headline.select("task", "metric").rows())
    assert metrics == {
        "death": "auroc",
        "length_of_stay": "r2",
        "icu_type": "macro_auroc",
        "hypotension": "auroc",
        "phenotype": "silhouette",
    }


def test_empty_and_nan_values_are_missing(run: Run) -> None:
    folder = run(["death", "coma"], series=("joint",))
    text = (folder / "scores.csv").read_text().splitlines()
    rows = [text[0]]
    for line in text[1:]:
        fields = line.split(",")
        fields[8] = "" if ",death," in line else "nan"
        rows.append(",".join(fields))
    (folder / "scores.csv").write_text("\n".join(rows) + "\n")
    assert read(folder).scores.get_column("value").null_count() == len(rows) - 1


def test_lowest_seed_of_repeated_runs_is_kept(run: Run) -> None:
    folder = run(2)
    frame = pl.read_csv(folder / "scores.csv")
    more = frame.with_columns(pl.col("seed") + 1, pl.col("value") + 0.001)
    pl.concat([more, frame]).write_csv(folder / "scores.csv")
    kept = read(folder).scores
    assert set(kept.get_column("seed")) == {7}
    assert kept.height == frame.height


def test_tasks_alone_in_their_set_are_named(run: Run) -> None:
    assert read(run(1)).alone == ["death"]
    assert read(run(3)).alone == []


def test_predictions_carry_no_identity(run: Run) -> None:
    assert not {"sample", "patient"} & set(read(run(2)).predictions.columns)


def test_scores_that_lack_a_column_are_an_error(run: Run) -> None:
    folder = run(2)
    pl.read_csv(folder / "scores.csv").drop("low").write_csv(folder / "scores.csv")
    with pytest.raises(FolderError, match=r"scores\.csv lacks a column") as caught:
        read(folder)
    assert "got: low" in str(caught.value)


def test_scores_without_a_row_are_an_error(run: Run) -> None:
    folder = run(2)
    pl.read_csv(folder / "scores.csv").head(0).write_csv(folder / "scores.csv")
    with pytest.raises(FolderError, match="has no row"):
        read(folder)


def test_predictions_that_are_no_table_are_an_error(run: Run) -> None:
    folder = run(2)
    (folder / "predictions.parquet").write_bytes(b"not a table")
    with pytest.raises(FolderError, match=r"predictions\.parquet cannot be read"):
        read(folder)
