from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import FolderError
from m3h.experiments.search.found import Found, Row
from m3h.experiments.tim.interactions import Interactions
from m3h.report.choices import choices
from m3h.report.contents import read, series_of, verdict
from m3h.report.interactions import matrix

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


def rewrite(file: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_csv(file)).write_csv(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: pl.concat([frame, frame.head(1)]), "holds a pair of tasks twice"),
        (lambda frame: frame.with_columns(rank=pl.lit(None, pl.Float64)), "holds a value without its rank"),
        (lambda frame: frame.drop("q"), "lacks a column"),
        (
            lambda frame: frame.with_columns(
                method=pl.when(pl.col("source") == "death").then(pl.lit("exact")).otherwise("method")
            ),
            "holds values of several methods",
        ),
    ],
)
def test_interactions_that_contradict_themselves_are_an_error(
    pooled: Run, change: Callable[[pl.DataFrame], pl.DataFrame], said: str
) -> None:
    folder = pooled(5, tim="shared")
    rewrite(folder / "tim.csv", change)
    with pytest.raises(FolderError, match=said) as caught:
        read(folder)
    assert "tim.csv" in str(caught.value)


@pytest.mark.parametrize("chosen", [True, False])
def test_search_with_several_or_no_chosen_set_is_an_error(pooled: Run, chosen: bool) -> None:
    folder = pooled(5, search=True)
    rewrite(folder / "search.csv", lambda frame: frame.with_columns(chosen=pl.lit(chosen)))
    with pytest.raises(FolderError, match="does not name one chosen set per task") as caught:
        read(folder)
    assert caught.value.got == "5 tasks with none or several"


@pytest.mark.parametrize(
    "part", ['{"tim": [1]}', '{"search": "x"}', '{"ledger": 5}', '{"tim": {"left_out": [{"task": "a"}]}}']
)
def test_facts_of_another_form_are_an_error(pooled: Run, part: str) -> None:
    folder = pooled(3, tim="shared")
    (folder / "run.json").write_text(part)
    with pytest.raises(FolderError, match=r"run\.json is not as written"):
        read(folder)


def test_scores_may_be_absent_where_there_are_interactions(pooled: Run) -> None:
    contents = read(pooled(5, tim="shared", scored=False))
    assert contents.series == []
    assert contents.alone == []
    assert contents.tim.height == 20


def test_folder_without_any_table_is_an_error(pooled: Run) -> None:
    folder = pooled(3, tim="shared", scored=False)
    rewrite(folder / "tim.csv", lambda frame: frame.head(0))
    with pytest.raises(FolderError, match=r"scores\.csv is not there"):
        read(folder)


def test_diagonal_may_be_empty_or_absent(pooled: Run) -> None:
    folder = pooled(3, tim="shared")
    before = read(folder)
    empty = before.tim.head(1).with_columns(
        target=pl.col("source"), rank=pl.lit(None, pl.Float64), tim=pl.lit(None, pl.Float64)
    )
    rewrite(folder / "tim.csv", lambda frame: pl.concat([frame, empty], how="vertical_relaxed"))
    assert matrix(read(folder)) is not None
    assert before.tasks == read(folder).tasks


def test_measured_interactions_are_read_as_they_were_written(pooled: Run) -> None:
    folder = pooled(3, tim="exact")
    tasks = ("death", "length_of_stay", "icu_type")
    tim = np.array([[np.nan, 0.01, -0.02], [0.0, np.nan, np.nan], [0.3, 0.4, np.nan]])
    q = np.where(tim > 0.2, 0.01, 0.5)
    trials = np.full((3, 3), 96.0)
    kinds = {"death": "binary", "length_of_stay": "regression", "icu_type": "multiclass"}
    Interactions(tasks, "exact", tim, tim - 0.1, tim + 0.1, q, trials).table(kinds).write_csv(folder / "tim.csv")
    found = matrix(read(folder))
    assert found is not None
    np.testing.assert_allclose(found.tim, tim)
    np.testing.assert_array_equal(found.rank, [[np.nan, 1, -1], [0, np.nan, np.nan], [1, 2, np.nan]])
    assert (found.tasks, found.metrics, found.method) == (tasks, ("auroc", "r2", "macro_auroc"), "exact")
    assert np.argwhere(found.marked).tolist() == [[2, 0], [2, 1]]


def test_search_is_read_as_it_was_written(pooled: Run) -> None:
    folder = pooled(2, search=True)
    rows = (
        Row("death", "singles", ("death",), 0.8, 1, True),
        Row("length_of_stay", "singles", ("length_of_stay",), float("nan"), 1),
        Row("length_of_stay", "pairs", ("death", "length_of_stay"), 0.3, 2, True),
    )
    Found({}, rows, trainings=3).table().write_csv(folder / "search.csv")
    alone, several = choices(read(folder))
    assert (alone.tasks, alone.cv_score, alone.tried) == (("death",), 0.8, 1)
    assert (several.tasks, several.cv_score, several.tried) == (("death", "length_of_stay"), 0.3, 2)
    assert several.cv_gain is None


def test_a_task_that_was_left_out_is_no_series(run: Run) -> None:
    """Its row has neither role nor preset; it would be a column without a name in every table."""
    folder = run(3)
    row = "made-up,trauma,binary,auroc,,,,66,,,,,"
    (folder / "scores.csv").write_text((folder / "scores.csv").read_text() + row + "\n")
    contents = read(folder)
    assert contents.series == ["single", "joint", "lightgbm", "linear"]
    assert "trauma" in contents.scores["task"]
