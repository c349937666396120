"""Tasks by diagnosis codes and from catalogs: what a study file may say, and its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3h.study.lines import Places
from m3h.study.read import parse, read
from m3h.study.task import Codes, Task

HEAD = """\
[samples]
table = "samples.csv"
id = "visit"
patient = "person"
[[source]]
name = "facts"
modality = "tabular"
columns = ["age", "sex"]
"""
DIAGNOSES = '[diagnoses]\ntable = "codes.csv"\nkey = "visit"\ncode = "icd"\nversion = "v"\n'
MINE = "task_id,display_name,department,icd9,icd10\ngout,Gout,Joints,274,M10\nflu,Flu,Lungs,487,J09-J11\n"


def write(folder: Path, text: str) -> Path:
    (folder / "mine.csv").write_text(MINE, encoding="utf-8")
    (folder / "wrong.csv").write_text(MINE.replace("M10", "M1.0").replace("487", ""), encoding="utf-8")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder / "study.toml"


def tasks(folder: Path, text: str) -> dict[str, Task]:
    return {task.name: task for task in read(write(folder, HEAD + DIAGNOSES + text)).tasks}


def problems(folder: Path, text: str) -> list[str]:
    return [str(problem) for problem in parse(write(folder, text))[1]]


def test_codes_of_a_task(tmp_path: Path) -> None:
    found = tasks(
        tmp_path,
        '[[task]]\nname = "attack"\nkind = "binary"\ntitle = "Heart attack"\ncodes = { icd9 = "410", icd10 = "I21" }\n'
        '[[task]]\nname = "any"\nkind = "binary"\n'
        'codes = [{ icd9 = "1", name = "first" }, { icd10_all_of = "Y95 & J12-J18" }]\n',
    )
    assert found["attack"].codes == (Codes("410", "I21"),) and found["attack"].title == "Heart attack"
    assert found["any"].codes == (Codes("1", name="first"), Codes(icd10_all_of="Y95 & J12-J18"))


def test_the_catalogs(tmp_path: Path) -> None:
    found = tasks(
        tmp_path,
        '[[source]]\nname = "letter"\nmodality = "language"\ncolumn = "letter"\n'
        '[[tasks]]\ncatalog = "diseases"\nexclude_sources = ["letter"]\nweight = 0.5\n'
        '[[tasks]]\ncatalog = "operations"\n',
    )
    assert len(found) == 40 and list(found)[-1] == "hospital_acquired_infection"
    stroke = found["stroke"]
    assert (stroke.kind, stroke.title, stroke.department, stroke.column) == ("binary", "Stroke", "Critical Care", None)
    assert (stroke.exclude_sources, stroke.weight) == (("letter",), 0.5)
    assert found["hospital_acquired_infection"].exclude_sources == ()
    assert len(found["hospital_acquired_infection"].codes) == 4


def test_only_some_of_a_catalog_and_a_catalog_of_ones_own(tmp_path: Path) -> None:
    some = '[[tasks]]\ncatalog = "diseases"\nonly = ["stroke", "anemia"]\n'
    found = tasks(tmp_path, some + '[[tasks]]\ncatalog = "mine.csv"\n')
    assert list(found) == ["anemia", "stroke", "gout", "flu"]
    assert found["flu"] == Task("flu", "binary", department="Lungs", title="Flu", codes=(Codes("487", "J09-J11"),))


ONE = '[[task]]\nname = "t"\nkind = "binary"\n'
ALL = '[[tasks]]\ncatalog = "diseases"\n'


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (ONE + "codes = 3\n", ['line 17, [[task]] "t": codes: expected a table such as { icd9']),
        (ONE + "codes = []\n", ["codes: expected a table such as"]),
        (ONE + "codes = {}\n", ["codes: no code is named; expected a table such as"]),
        (ONE + 'codes = { icd11 = "1" }\n', ['codes: unknown key "icd11"; did you mean "icd10"?']),
        (ONE + "codes = { icd9 = 410 }\n", ["codes: icd9: got a number, expected text"]),
        (
            ONE + 'codes = [{ icd9 = "41.0" }, { icd10 = "I2-I30" }]\n',
            ['icd9: "41.0": codes are written without a dot', 'icd10: "I2-I30": both ends'],
        ),
        (ONE + 'codes = { icd10_all_of = "Y95" }\n', ["codes: icd10_all_of: expected two or more groups"]),
        (ONE + 'column = "c"\ncodes = { icd9 = "1" }\n', ["column and codes exclude each other; keep one"]),
        (ONE + 'classes = ["a", "b"]\ncodes = { icd9 = "1" }\n', ["classes do not go with codes"]),
        (ONE.replace("binary", "regression") + 'codes = { icd9 = "1" }\n', ["codes give a binary task; got kind regr"]),
        (ONE, ["a binary task needs column, the samples column of its labels, or codes"]),
        (ALL.replace("diseases", "disease"), ['line 15, [[tasks]] number 1: unknown catalog "disease"; did you mean']),
        (ALL.replace('"diseases"', "3"), ['catalog: expected "diseases" or "operations", or the path of a CSV file']),
        (ALL + 'kind = "binary"\n', ["line 16, [[tasks]] number 1: kind does not go with catalog"]),
        (ALL + 'columns = ["a"]\n', ["columns does not go with catalog, whose tasks have their own"]),
        (ALL + 'onyl = ["stroke"]\n', ['unknown key "onyl"; did you mean "only"?']),
        (ALL + 'only = "stroke"\n', ["only: got text, expected a list of texts"]),
        (ALL + "only = []\n", ["only is empty"]),
        (ALL + 'only = ["strok"]\n', ['only: unknown task "strok"; did you mean "stroke"?']),
        (ALL + 'only = ["stroke", "stroke"]\n', ['only names "stroke" twice']),
        (ALL + 'only = ["thoracic_testing", "hiv"]\n', ['"thoracic_testing" does not follow from codes; declare it']),
        (ALL + 'exclude_sources = ["fact"]\n', ['exclude_sources: unknown source "fact"; did you mean "facts"?']),
        (ALL + "weight = 0\n", ["weight: got 0, expected a number above 0"]),
        (ALL + ONE.replace('"t"', '"hiv"') + 'column = "c"\n', ['a second task of the name "hiv"']),
        (ALL + ALL + 'only = ["hiv"]\n', ['line 17, [[tasks]] number 2: a second task of the name "hiv"']),
        ('[[tasks]]\nkind = "binary"\ncolumns = ["a"]\nonly = ["a"]\n', ["only goes with catalog"]),
        ('[[tasks]]\ncatalog = "gone.csv"\n', ["gone.csv: no such file; expected a CSV file of tasks"]),
        (
            '[[tasks]]\ncatalog = "wrong.csv"\n',
            ['wrong.csv, line 2: icd10: "M1.0": codes are written without a dot'],
        ),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, text: str, messages: list[str]) -> None:
    found = problems(tmp_path, HEAD + DIAGNOSES + text)
    assert len(found) == len(messages), found
    assert [message for message, text in zip(messages, found, strict=True) if message not in text] == []


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        (DIAGNOSES, "", ["codes needs [diagnoses], the table of diagnosis codes", "catalog needs [diagnoses]"]),
        ('version = "v"\n', "", ["needs version, the column that says 9 or 10, or system = 9 or 10"]),
        ('version = "v"', 'version = "v"\nsystem = 9', ["line 14, [diagnoses]: version and system exclude each other"]),
        ('version = "v"', "system = 11", ["system: got 11, expected 9 or 10"]),
        ('version = "v"', 'system = "10"', ["system: got text, expected a whole number", "needs version"]),
        ('version = "v"', 'versoin = "v"', ['unknown key "versoin"; did you mean "version"?', "needs version"]),
        ('code = "icd"\n', "", ["line 9, [diagnoses]: code is missing"]),
        ('key = "visit"\n', "", ["key is missing"]),
        ('table = "codes.csv"\n', "", ['needs table = "file.csv"']),
        ('table = "codes.csv"', 'table = "codes.csv"\nquery = "q.sql"', ["table and query exclude each other"]),
        ("[diagnoses]", "[[diagnoses]]", ["write [diagnoses] in single brackets", "key is missing", "code is missing"]),
        ('version = "v"', "system = 9", ['"t" names no ICD-9 code, and [diagnoses] has no other (system)']),
    ],
)  # fmt: skip
def test_mistakes_of_the_table_of_diagnoses(tmp_path: Path, old: str, new: str, messages: list[str]) -> None:
    text = HEAD + DIAGNOSES + ONE + 'codes = { icd10 = "I21" }\n' + ALL
    assert problems(tmp_path, text) == []
    found = problems(tmp_path, text.replace(old, new, 1))
    assert len(found) == len(messages), found
    assert all(any(message in text for text in found) for message in messages), found


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = HEAD + DIAGNOSES.replace("code =", "cod =") + ONE + 'codes = { icd9 = "4.1" }\n' + ALL + 'only = ["hvi"]\n'
    assert problems(tmp_path, text) == [
        "line 9, [diagnoses]: code is missing",
        'line 12, [diagnoses]: unknown key "cod"; did you mean "code"?',
        'line 17, [[task]] "t": codes: icd9: "4.1": codes are written without a dot',
        'line 20, [[tasks]] number 1: only: unknown task "hvi"; did you mean "hiv"?',
    ]


def test_the_place_of_a_task_from_a_catalog() -> None:
    places = Places(HEAD + DIAGNOSES + ALL + 'exclude_sources = ["facts"]\n')
    assert places.task("stroke") == 'line 14, [[tasks]] "stroke"'
    assert places.task("stroke", "exclude_sources") == 'line 16, [[tasks]] "stroke"'
