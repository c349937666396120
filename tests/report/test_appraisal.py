"""The tables of the appraisal, and what its figures draw, from files written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from matplotlib.colors import to_hex

from m3h.report import appraisal
from m3h.report.contents import Contents, read
from m3h.report.figures import drawing, multiples, reliability
from m3h.report.page import render

Run = Callable[..., Path]


def written(folder: Path) -> Path:
    """The run folder with an appraisal of two questions."""
    tables: dict[str, list[dict[str, object]]] = {
        "calibration": [
            {"task": "death", "class": "", "stage": stage, "metric": metric, "n": 200, "events": 20}
            | {"value": value, "low": value - 0.1, "high": value + 0.1}
            for stage, factor in (("raw", 1.0), ("calibrated", 0.5))
            for metric, value in (("slope", 0.8), ("ratio", 1.25), ("ece", 0.04 * factor))
        ],
        "calibration_curve": [
            {"task": "death", "class": "", "stage": stage, "bin": number, "predicted": 0.1 * number}
            | {"observed": 0.1 * number + shift, "low": 0.0, "high": 0.1 * number + 0.1}
            for stage, shift in (("raw", 0.05), ("calibrated", 0.0))
            for number in (1, 2, 3)
        ],
        "decision": [
            {"task": "death", "threshold": cut, "model": 0.08 - cut / 4, "low": 0.0, "high": 0.1, "treat_all": -cut}
            for cut in (0.05, 0.1, 0.2)
        ],
        "operating": [
            {"task": "death", "metric": metric, "wanted": wanted, "threshold": 0.05, "value": wanted - 0.1}
            | {"low": 0.5, "high": 0.95}
            for wanted in (0.8, 0.9)
            for metric in ("sensitivity", "specificity", "ppv", "npv", "flagged")
        ],
        "conformal": [
            {"task": "length_of_stay", "group": group, "subgroup": value, "level": 0.9, "n": n, "covered": covered}
            | {"low": 0.7, "high": 1.0, "size": 12.0}
            for group, value, n, covered in (("", "", 200, 0.91), ("sex", "1", 29, 0.5), ("sex", "0", 170, 0.85))
        ],
        "subgroups": [
            {"task": "death", "group": "age", "subgroup": value, "patients": count, "value": 0.8, "low": 0.7}
            | {"high": 0.9, "difference": -0.1, "difference_low": -0.15, "difference_high": -0.05}
            | {"p": p, "holm": p, "reason": "" if p is not None else "12 patients, fewer than 30"}
            for value, count, p in (("75+", 60, 0.01), ("<40", 12, None), ("60-74", 90, 0.4))
        ],
        "sources": [
            {"task": "death", "source": name, "value": value, "low": value - 0.02, "high": value + 0.02}
            | {"with_all": 0.8, "with_none": 0.5}
            for name, value in (("labs", 0.2), ("note", 0.1))
        ],
        "robustness": [
            {"task": "death", "change": change, "metric": metric, "amount": amount, "value": value}
            for change, amount, value in (
                *(("none", 0.0, 0.8), ("labs absent", 1.0, 0.6), ("noise", 0.1, 0.79), ("noise", 1.0, 0.7)),
                *(("values missing", 0.5, 0.65),),
            )
            for metric in ("auroc", "moved")
        ],
        "gates": [
            {"task": "death", "gate": 0.0, "between_rows": 0.012},
            {"task": "hypotension", "gate": 0.5, "between_rows": 0.004},
        ],
    }
    for name, rows in tables.items():
        pl.DataFrame(rows).write_csv(folder / f"{name}.csv")
    return folder


@pytest.fixture
def contents(run: Run) -> Contents:
    return read(written(run(5)))


def texts(table: object) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for row in table.rows]  # type: ignore[attr-defined]


def test_tables_say_what_the_files_say(contents: Contents) -> None:
    assert texts(appraisal.calibration(contents)) == [["death", "20 of 200", "0.800", "1.250", "0.040", "0.020"]]
    (flags,) = texts(appraisal.operating(contents))
    assert [text.replace("\u00a0", " ") for text in flags] == ["death", "5.0 %", *["80 %"] * 5]
    (held,) = texts(appraisal.coverage(contents))
    # the smaller subgroup is too small to be judged
    assert [text.replace("\u00a0", " ") for text in held] == ["length_of_stay", "91.0 %", "12.0", "85.0 %"]
    assert texts(appraisal.sources(contents)) == [["death", "0.500", "+0.200", "+0.100", "0.800"]]
    changed = appraisal.robustness(contents)
    assert changed is not None
    assert changed.columns == ("Question", "As it is", "Without labs", "Noise 1 SD", "50% of values missing")
    assert texts(changed) == [["death", "0.800", "0.600", "0.700", "0.650"]]


def test_subgroups_are_listed_where_correction_leaves_them(contents: Contents) -> None:
    assert [row[:3] for row in texts(appraisal.subgroups(contents))] == [["death", "age: 75+", "60"]]
    about = appraisal.subgroups_about(contents)
    assert about == (
        "Of 2 subgroups that could be tested, over all questions, 1 differs from the other patients beyond chance. "
        "1 was too small for a test."
    )


def test_gates_say_where_attention_has_no_part(contents: Contents) -> None:
    told = appraisal.gates(contents)
    assert "1 of 2 questions" in told
    assert told.endswith("has no part in the answer: death.")
    assert "0.012" in told


def test_figures_draw_the_bins_and_the_curve(contents: Contents) -> None:
    (panel,) = reliability.reliabilities(contents)
    (gain,) = reliability.benefits(contents)
    with drawing.canvas(3, 3) as figure:
        axes = figure.add_subplot()
        reliability._reliability(axes, panel)
        dots = next(line for line in axes.lines if line.get_marker() == "o")
        assert dots.get_xydata().tolist() == [pytest.approx([0.1 * n, 0.1 * n]) for n in (1, 2, 3)]  # type: ignore[union-attr]
        raw = next(line for line in axes.lines if to_hex(line.get_color()) == drawing.COLOURS["single"].lower())
        assert raw.get_ydata() == pytest.approx([0.15, 0.25, 0.35])
    with drawing.canvas(3, 3) as figure:
        axes = figure.add_subplot()
        reliability._benefit(axes, gain)
        lines = {tuple(line.get_ydata()) for line in axes.lines}
        assert (0.08 - 0.05 / 4, 0.08 - 0.1 / 4, 0.08 - 0.2 / 4) in lines
        assert (-0.05, -0.1, -0.2) in lines
    (sheet,) = reliability.draw_reliabilities([panel], "one")
    assert "<title>death: predicted 10.0\u00a0%, observed 10.0\u00a0% [0.0\u00a0% to 20.0\u00a0%]</title>" in sheet
    assert len(reliability.draw_reliabilities([panel] * 9, "nine")) == 2
    assert len(multiples.sheets([panel] * 44, reliability._reliability, name="many", title="")) == 3


def test_subgroups_that_are_all_too_small_are_counted(contents: Contents) -> None:
    small = contents.appraisal["subgroups"].filter(pl.col("reason") != "")
    few = replace(contents, appraisal={**contents.appraisal, "subgroups": small})
    assert appraisal.subgroups_about(few) == "None of 1 subgroup, over all questions, was large enough for a test."


def test_the_page_has_the_sections_only_where_there_is_something(run: Run) -> None:
    folder = run(5)
    assert 'id="trust"' not in render(read(folder))
    page = render(read(written(folder)))
    assert 'id="trust"' in page
    assert 'id="inputs"' in page
