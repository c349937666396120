"""Risk and rate by subgroup: which columns, which lines, and where they run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from m3h.report import same_risk
from m3h.report.contents import Contents, read
from m3h.report.figures import by_group, multiples
from m3h.report.page import render

Run = Callable[..., Path]


def line(task: str, group: str, subgroup: str, shift: float, bins: int = 5) -> list[dict[str, object]]:
    common = {"task": task, "group": group, "subgroup": subgroup, "patients": 200, "n": 40, "reason": ""}
    return [
        common | {"bin": number, "predicted": 0.1 * number, "observed": 0.1 * number + shift}
        | {"low": 0.05 * number, "high": 0.1 * number + 0.1}
        for number in range(1, bins + 1)
    ]  # fmt: skip


def small(task: str, group: str, subgroup: str) -> dict[str, object]:
    common = {"task": task, "group": group, "subgroup": subgroup, "patients": 12, "bin": None, "n": 14}
    return common | dict.fromkeys(("predicted", "observed", "low", "high")) | {"reason": "12 patients, fewer than 30"}


@pytest.fixture
def contents(run: Run) -> Contents:
    folder, rows = run(["death", "fever"]), []
    for task in ("death", "fever"):
        for value in ("", "<40", "40-59", "75+"):
            rows += line(task, "age", value, 0.0)
        for value, shift in (("", 0.0), ("0", 0.05), ("1", -0.02)):
            rows += line(task, "male", value, shift)
        rows += [small(task, "race", "b"), *line(task, "race", "", 0.0), *line(task, "race", "a", 0.0)]
    rows += [small("death", "male", "-1"), *(row for n in range(9) for row in line("death", "ward", f"w{n}", 0.0))]
    pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / "calibration_groups.csv")
    return read(folder)


def test_sex_comes_first_and_columns_of_one_or_many_groups_not_at_all(contents: Contents) -> None:
    found = by_group.groups(contents)
    assert [(group.name, group.values) for group in found] == [("male", ("0", "1")), ("age", ("<40", "40-59", "75+"))]
    assert [panel.task for panel in found[0].panels] == ["death", "fever"]
    assert found[0].left_out == (("-1", "12 patients, fewer than 30"),)


def test_lines_run_through_the_observed_rates(contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def sheets(panels, paint, **options):
        with multiples.drawing.canvas(3, 3) as figure:
            axes = figure.add_subplot()
            paint(axes, panels[0])
            kept.append((axes, options["legend"]))
        return ["<svg/>"]

    monkeypatch.setattr(multiples, "sheets", sheets)
    by_group.draw(by_group.groups(contents)[0], "a")
    ((axes, legend),) = kept
    expected, women, men = axes.lines
    assert expected.get_ydata() == pytest.approx([10, 20, 30, 40, 50])
    assert women.get_ydata() == pytest.approx([15, 25, 35, 45, 55])
    assert men.get_ydata() == pytest.approx([8, 18, 28, 38, 48])
    assert women.get_color() != men.get_color() and women.get_marker() != men.get_marker()
    assert [name for _, name in legend] == ["not male", "male", "mean predicted risk"]
    assert [handle.get_color() for handle, _ in legend[:2]] == [women.get_color(), men.get_color()]


def test_captions_say_quantiles_and_who_is_left_out(contents: Contents) -> None:
    plates = same_risk.curves(contents)
    assert [one.title for one in plates] == ["Risk and observed rate by sex", "Risk and observed rate by age"]
    caption = plates[0].plates[0].caption
    assert caption.startswith("Test patients in fifths of the calibrated risk")
    assert caption.endswith("Left out in at least one question: male: -1 (12 patients, fewer than 30).")
    assert "Left out" not in plates[1].plates[0].caption


def test_subgroups_too_small_to_be_drawn_are_said(contents: Contents) -> None:
    frame = contents.appraisal["calibration_groups"]
    few = {**contents.appraisal, "calibration_groups": frame.filter(pl.col("group") == "race")}
    (plates,) = same_risk.curves(dataclasses.replace(contents, appraisal=few))
    assert not plates.plates and plates.missing.startswith("Nothing is drawn")
    old = {**contents.appraisal, "calibration_groups": frame.head(0)}
    assert same_risk.curves(dataclasses.replace(contents, appraisal=old)) == []


def test_the_page_folds_all_but_the_first(contents: Contents) -> None:
    page = render(contents)
    assert "<h3>Risk and observed rate by sex</h3>" in page
    assert "<summary>Risk and observed rate by age</summary>" in page


@pytest.mark.parametrize(
    ("group", "value", "name"),
    [
        ("male", "1", "male"),
        ("Female", "0", "not Female"),
        ("ventilated", "1", "ventilated: 1"),
        ("age", "75+", "75+"),
        ("sex", "F", "F"),
    ],
)
def test_values_are_called_so_that_they_are_understood(group: str, value: str, name: str) -> None:
    assert by_group.called(group, value) == name
