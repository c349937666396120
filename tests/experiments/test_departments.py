"""departments.csv by hand: means, ranges, ratios, verdicts."""

from __future__ import annotations

import polars as pl
import pytest

from m3h.experiments.departments import DEPARTMENTS, department_table


def scores(*rows: tuple[str, str, str, str, float, float | None, float | None]) -> pl.DataFrame:
    names = ("task", "metric", "role", "task_set", "value", "low", "high")
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema_overrides={"low": pl.Float64})


def differences(*rows: tuple[str, str, float, float | None, float | None, float | None]) -> pl.DataFrame:
    names = ("task", "metric", "difference", "relative", "low", "high")
    pair = {"role_a": "joint", "role_b": "single"}
    return pl.DataFrame([dict(zip(names, row, strict=True)) | pair for row in rows])


SCORES = scores(
    ("death", "auroc", "single", "death", 0.8, 0.75, 0.85),
    ("death", "auroc", "joint", "death+stay", 0.84, 0.82, 0.87),
    ("fever", "auroc", "single", "fever", 0.5, 0.4, 0.6),
    ("fever", "auroc", "joint", "death+stay", 0.49, 0.29, 0.69),
    ("stay", "r2", "single", "stay", 0.01, 0.0, 0.02),
    ("stay", "r2", "joint", "death+stay", 0.005, 0.0, 0.02),
    ("alone", "auroc", "single", "alone", 0.7, 0.6, 0.8),
    ("alone", "auroc", "joint", "alone", 0.7, 0.6, 0.8),
    ("equal", "auroc", "single", "equal", 0.7, 0.6, 0.8),
    ("equal", "auroc", "joint", "death+stay", 0.7, 0.6, 0.8),
    ("rare", "auroc", "single", "rare", 0.7, None, None),
    ("rare", "auroc", "joint", "death+stay", 0.77, None, None),
)
DIFFERENCES = differences(
    ("death", "auroc", 0.04, 5.0, 0.01, 0.07),
    ("fever", "auroc", -0.01, -2.0, -0.05, 0.03),
    ("stay", "r2", -0.005, None, -0.008, -0.002),
    ("alone", "auroc", 0.0, 0.0, 0.0, 0.0),
    ("equal", "auroc", 0.0, 0.0, 0.0, 0.0),
    ("rare", "auroc", 0.07, 10.0, None, None),
)
PLACES = {"fever": "", "death": "Wards", "stay": "Wards", "alone": "Wards", "equal": "Wards", "rare": "", "gone": "X"}


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return department_table(PLACES, SCORES, DIFFERENCES)


def row(table: pl.DataFrame, task: str, department: str | None = None) -> dict[str, object]:
    chosen = pl.col("task") == task
    return table.filter(chosen & (pl.col("department") == department) if department is not None else chosen).row(
        0, named=True
    )


def test_each_department_stands_before_its_tasks_and_all_of_them_last(table: pl.DataFrame) -> None:
    assert dict(table.schema) == DEPARTMENTS
    assert table.select("department", "task").rows() == [
        ("Other", ""),
        *(("Other", name) for name in ("fever", "rare")),
        ("Wards", ""),
        *(("Wards", name) for name in ("death", "stay", "alone", "equal")),
        ("", ""),
    ]


def test_a_task_has_its_improvement_its_interval_and_the_ratio_of_widths(table: pl.DataFrame) -> None:
    death = row(table, "death")
    assert (death["single"], death["joint"], death["relative"]) == (0.8, 0.84, 5.0)
    assert (death["relative_low"], death["relative_high"]) == (1.25, 8.75)
    assert death["width_ratio"] == 0.5 and death["verdict"] == "ahead"
    stay = row(table, "stay")
    assert stay["relative"] is stay["relative_low"] is None and stay["verdict"] == "behind"


def test_verdicts_say_where_nothing_differs(table: pl.DataFrame) -> None:
    found = dict(table.filter(pl.col("task") != "").select("task", "verdict").rows())
    ahead_or_behind = {"death": "ahead", "stay": "behind"}
    assert found == ahead_or_behind | {"fever": "open", "rare": "none", "alone": "same", "equal": "equal"}


def test_a_department_has_mean_and_range_and_a_geometric_mean(table: pl.DataFrame) -> None:
    wards = row(table, "", "Wards")
    counts = {"questions": 3, "counted": 2, "ahead": 1, "behind": 1, "open": 0, "equal": 1}
    assert {key: wards[key] for key in counts} == counts
    assert (wards["relative"], wards["least"], wards["most"]) == (2.5, 0.0, 5.0)
    assert wards["width_ratio"] == pytest.approx((0.5 * 1 * 1) ** (1 / 3), abs=1e-6)
    whole = row(table, "", "")
    assert (whole["questions"], whole["relative"]) == (5, pytest.approx((5 - 2 + 0 + 10) / 4))


def test_one_department_needs_no_whole_and_no_comparison_no_row() -> None:
    one = department_table({"death": ""}, SCORES, DIFFERENCES)
    assert one["task"].to_list() == ["", "death"]
    assert department_table(PLACES, SCORES, DIFFERENCES.head(0)).is_empty()
