"""A catalog of one's own: a CSV file whose mistakes are told with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3h.study.catalog import read_file, read_text
from m3h.study.task import Codes, Task

GOOD = 'task_id,display_name,department,icd9,icd10\ngout,"Gout, any",Rheumatology,274,M10\n'


def told(text: str) -> list[str]:
    return read_text(text)[1]


def test_a_row_is_a_task() -> None:
    assert read_text(GOOD + "\n\nflu,,,,J09-J11\n") == (
        [
            (2, Task("gout", "binary", title="Gout, any", department="Rheumatology", codes=(Codes("274", "M10"),))),
            (5, Task("flu", "binary", codes=(Codes("", "J09-J11"),))),
        ],
        [],
    )


def test_all_mistakes_are_told_with_their_lines() -> None:
    text = GOOD + 'two,"a\nb",x,27.4,M1-M10\ngout,,,1,\na/b,,,1,\nx,,1\n'
    assert told(text) == [
        'line 3: icd9: "27.4": codes are written without a dot',
        'line 3: icd10: "M1-M10": both ends of a range must have the same length',
        'line 5: a second task of the name "gout"',
        "line 6: task_id: / does not go into a name; task sets, CSV columns and files are named after it",
        "line 7: 3 fields, the header has 5",
    ]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ['line 1: no column "task_id"', 'line 1: neither column "icd9" nor "icd10"']),
        ("task_id;icd9\na;1\n", ["line 1: unknown column", "separated by commas", "neither column"]),
        ("task_id,icd9,icd-10\na,1,2\n", ['line 1: unknown column "icd-10"; did you mean "icd10"?']),
        ("task_id,icd9,icd9\na,1,2\n", ['line 1: two columns "icd9"']),
        ("task_id,icd9\n", ["no task; expected a row for each"]),
        ('task_id,icd9\na,"1\n', ["not CSV; a quote may not close"]),
        ("task_id,icd10_all_of,icd10\na,Y95,\n", ["line 2: icd10_all_of: expected two or more groups"]),
    ],
)
def test_mistakes(text: str, messages: list[str]) -> None:
    found = told(text)
    assert len(found) == len(messages), found
    assert [message for message, text in zip(messages, found, strict=True) if message not in text] == []


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    assert read_file(file) == ((), ["no such file; expected a CSV file of tasks"])
    file.write_bytes("task_id,icd9\nzählt,1\n".encode("latin-1"))
    assert read_file(file) == ((), ["not UTF-8; save the file in the encoding UTF-8"])
    file.write_text("\ufeff" + GOOD + "none,,,,\n", encoding="utf-8")
    tasks, mistakes = read_file(file)
    assert [task.name for task in tasks] == ["gout"] and mistakes == ["line 3: none names no code"]
