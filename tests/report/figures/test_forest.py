import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl

from m3h.report.contents import read
from m3h.report.figures import drawing, forest

Run = Callable[..., Path]


def test_one_panel_per_family_with_marks_as_scored(run: Run) -> None:
    contents = read(run(5))
    found = {panel.family: panel for panel in forest.panels(contents)}
    assert list(found) == ["auroc", "r2", "silhouette"]
    assert [row.task for row in found["auroc"].rows] == ["death", "hypotension", "icu_type"]
    wanted = contents.scores.filter(
        (pl.col("task") == "death") & (pl.col("metric") == "auroc") & (pl.col("role") == "joint")
    ).row(0, named=True)
    mark = next(mark for mark in found["auroc"].rows[0].marks if mark.series == "joint")
    assert (mark.value, mark.low, mark.high) == (wanted["value"], wanted["low"], wanted["high"])


def test_series_without_a_score_in_a_family_are_not_in_its_legend(run: Run) -> None:
    found = {panel.family: panel.series for panel in forest.panels(read(run(5)))}
    assert found == {
        "auroc": ("single", "joint", "lightgbm", "linear"),
        "r2": ("single", "joint", "lightgbm", "linear"),
        "silhouette": ("single", "joint"),
    }


def test_rows_are_grouped_by_department_in_the_studys_order(run: Run) -> None:
    panel = forest.panels(read(run(["coma", "fever", "anemia", "death", "acidosis"], departments=True)))[0]
    assert [(row.group, row.task) for row in panel.rows] == [
        ("Cardiology", "coma"),
        ("Cardiology", "acidosis"),
        ("Emergency and intensive care", "fever"),
        ("Nephrology", "anemia"),
        ("Surgery", "death"),
    ]


def test_many_tasks_are_cut_into_parts_that_fit_on_paper(run: Run) -> None:
    contents = read(run(44, departments=True))
    parts = [panel for panel in forest.panels(contents) if panel.family == "auroc"]
    assert [panel.part for panel in parts] == list(range(1, len(parts) + 1))
    assert len(parts) > 1
    assert len({panel.limits for panel in parts}) == 1
    assert sum(len(panel.rows) for panel in parts) == 37
    for panel in parts:
        height = float(forest.draw(panel, "a").split('viewBox="')[1].split('"')[0].split()[3])
        assert height <= drawing.PAGE_HEIGHT * 72


def test_change_is_the_verdict_on_joint_minus_single(run: Run) -> None:
    contents = read(run(["death", "coma", "fever"]))
    low = pl.when(pl.col("task") == "death").then(0.01).when(pl.col("task") == "coma").then(-0.03).otherwise(-0.01)
    frame = contents.differences.with_columns(low=low, high=low + 0.02).filter(pl.col("role_b") == "single")
    panel = forest.panels(dataclasses.replace(contents, differences=frame))[0]
    assert {row.task: row.changes["joint"] for row in panel.rows} == {
        "death": "ahead",
        "coma": "behind",
        "fever": "open",
    }


def test_tasks_without_a_score_have_no_row(run: Run) -> None:
    contents = read(run(["death", "coma"]))
    value = pl.when(pl.col("task") == "death").then(None).otherwise(pl.col("value"))
    panels = forest.panels(dataclasses.replace(contents, scores=contents.scores.with_columns(value=value)))
    assert [row.task for panel in panels for row in panel.rows] == ["coma"]


def test_a_hopeless_score_does_not_stretch_the_axis(run: Run) -> None:
    contents = read(run(["length_of_stay", "sofa"]))
    value = pl.when(pl.col("task") == "sofa").then(-12.0).otherwise(0.4)
    scores = contents.scores.with_columns(value=value, low=value - 0.1, high=value + 0.1)
    panel = forest.panels(dataclasses.replace(contents, scores=scores))[0]
    assert -0.6 < panel.limits[0] < -0.5
    assert 0.5 <= panel.limits[1] < 0.6
    assert forest.draw(panel, "a").startswith("<svg")


def test_scores_without_an_interval_are_drawn(run: Run) -> None:
    contents = read(run(["death"]))
    blank = pl.lit(None, dtype=pl.Float64)
    panel = forest.panels(dataclasses.replace(contents, scores=contents.scores.with_columns(low=blank, high=blank)))[0]
    assert panel.rows[0].marks[0].low is None
    assert forest.draw(panel, "a").startswith("<svg")


def test_chosen_sets_have_marks_numbers_and_a_verdict_of_their_own(pooled: Run) -> None:
    contents = read(pooled(5, search=True))
    panel = forest.panels(contents)[0]
    assert panel.series == ("single", "joint", "best")
    rows = contents.differences.filter((pl.col("role_a") == "best") & (pl.col("task") == "death"))
    wanted = "ahead" if rows.item(0, "low") > 0 else "behind" if rows.item(0, "high") < 0 else "open"
    assert {row.task: row.changes["best"] for row in panel.rows}["death"] == wanted
    assert forest.draw(panel, "a").startswith("<svg")
