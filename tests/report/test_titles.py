"""Readers meet titles; files and the one table to copy names from keep the names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

from m3h.report import cohort
from m3h.report.contents import read
from m3h.report.figures import attention, forest
from m3h.report.interactions import matrix
from m3h.report.page import write_report
from m3h.report.titles import shown, titled, told

Run = Callable[..., Path]
NAMES = ("death_48h", "length_of_stay_total", "icu_type_first", "phenotype_of_stay")
TITLES = {
    "death_48h": "Death within two days",
    "length_of_stay_total": "Length of Stay",
    "icu_type_first": "Kind of unit",
    "phenotype_of_stay": "Phenotype",
    "trauma": "Injury of any kind",
}


def name(folder: Path, titles: Mapping[str, str]) -> Path:
    file = folder / "run.json"
    facts = json.loads(file.read_text())
    facts["titles"] = dict(titles)
    file.write_text(json.dumps(facts))
    return folder


def test_a_page_has_titles_and_each_name_once(run: Run) -> None:
    folder = name(run(NAMES, departments=True), TITLES)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    page = write_report(folder).read_text().replace("<wbr>", "")
    words = re.sub(r"<[^>]*>", "|", page)
    for one in NAMES:
        assert words.count(one) == 1, one
        assert re.search(rf"\|{one}[|;]", words)
        assert words.count(TITLES[one]) > 5
    assert "Injury of any kind" in words and "trauma|" not in words  # left out, with its reason
    written = ("report.html", "tripod.csv")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in written} == before


def test_figures_and_sets_carry_titles(run: Run) -> None:
    contents = titled(read(name(run(NAMES), TITLES)))
    assert set(contents.scores["task_set"]) >= {"+".join(TITLES[one] for one in NAMES), "Phenotype"}
    (one,) = attention.matrices(contents)
    assert one.tasks == tuple(TITLES[one] for one in NAMES)
    assert {row.task for panel in forest.panels(contents) for row in panel.rows} == set(one.tasks)
    assert contents.alone == [] and [task["id"] for task in contents.tasks] == list(NAMES)


def test_interactions_carry_titles(run: Run) -> None:
    folder = name(run(list(NAMES)), TITLES)
    pairs = [(a, b) for a in NAMES for b in NAMES if a != b]
    pl.DataFrame(
        {
            "source": [a for a, _ in pairs],
            "target": [b for _, b in pairs],
            **{field: [0.1] * len(pairs) for field in ("tim", "low", "high", "q")},
            "trials": [3] * len(pairs),
            "rank": [1.0] * len(pairs),
            "method": ["shared"] * len(pairs),
            "metric": ["auroc"] * len(pairs),
        }
    ).write_csv(folder / "tim.csv")
    made = matrix(titled(read(folder)))
    assert made is not None and set(made.tasks) == {TITLES[one] for one in NAMES}


def test_a_title_that_could_be_taken_for_another_is_not_used(run: Run) -> None:
    titles = {
        "death_48h": "Stay",
        "length_of_stay_total": "Stay",  # twice
        "icu_type_first": "phenotype_of_stay",  # another task's name
        "phenotype_of_stay": "A+B",  # reads as a set of two
    }
    contents = read(name(run(NAMES), titles))
    assert shown(contents) == {one: one for one in NAMES}
    assert titled(contents) is contents


@pytest.mark.parametrize("titles", [{}, {"death_48h": "  "}])
def test_without_titles_nothing_changes(titles: dict[str, str], run: Run) -> None:
    contents = read(name(run(NAMES), titles))
    assert titled(contents) is contents
    assert "Beneath a title" not in cohort.questions(contents).note


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "TIM: death_48h cannot be scored on the validation fold; its values stay empty",
            "TIM: Death within two days (death_48h) cannot be scored on the validation fold; its values stay empty",
        ),
        (
            "the search compares tasks that exclude different sources, so labs is kept from all: death_48h, trauma_2",
            "the search compares tasks that exclude different sources, so labs is kept from all: "
            "Death within two days (death_48h), Injury (trauma_2)",
        ),
        ('task "stay": column "death_48h" answers', 'task "Length of Stay" (stay): column "death_48h" answers'),
        ("TIM: stay cannot be scored on any", "TIM: Length of Stay (stay) cannot be scored on any"),
        ("stay: no start was found", "Length of Stay (stay): no start was found"),
        ("its values stay empty: stay", "its values stay empty: stay"),
        ("death_48h_late is another word", "death_48h_late is another word"),
    ],
)
def test_sentences_get_titles_and_keep_names(text: str, expected: str) -> None:
    called = {"death_48h": "Death within two days", "stay": "Length of Stay", "trauma_2": "Injury", "plain": "plain"}
    assert told(text, called) == expected
    assert told(text, {"plain": "plain"}) == text


def test_warnings_and_alarms_of_the_page_have_titles(run: Run) -> None:
    folder = name(run(NAMES), TITLES)
    file = folder / "run.json"
    facts = json.loads(file.read_text())
    facts["warnings"] = ["TIM: death_48h cannot be scored on the validation fold"]
    facts["audit"]["alarms"] = [{"kind": "unusable task", "text": 'task "death_48h": left out'}]
    file.write_text(json.dumps(facts))
    page = write_report(folder).read_text()
    assert "TIM: Death within two days (death_48h) cannot be scored" in page
    assert "task &#34;Death within two days&#34; (death_48h): left out" in page
