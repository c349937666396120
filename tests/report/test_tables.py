import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from m3h.report.contents import Contents, read
from m3h.report.tables import Cell, cells, differences, further_scores, grouped, groups, scores

Run = Callable[..., Path]


@pytest.fixture
def contents(run: Run) -> Contents:
    return read(run(["death", "length_of_stay"], series=("single", "joint", "linear")))


def set_score(contents: Contents, task: str, role: str, **values: float | None) -> Contents:
    chosen = (pl.col("task") == task) & (pl.col("role") == role) & pl.col("metric").is_in(["auroc", "r2"])
    changed = {
        name: pl.when(chosen).then(pl.lit(value, dtype=pl.Float64)).otherwise(pl.col(name))
        for name, value in values.items()
    }
    return dataclasses.replace(contents, scores=contents.scores.with_columns(**changed))


def test_scores_have_a_row_per_task_and_a_column_per_series(contents: Contents) -> None:
    made = scores(set_score(contents, "death", "joint", value=0.81234, low=0.779, high=0.84))
    assert made.columns == ("Question", "Measure", "Test rows", "Single", "Joint", "Linear")
    row = next(row for row in made.rows if row[0].text == "death")
    assert row[1:3] == cells(["AUROC", "60"])
    assert row[4] == Cell("0.812", "0.779 to 0.840")


def test_left_out_task_has_a_dash_and_no_interval(contents: Contents) -> None:
    made = scores(set_score(contents, "death", "joint", value=None, low=None, high=None))
    row = next(row for row in made.rows if row[0].text == "death")
    assert row[4] == Cell("–", "", "quiet")
    assert row[3].small


def test_further_scores_hold_what_the_headline_table_does_not(contents: Contents) -> None:
    made = further_scores(contents)
    assert made is not None
    assert [row[1].text for row in made.rows if len(row) > 1] == ["AUPRC", "Brier score", "mean absolute error"]


def test_no_further_scores_no_table(contents: Contents) -> None:
    assert further_scores(dataclasses.replace(contents, scores=contents.headline)) is None


def one_difference(contents: Contents, metric: str, difference: float, low: float, high: float) -> Contents:
    row = {
        "task": "death",
        "metric": metric,
        "role_a": "joint",
        "preset_a": "paper",
        "role_b": "single",
        "preset_b": "paper",
        "difference": difference,
        "relative": 12.34,
        "low": low,
        "high": high,
    }
    frame = pl.DataFrame([row], schema=contents.differences.schema)
    return dataclasses.replace(contents, differences=frame)


@pytest.mark.parametrize(
    ("metric", "difference", "low", "high", "text", "tone"),
    [
        ("auroc", 0.05, 0.02, 0.08, "▲ +0.050", "ahead"),
        ("auroc", -0.05, -0.08, -0.02, "▼ −0.050", "behind"),
        ("auroc", 0.01, -0.02, 0.04, "+0.010", ""),
        ("brier", 0.05, 0.02, 0.08, "▼ +0.050", "behind"),
    ],
)
def test_difference_is_marked_where_its_interval_excludes_zero(
    contents: Contents, metric: str, difference: float, low: float, high: float, text: str, tone: str
) -> None:
    (made,) = differences(one_difference(contents, metric, difference, low, high))
    assert made.columns == ("Question", "Measure", "Joint − Single", "relative")
    assert (made.rows[0][2].text, made.rows[0][2].tone) == (text, tone)
    assert made.rows[0][3].text == "+12.3\u00a0%"


def test_a_relative_change_that_says_nothing_is_a_dash_and_the_note_says_why(contents: Contents) -> None:
    one = one_difference(contents, "r2", 0.1, 0.05, 0.15)
    one = dataclasses.replace(one, differences=one.differences.with_columns(relative=pl.lit(None, pl.Float64)))
    (made,) = differences(one)
    assert made.rows[0][3].text == "–"
    assert "– where that is an R² or a silhouette nearer to 0 than 0.05" in made.note


def test_no_differences_no_table(contents: Contents) -> None:
    assert differences(dataclasses.replace(contents, differences=contents.differences.head(0))) == []


def test_grouped_puts_a_heading_before_each_group_in_order() -> None:
    a, b, c = cells(["a", 1]), cells(["b", 2]), cells(["c", 3])
    found = grouped([("late", a), ("early", b), ("late", c)], order=["early", "late", "empty"])
    assert found == ((Cell("early"),), b, (Cell("late"),), a, c)
    assert grouped([("only", a), ("only", b)]) == (a, b)


def test_departments_come_before_kinds(run: Run) -> None:
    assert groups(read(run(2)))["death"] == "Answer: yes or no"
    assert groups(read(run(2, departments=True)))["death"] == "Cardiology"
