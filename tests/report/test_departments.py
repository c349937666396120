"""Improvements by department: figure, table and sentences say what departments.csv says."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from m3h.report.contents import Contents, read
from m3h.report.departments import departments
from m3h.report.figures import departments as forest
from m3h.report.figures import drawing
from m3h.report.page import render

Run = Callable[..., Path]


def of_task(department: str, task: str, verdict: str, relative: float | None, **others: object) -> dict[str, object]:
    low, high = (None, None) if relative is None else (relative - 2, relative + 2)
    base = {"department": department, "task": task, "metric": "auroc", "verdict": verdict, "relative": relative}
    return (
        base | {"single": 0.8, "joint": 0.82, "relative_low": low, "relative_high": high, "width_ratio": 0.9} | others
    )


def whole(department: str, questions: int, ahead: int, behind: int, **others: object) -> dict[str, object]:
    rest = questions - ahead - behind
    base = {"department": department, "task": "", "metric": "", "verdict": "", "questions": questions}
    counts = {"counted": questions, "ahead": ahead, "behind": behind, "open": rest, "equal": 0}
    return base | counts | {"relative": 1.5, "least": -1.0, "most": 4.0, "width_ratio": 0.95} | others


ROWS = [
    whole("Wards", 3, 1, 1),
    of_task("Wards", "death", "ahead", 4.0),
    of_task("Wards", "hypotension", "behind", -3.0),
    of_task("Wards", "tachycardia", "open", 0.5),
    whole("Other", 2, 0, 0, open=1, equal=1, counted=1),
    of_task("Other", "length_of_stay", "open", None, metric="r2", width_ratio=None),
    of_task("Other", "fever", "equal", 0.0),
    of_task("Other", "coma", "same", 0.0),
    whole("", 5, 1, 1, open=2, equal=1, counted=4),
]


def written(folder: Path, rows: list[dict[str, object]]) -> Contents:
    pl.DataFrame(rows, infer_schema_length=None).write_csv(folder / "departments.csv")
    return read(folder)


@pytest.fixture
def contents(run: Run) -> Contents:
    return written(run(2), ROWS)


def test_questions_stand_under_their_department_with_its_mean_and_range(contents: Contents) -> None:
    (panel,) = forest.panels(contents)
    named = [line.task if isinstance(line, forest.Row) else line.name.upper() for line in panel.lines]
    assert named == [
        *("WARDS", "death", "hypotension", "tachycardia"),
        *("OTHER", "length_of_stay", "fever", "coma", "ALL QUESTIONS"),
    ]
    first, death = panel.lines[:2]
    assert isinstance(first, forest.Heading) and (first.mean, first.least, first.most) == (1.5, -1.0, 4.0)
    assert death == forest.Row("death", "ahead", 4.0, 2.0, 6.0, 0.9)


def test_marks_stand_where_the_numbers_say(contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    monkeypatch.setattr(drawing, "svg", lambda figure, **_: kept.append(figure.axes[0]) or "<svg/>")
    (panel,) = forest.panels(contents)
    forest.draw(panel, "a")
    (axes,) = kept
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]  # type: ignore[index]
    # of the question with no percentage, and of the one with a single network, there is none
    assert points == [4.0, -3.0, 0.5, 0.0]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"] == [1.5] * 3  # type: ignore[index]
    spans = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    assert {(2.0, 6.0), (-5.0, -1.0), (-1.5, 2.5), (-1.0, 4.0)} <= set(spans)
    texts = [text.get_text() for text in axes.texts]
    assert {"+4.0", "+2.0 to +6.0", "0.90", "same network"} <= set(texts)


def test_a_far_value_is_an_arrow_at_the_edge(run: Run) -> None:
    rows = [whole("Wards", 9, 9, 0), *(of_task("Wards", f"t{n}", "ahead", 1.0) for n in range(8))]
    (panel,) = forest.panels(written(run(2), [*rows, of_task("Wards", "far", "ahead", 900.0)]))
    assert panel.limits[1] < 20
    assert forest.draw(panel, "a").startswith("<svg")


def test_many_questions_take_sheets_with_their_headings(run: Run) -> None:
    rows = [
        row
        for number in range(4)
        for row in (
            whole(f"D{number}", 11, 0, 0),
            *(of_task(f"D{number}", f"t{number}{n}", "open", 0.1) for n in range(11)),
        )
    ]
    found = forest.panels(written(run(2), [*rows, whole("", 44, 0, 0)]))
    assert len(found) == 3 and len({panel.limits for panel in found}) == 1
    lines = [line for panel in found for line in panel.lines]
    assert len([line for line in lines if isinstance(line, forest.Row)]) == 44
    headings = [line for line in lines if isinstance(line, forest.Heading)]
    assert [line.name for line in headings if not line.continued] == ["D0", "D1", "D2", "D3", "All questions"]
    assert all(isinstance(panel.lines[0], forest.Heading) for panel in found)
    assert max(len(panel.lines) for panel in found) - min(len(panel.lines) for panel in found) < 4
    assert not any(isinstance(panel.lines[-1], forest.Heading) for panel in found[:-1])
    again = [(before, line) for before, line in itertools.pairwise(headings) if line.continued]
    assert again and all(line == dataclasses.replace(before, continued=True) for before, line in again)


def test_words_say_where_nothing_differs(contents: Contents, run: Run) -> None:
    found = departments(contents)
    assert found is not None
    assert found.about == (
        "Of 5 questions, joint is ahead in 1 and behind in 1; in 2 joint and single do not differ beyond the chance of "
        "the test patients; in 1 both score the very same: joint learning changed nothing.",
        "Departments in which no question differs: Other.",
        "The mean relative improvement is +1.5 % over 4 of 5 questions (from −1.0 % to +4.0 %).",
        "Intervals of joint scores are 0.95 times as wide as those of single ones (geometric mean).",
    )
    one = departments(written(run(2), [whole("Other", 1, 0, 0), of_task("Other", "death", "open", 0.1)]))
    assert one is not None
    assert one.about[0].startswith("Of 1 question, joint is ahead in none and behind in none; in 1 joint and single do")


def test_the_table_has_the_numbers(contents: Contents) -> None:
    found = departments(contents)
    assert found is not None and found.open
    texts = [[cell.text for cell in row] for row in found.table.rows]
    assert texts[0] == ["Wards: 3 questions; mean +1.5 %, from −1.0 % to +4.0 %; intervals 0.95 times as wide"]
    assert texts[1] == ["death", "AUROC", "0.800", "0.820", "+4.0\u00a0%", "0.90", "▲ joint ahead"]
    assert texts[5][4:] == ["–", "–", "no difference beyond chance"]
    assert texts[-1][0].startswith("All: 5 questions")
    assert "1 question without a percentage" in found.table.note


def test_the_page_has_the_section_under_titles_where_the_run_kept_it(contents: Contents) -> None:
    page = render(dataclasses.replace(contents, run={**contents.run, "titles": {"death": "Will they die"}}))
    section = page.partition("<h3>By department</h3>")[2].partition("</section>")[0]
    assert "Will they die" in section and ">death<" not in section
    old = dataclasses.replace(contents, departments=contents.departments.head(0))
    assert departments(old) is None
