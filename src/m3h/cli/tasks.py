"""m3h tasks: the catalog of questions, or those of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.cli import options as o

if TYPE_CHECKING:
    from m3h.study.task import Task

StudyFile = Annotated[
    Path | None, typer.Argument(metavar="[study.toml]", help="A study file; without one, the catalog.")
]
WithCodes = Annotated[bool, typer.Option("--codes", help="Show the diagnosis codes too.")]


def tasks(study: StudyFile = None, codes: WithCodes = False, as_json: o.Json = False) -> None:
    """The paper's 44 tasks, or those of a study: title, department, kind, metric, and where the labels come from."""
    from m3h.cli.screen import console, plain_table, print_json

    if study is None:
        from m3h.hospital.catalog.tasks import paper_tasks

        found: Sequence[Task] = paper_tasks()
        title = f"The paper's {len(found)} tasks; columns are those of a study made by m3h mimic"
    else:
        from m3h.study.spec import Study

        read = Study.read(study)
        found = read.tasks
        title = f"{len(found)} tasks of {read.name}"
    if as_json:
        print_json({"tasks": [described(task) for task in found]})
        return
    screen = console()
    listed = [(t.name, t.title, t.department, t.kind, _metric(t), labels_from(t)) for t in found]
    tables = [plain_table(title, ("task", "title", "department", "kind", "metric", "labels"), listed)]
    if codes:
        names = ("task", "part", "ICD-9", "ICD-10", "ICD-10, all of")
        tables.append(
            plain_table("Codes that make a label 1: all that begin so, A-B and all between", names, code_rows(found))
        )
    for table in tables:
        table.columns[0].no_wrap = True  # a name is there to be copied
        screen.print(table)


def described(task: Task) -> dict[str, Any]:
    """A task as JSON data."""
    content = asdict(task)
    keys = ("name", "title", "department", "kind", "column", "unit", "classes", "exclude_sources", "codes")
    more = {"clusters": task.clusters} if task.kind == "clustering" else {}
    return {key: content[key] for key in keys} | more | {"metric": _metric(task), "labels": labels_from(task)}


def labels_from(task: Task) -> str:
    """Where a task's labels come from, in words."""
    if task.codes:
        return "diagnosis codes"
    return f"none, {task.clusters} groups" if task.kind == "clustering" else f"column {task.column}"


def _metric(task: Task) -> str:
    from m3h.study.task import HEADLINE

    return HEADLINE[task.kind]


def code_rows(found: Sequence[Task]) -> list[tuple[str, ...]]:
    """A row for each part of a task by codes: task, part, and its tokens with room to break the line."""
    return [
        (task.name, part.name, *(_spaced(text) for text in (part.icd9, part.icd10, part.icd10_all_of)))
        for task in found
        for part in task.codes
    ]


def _spaced(text: str) -> str:
    return "; ".join(piece.strip() for piece in text.split(";"))
