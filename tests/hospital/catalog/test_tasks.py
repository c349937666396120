"""The catalog: every token with codes that it matches and codes beside it, and what each question leaves out."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from m3h.hospital.catalog.paper import results
from m3h.hospital.catalog.tasks import COLUMNS, THORACIC, diseases, operations, paper_tasks
from m3h.hospital.codes import label
from m3h.study.codes import groups, tokens
from m3h.study.task import HEADLINE

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


EXAMPLES = rows("tokens.csv")
CODED = {task.name: task for task in paper_tasks() if task.codes}
#: The parts of a question are named; a question of one part has the task's name here.
PARTS = {part.name or task.name: (task, part) for task in CODED.values() for part in task.codes}


def of(name: str, key: str) -> list[str]:
    text = getattr(PARTS[name][1], key)
    if key == "icd10_all_of":
        return [str(token) for group in (groups(text) if text else ()) for token in group]
    return [str(token) for token in tokens(text)]


def test_every_token_of_the_catalog_has_its_examples() -> None:
    named = [(row["task"], row["key"], row["token"]) for row in EXAMPLES]
    assert len(named) == len(set(named))
    known = [
        (name, key, token) for name in PARTS for key in ("icd9", "icd10", "icd10_all_of") for token in of(name, key)
    ]
    assert sorted(named) == sorted(known)
    assert len(named) > 250


@pytest.mark.parametrize("name", PARTS)
def test_each_token_matches_its_codes_and_not_those_beside_it(name: str) -> None:
    for row in (row for row in EXAMPLES if row["task"] == name):
        (token,) = tokens(row["token"])
        match, beside = row["match"].split(), row["beside"].split()
        assert match and len(beside) == 2
        assert [code for code in match if not token.matches(code)] == [], row
        assert [code for code in beside if token.matches(code)] == [], row


@pytest.mark.parametrize("name", PARTS)
def test_each_code_that_a_token_matches_makes_the_label_1_in_its_version_alone(name: str) -> None:
    task, _ = PARTS[name]
    for row in (row for row in EXAMPLES if row["task"] == name and row["key"] != "icd10_all_of"):
        version = 9 if row["key"] == "icd9" else 10
        other = 19 - version
        for code in row["match"].split():
            assert label(task.codes, [(version, code)]) == 1, (row, code)
            assert label(task.codes, [(other, code)]) == 0, (row, code)


@pytest.mark.parametrize("row", rows("left_out.csv"), ids=lambda row: f"{row['task']} {row['version']}")
def test_what_a_question_leaves_out(row: dict[str, str]) -> None:
    for code in row["codes"].split():
        assert label(CODED[row["task"]].codes, [(int(row["version"]), code)]) == 0, code


def test_every_question_says_what_it_leaves_out() -> None:
    told = defaultdict(set)
    for row in rows("left_out.csv"):
        told[row["task"]].add(row["version"])
    assert told == {name: {"9", "10"} for name in CODED}


def test_hospital_acquired_pneumonia_needs_both_of_a_pair() -> None:
    codes = CODED["hospital_acquired_infection"].codes
    assert [part.name for part in codes] == ["hai_crbsi", "hai_pneumonia", "hai_ssi", "hai_cauti"]
    assert label(codes, [(10, "Y95"), (10, "J159")]) == 1
    assert label(codes, [(10, "A481"), (10, "I10"), (10, "Y95")]) == 1
    assert label(codes, [(10, "Y95"), (10, "Y95"), (10, "N390")]) == 0
    assert label(codes, [(10, "Y95"), (9, "486")]) == 0
    assert label(codes, [(9, "Y95"), (10, "J159")]) == 0


def test_the_44_are_those_of_the_paper_by_its_metrics_and_groups() -> None:
    tasks, paper = paper_tasks(), results()
    assert [task.name for task in tasks] == list(paper) and len(tasks) == 44
    assert {task.name: HEADLINE[task.kind] for task in tasks} == {name: one.metric for name, one in paper.items()}
    assert {task.name: task.department for task in tasks} == {name: one.group for name, one in paper.items()}
    assert all(task.title for task in tasks)
    kinds = [task.kind for task in tasks]
    assert [kinds.count(kind) for kind in ("binary", "multiclass", "regression", "clustering")] == [41, 1, 1, 1]
    assert sum(bool(task.codes) for task in tasks) == 40


def test_what_does_not_follow_from_codes() -> None:
    without = {task.name: task for task in paper_tasks() if not task.codes}
    assert set(without) == {*COLUMNS, "patient_phenotyping"}
    assert {name: task.column for name, task in without.items() if task.column} == COLUMNS
    assert without["thoracic_testing"].classes == THORACIC and len(THORACIC) == 8
    assert without["length_of_stay"].unit == "days"
    assert (without["patient_phenotyping"].kind, without["patient_phenotyping"].clusters) == ("clustering", 15)


def test_the_catalogs_divide_the_44() -> None:
    assert len(diseases()) == 40 and [task.name for task in diseases() if not task.codes] == ["thoracic_testing"]
    assert [task.name for task in operations() if task.codes] == ["hospital_acquired_infection"]
    assert len(operations()) == 4


def test_results_of_the_paper_are_within_their_intervals_and_multitask_is_never_worse() -> None:
    for one in results().values():
        for score in (one.single, one.multi):
            assert score.low <= score.value <= score.high
        assert one.multi.value > one.single.value
    assert results()["length_of_stay"].single.value == 0.56 and results()["tuberculosis"].multi.value == 0.95
