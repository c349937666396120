"""What a person reads of a plan."""

from __future__ import annotations

import json

import pytest

from m3h.cli.plan import as_data, bounded, duration, notes, show
from m3h.experiments.plan import Plan, Planned

SINGLES = Planned("tasks alone", 1044, exact=True, done=44, shared=0, left=1000, seconds=4000.0)
SEARCH = Planned("search", 946, exact=False, done=6, shared=40, left=900, seconds=90_000.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "-"),
        (0.2, "1 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (5369.0, "89 min"),
        (5399.0, "1 h 30 min"),
        (5400.0, "1 h 30 min"),
        (47.9 * 3600, "47 h 54 min"),
        (48 * 3600, "2 d 0 h"),
        (5.25 * 86400, "5 d 6 h"),
    ],
)
def test_times_are_said_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert duration(seconds, exact=False) == (text if text == "-" else f"at most {text}")


def test_upper_bounds_are_called_so() -> None:
    assert (bounded(1234, True), bounded(1234, False), bounded(0, False)) == ("1,234", "at most 1,234", "0")


def test_the_table_has_a_row_per_step_and_one_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    show(Plan((SINGLES, SEARCH), seconds=94_000.0, memory=3 << 29, workers=2), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines if "│" in line]
    assert cells == [
        ["tasks alone", "1,044", "44", "0", "1,000", "67 min"],
        ["search", "at most 946", "6", "40", "at most 900", "at most 25 h 0 min"],
        ["all", "at most 1,990", "50", "40", "at most 1,900", "at most 26 h 7 min"],
    ]
    assert "in a step above" in next(line for line in lines if "trainings" in line)
    assert "with 2 fleets at once" in lines[-2] and "memory about 1.5 GB" in lines[-2]
    assert lines[-1].startswith("at most:")


def test_a_plan_of_one_exact_step_has_no_sum_and_no_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan((SINGLES,), seconds=4000.0, memory=1 << 30)
    show(plan, as_json=False)
    text = capsys.readouterr().out
    assert "at most" not in text and "in a step above" not in text and "│ all" not in text
    assert notes(plan) == ["time on this machine, from a short calibration; memory about 1.0 GB"]


def test_the_machine_readable_plan_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan((SINGLES, SEARCH), seconds=94_000.0, memory=1 << 30)
    show(plan, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said == as_data(plan)
    assert (said["exact"], said["seconds"], said["memory"], said["workers"]) == (False, 94_000.0, 1 << 30, 1)
    counts = {"trainings": 946, "exact": False, "done": 6, "shared": 40, "left": 900}
    assert said["steps"][1] == {"step": "search", "seconds": 90_000.0} | counts
