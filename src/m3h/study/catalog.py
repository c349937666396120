"""A catalog of tasks that follow from diagnosis codes, as a CSV file: a row is a task.

Columns: ``task_id`` and ``icd9`` or ``icd10`` at least, ``display_name``, ``department`` and ``icd10_all_of`` where
there is something to say; ``source`` and ``note`` are for the reader.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from m3h.core.errors import SettingError, nearest
from m3h.study import codes, rules
from m3h.study.task import Codes, Task

COLUMNS = ("task_id", "display_name", "department", "icd9", "icd10", "icd10_all_of", "source", "note")
_READERS: Mapping[str, Callable[[str], object]] = {
    "icd9": codes.tokens,
    "icd10": codes.tokens,
    "icd10_all_of": codes.groups,
}


def read_file(path: Path) -> tuple[tuple[Task, ...], list[str]]:
    """The tasks of a file that can stand, and all its mistakes, each with its line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return (), ["no such file; expected a CSV file of tasks"]
    except UnicodeDecodeError:
        return (), ["not UTF-8; save the file in the encoding UTF-8"]
    except OSError as error:
        return (), [f"cannot be read: {error.strerror or error}"]
    found, mistakes = read_text(text)
    mistakes += [f"line {line}: {task.name} names no code" for line, task in found if not task.codes]
    return tuple(task for _, task in found if task.codes), mistakes


def read_text(text: str) -> tuple[list[tuple[int, Task]], list[str]]:
    """Lines and tasks of a catalog, also those without codes, and all mistakes."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    mistakes: list[str] = []
    found: dict[str, tuple[int, Task]] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        mistakes += _header(header)
        if mistakes:
            return [], mistakes
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _row(line, header, cells, found, mistakes)
            line = reader.line_num + 1
    except csv.Error:
        mistakes.append(f"line {reader.line_num}: not CSV; a quote may not close")
    if not (found or mistakes):
        mistakes.append("no task; expected a row for each")
    return list(found.values()), mistakes


def _header(names: list[str]) -> list[str]:
    found = [f'line 1: unknown column "{name}"{nearest(name, COLUMNS)}' for name in names if name not in COLUMNS]
    found += [f'line 1: two columns "{name}"' for name in dict.fromkeys(names) if names.count(name) > 1]
    if "task_id" not in names:
        found.append('line 1: no column "task_id"; columns are separated by commas')
    if not {"icd9", "icd10"} & set(names):
        found.append('line 1: neither column "icd9" nor "icd10"')
    return found


def _row(
    line: int, header: list[str], cells: list[str], found: dict[str, tuple[int, Task]], mistakes: list[str]
) -> None:
    if len(cells) != len(header):
        mistakes.append(f"line {line}: {len(cells)} fields, the header has {len(header)}")
        return
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    wrong = []
    if problem := rules.name(row["task_id"]):
        wrong.append(f"task_id: {problem}")
    elif row["task_id"] in found:
        wrong.append(f'a second task of the name "{row["task_id"]}"')
    wrong += [f"{column}: {problem}" for column in _READERS if (problem := _unfit(column, row.get(column, "")))]
    mistakes += [f"line {line}: {problem}" for problem in wrong]
    if not wrong:
        found[row["task_id"]] = (line, _task(row))


def _unfit(column: str, text: str) -> str | None:
    try:
        if text:
            _READERS[column](text)
    except SettingError as error:
        return error.what
    return None


def _task(row: Mapping[str, str]) -> Task:
    given = Codes(**{column: row.get(column, "") for column in _READERS})
    return Task(
        name=row["task_id"],
        kind="binary",
        title=row.get("display_name", ""),
        department=row.get("department", ""),
        codes=(given,) if given != Codes() else (),
    )
