"""The paper's results beside a run's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from called import call
from m3h.experiments.results import check_place
from m3h.report import paper
from m3h.report.contents import read
from m3h.report.page import write_report

Run = Callable[..., Path]


def test_the_papers_table_is_whole() -> None:
    found = paper.published()
    assert len(found) == found["task_id"].n_unique() == 44
    assert found["metric"].value_counts().sort("metric").rows() == [
        ("auroc", 41),
        ("macro_auroc", 1),
        ("r2", 1),
        ("silhouette", 1),
    ]
    inside = [pl.col(f"{name}_score").is_between(f"{name}_lo", f"{name}_hi") for name in ("single", "multi")]
    assert found.select(pl.all_horizontal(inside).all()).item()


def test_a_run_stands_beside_the_paper_where_it_asks_the_same(run: Run) -> None:
    folder = run(5)  # length_of_stay is the one question that both ask
    contents = read(folder)
    frame = paper.beside(contents)
    both = frame.filter(pl.col("run_single_value").is_not_null())
    assert both["task"].to_list() == ["length_of_stay"]
    own = contents.headline.filter(pl.col("task") == "length_of_stay", pl.col("role") == "joint")
    assert both["run_joint_value"].item() == own["value"].item()
    assert (both["single_score"].item(), both["multi_score"].item()) == (0.56, 0.58)
    page = write_report(folder, compare="paper").read_text()
    assert "Beside the paper" in page
    written = pl.read_csv(folder / "paper.csv")
    assert written.filter(pl.col("task") == "length_of_stay")["run_joint_value"].item() == own["value"].item()
    assert "Beside the paper" not in write_report(folder).read_text()


def test_a_run_without_its_questions_says_nothing(run: Run) -> None:
    folder = run(1)
    assert paper.table(read(folder)) is None
    done = call("report", folder, "--compare", "paper")
    assert "note: nothing to compare: no task of this run is one of the paper's" in done.out
    assert "No question of this run is one of the paper" in (folder / "report.html").read_text()
    assert call("report", folder, "--compare", "paper", "--json").json["compared"] == 0


def test_the_command_knows_the_paper_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(5)
    done = call("report", folder, "--compare", "paper")
    assert done.status == 0 and (folder / "paper.csv").exists()
    check_place(folder)  # the next run may replace it
    assert "beside the paper: 1 task, also in paper.csv" in done.out
    wrong = call("report", folder, "--compare", "rivals")
    assert wrong.status == 2 and "expected: paper" in wrong.err
