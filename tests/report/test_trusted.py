"""The summary's sentences on trust, from numbers put in by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from m3h.report import trusted
from m3h.report.contents import Contents, read

Run = Callable[..., Path]


def having(contents: Contents, **tables: Sequence[Mapping[str, object]]) -> Contents:
    """The contents with these rows of the appraisal; columns that a row lacks are empty."""
    made = {
        name: pl.DataFrame(
            [{column: row.get(column) for column in contents.appraisal[name].columns} for row in rows],
            schema=contents.appraisal[name].schema,
        ).with_columns(pl.col(pl.String).fill_null(""))
        for name, rows in tables.items()
    }
    return dataclasses.replace(contents, appraisal={**contents.appraisal, **made})


@pytest.fixture
def contents(run: Run) -> Contents:
    return read(run(3))


def error(task: str, stage: str, value: float) -> dict[str, object]:
    return {"task": task, "stage": stage, "metric": "ece", "value": value}


def test_calibration_gives_the_median_and_the_worst(contents: Contents) -> None:
    rows = [error("a", "calibrated", 0.01), error("b", "calibrated", 0.02), error("c", "calibrated", 0.06)]
    rows += [error("a", "raw", 0.03), error("b", "raw", 0.05), error("c", "raw", 0.07)]
    text = trusted.calibration(having(contents, calibration=rows))
    assert "off by 2.0 percentage points on average (5.0 before calibration), the median of 3" in text
    assert text.endswith("most for c, 6.0.")
    one = trusted.calibration(having(contents, calibration=rows[:1]))
    assert one == "Calibrated risks of a are off by 1.0 percentage points on average."


def test_coverage_names_whom_it_failed(contents: Contents) -> None:
    def row(task: str, covered: float, high: float, group: str = "") -> dict[str, object]:
        return {"task": task, "level": 0.9, "covered": covered, "high": high, "group": group}

    kept = [row("a", 0.91, 0.93), row("b", 0.88, 0.90), row("a", 0.2, 0.3, "age")]
    text = trusted.coverage(having(contents, conformal=kept))
    assert text.endswith("held it 88.0\u00a0% to 91.0\u00a0% of the time.")
    failed = trusted.coverage(having(contents, conformal=[*kept, row("c", 0.8, 0.85)]))
    assert failed.endswith("80.0\u00a0% to 91.0\u00a0% of the time; less than promised beyond doubt for c.")


def test_subgroups_that_are_worse_beyond_doubt_are_named(contents: Contents) -> None:
    def row(value: str, difference: float, holm: float | None) -> dict[str, object]:
        return {"task": "a", "group": "age", "subgroup": value, "difference": difference, "p": holm, "holm": holm}

    rows = [row("75+", -0.1, 0.01), row("<40", 0.1, 0.02), row("40-59", -0.2, 0.4), row("none", -0.3, None)]
    text = trusted.subgroups(having(contents, subgroups=rows))
    assert "Of 3 subgroups compared with all other patients, 1 is answered worse beyond doubt" in text
    assert text.endswith("(a for age 75+), 1 is better.")
    assert "none is answered worse" in trusted.subgroups(having(contents, subgroups=rows[2:3]))
    assert "No subgroup was large enough" in trusted.subgroups(having(contents, subgroups=rows[3:]))


def test_the_source_that_matters_most_is_named(contents: Contents) -> None:
    def row(task: str, change: str, value: float, metric: str = "auroc") -> dict[str, object]:
        return {"task": task, "change": change, "metric": metric, "value": value}

    rows = [row("a", "none", 0.8), row("b", "none", 0.9), row("c", "none", 0.5, "r2"), row("a", "none", 0.0, "moved")]
    rows += [row("a", "labs absent", 0.6), row("b", "labs absent", 0.88), row("c", "labs absent", -9.0, "r2")]
    rows += [row("a", "note absent", 0.81), row("b", "note absent", 0.87)]
    text = trusted.missing(having(contents, robustness=rows))
    # labs: falls of 0.2 and 0.02, median 0.11; note: -0.01 and 0.03, median 0.01
    assert text == (
        "Without the source labs, AUROC falls by 0.110 in the median, most for a (0.800 to 0.600); without any other, "
        "by 0.010 at most."
    )


def test_a_run_without_an_appraisal_says_so(contents: Contents) -> None:
    assert trusted.points(contents)[0].text == "This run did not appraise its model beyond its scores."
    assert "1 sign of leaks" in trusted.points(contents)[-1].text
    clean = dataclasses.replace(contents, run={**contents.run, "audit": {**contents.audit, "alarms": []}})
    assert "no sign of a leak" in trusted.leaks(clean)
