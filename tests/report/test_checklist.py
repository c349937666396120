"""Every item of TRIPOD+AI has an answer or is left to the authors."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from m3h.report import checklist
from m3h.report.contents import read
from m3h.report.page import render, write_report

Run = Callable[..., Path]


def test_all_items_of_the_statement_are_there_in_their_order(run: Run) -> None:
    entries = checklist.checklist(read(run(3)))
    numbers = [int(re.match(r"\d+", entry.item).group()) for entry in entries]  # type: ignore[union-attr]
    assert numbers == sorted(numbers) and set(numbers) == set(range(1, 28))
    # 27 items, 52 with their parts
    assert len({entry.item for entry in entries}) == len(entries) == 52
    assert {entry.known for entry in entries} == {"yes", "partly", "no"}
    assert "Of 52 items the run answers" in checklist.counted(entries)


def test_numbers_are_the_runs(run: Run) -> None:
    found = {entry.item: entry for entry in checklist.checklist(read(run(5, rows=60)))}
    assert "240 samples of 237 patients for training, 60 samples of 60 patients for the test" in found["12a"].answer
    assert "1 question left out" in found["11"].answer
    assert "5 questions: 2 with the answer yes or no" in found["8a"].answer
    assert "A hospital that does not exist" in found["1"].answer
    assert found["17"].answer == checklist.UNKNOWN and found["17"].place == ""


def test_each_answer_leads_to_a_section_of_the_page(run: Run) -> None:
    contents = read(run(3))
    page = render(contents)
    for entry in checklist.checklist(contents):
        heading = checklist.SECTIONS.get(entry.place, "")
        assert not entry.place or re.search(rf'<section id="{entry.place}"[^>]*>\s*<h2>{re.escape(heading)}</h2>', page)
        assert (entry.known == "no") == (entry.answer == checklist.UNKNOWN)


def test_no_model_no_checklist(pooled: Run) -> None:
    folder = pooled(3, tim="exact", scored=False)
    assert checklist.checklist(read(folder)) == []
    assert 'id="checklist"' not in write_report(folder).read_text()
    assert not (folder / "tripod.csv").exists()


def test_what_a_run_does_not_know_is_left_to_the_authors(run: Run) -> None:
    folder = run(2)
    (folder / "run.json").write_text("{}")
    found = {entry.item: entry.known for entry in checklist.checklist(read(folder))}
    assert {found[item] for item in ("1", "6b", "10", "12a", "12c", "20a", "22")} == {"no", "partly"}
    assert found["22"] == "partly" and found["12c"] == "no"
