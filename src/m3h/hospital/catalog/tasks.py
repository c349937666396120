"""The paper's 44 questions as tasks: 40 follow from diagnosis codes, three stand in columns that a study made from
MIMIC-IV has, and the phenotypes need no labels."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import get_args

from m3h.hospital.catalog.paper import results, rows
from m3h.study import catalog
from m3h.study.task import Codes, Kind, Task

#: Of the chest image's findings; a sample has a label if it has exactly one of them.
THORACIC = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Lung Opacity"),
    *("Pneumonia", "Pneumothorax"),
)
PHENOTYPES = 15
#: Where the labels of a task that does not follow from codes stand in a study made from MIMIC-IV.
COLUMNS = {"mortality_48h": "mortality_48h", "length_of_stay": "length_of_stay", "thoracic_testing": "thoracic"}
_CODE_KEYS = ("icd9", "icd10", "icd10_all_of")


def diseases() -> tuple[Task, ...]:
    """The 40 diagnoses in the order of the departments; all but ``thoracic_testing`` follow from codes."""
    text = resources.files(__package__).joinpath("diseases.csv").read_text(encoding="utf-8")
    found, mistakes = catalog.read_text(text)
    assert not mistakes, mistakes
    return tuple(task if task.codes else _thoracic(task) for _, task in found)


def _thoracic(task: Task) -> Task:
    return replace(task, kind="multiclass", column=COLUMNS[task.name], classes=THORACIC)


def operations() -> tuple[Task, ...]:
    """The three questions of hospital operations and the phenotypes; ``hospital_acquired_infection`` follows from
    codes: 1 if any of its four groups is there. Groups and variants of a question are no tasks of their own."""
    content = list(rows("operations.csv"))
    groups = results()
    found = []
    for row in content:
        if row["problem_class"] not in get_args(Kind):
            continue
        name, kind = row["task_id"], row["problem_class"]
        found.append(
            Task(
                name=name,
                kind=kind,  # type: ignore[arg-type]
                column=COLUMNS.get(name),
                unit=row["unit"] if kind == "regression" else "",
                department=groups[name].group,
                clusters=PHENOTYPES,
                title=row["display_name"],
                codes=tuple(
                    Codes(name=part["task_id"], **{key: part[key] for key in _CODE_KEYS})
                    for part in content
                    if part["parent_task"] == name and part["problem_class"] == "component"
                ),
            )
        )
    return tuple(found)


def paper_tasks() -> tuple[Task, ...]:
    """All 44 in the paper's order."""
    known = {task.name: task for task in (*diseases(), *operations())}
    return tuple(known[name] for name in results())
