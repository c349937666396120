"""What is told of patients: the work list, one patient, what drove an answer and what an edit would change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import nearest
from m3h.serve import edits
from m3h.serve.cohort import Cohort, Of, percentile
from m3h.serve.insight import drivers as driven
from m3h.serve.limits import Refusal
from m3h.serve.served import Served
from m3h.serve.sessions import Session
from m3h.study.task import Task

SORTS = ("value", "sample", "patient")
PAGE, MOST = 50, 500
#: Pages beyond this are nobody's to ask for.
LAST = 1_000_000


def worklist(
    served: Served,
    session: Session,
    of: Of,
    task: str,
    *,
    outcome: str | None = None,
    sort: str = "value",
    descending: bool = True,
    page: int = 1,
    size: int = PAGE,
) -> dict[str, Any]:
    """Patients in order of what the model says of them; ``outcome`` is the class of a task of several.

    Errors: Refusal for a task, class, order or page that is not there.
    """
    one = served.task(task)
    number = class_number(served, one, outcome)
    cohort = served.patients(session, of)
    if sort not in SORTS or not 1 <= size <= MOST or not 1 <= page <= LAST:
        raise Refusal("no such order or page", expected=f"sort {', '.join(SORTS)}; size 1 to {MOST}; page 1 or more")
    values = cohort.column(one, number)
    order = _ordered(cohort, values, sort, descending)
    rows = order[(page - 1) * size : page * size]
    numbers = session.numbers(of, cohort)
    return {
        "of": of,
        "title": cohort.title,
        "task": task,
        "kind": one.kind,
        "class": served.model.classes[task][number] if one.kind == "multiclass" else None,
        "total": len(cohort),
        "page": page,
        "pages": max(1, -(-len(cohort) // size)),
        "size": size,
        "sort": sort,
        "order": "desc" if descending else "asc",
        "notes": list(cohort.notes),
        "rows": [
            {
                "number": int(numbers[row]),
                "sample": str(cohort.ids[row]),
                "patient": str(cohort.patients[row]),
                **_answer(served, cohort, one, int(row), number),
            }
            for row in rows
        ],
    }


def patient(served: Served, session: Session, of: Of, number: int) -> dict[str, Any]:
    """Every answer for one patient, and the values that can be edited."""
    cohort, row = served.row(session, of, number)
    known = edits.values(served.model, cohort.dataset, row) if cohort.dataset is not None else {}
    return {
        "of": of,
        "number": number,
        "sample": str(cohort.ids[row]),
        "patient": str(cohort.patients[row]),
        "compared_with": None if served.reference is None else len(served.reference),
        "explained": cohort.dataset is not None,
        "sources": _sources(cohort, row),
        "answers": [
            {"task": one.name, "title": served.named.get(one.name, one.name), "kind": one.kind, "unit": one.unit}
            | _answer(served, cohort, one, row, _likely(cohort, one, row))
            for one in served.model.tasks
        ],
        "columns": [
            {"name": one.name, "categories": list(one.categories or ()) or None, "value": known[one.name]}
            for one in (served.columns if cohort.dataset is not None else ())
        ],
    }


def drivers(
    served: Served, session: Session, of: Of, number: int, task: str, outcome: str | None = None
) -> dict[str, Any]:
    """What the answer to a task would be if parts of what is known of a patient were not."""
    one = served.task(task)
    cohort, row = served.row(session, of, number)
    if cohort.dataset is None:
        raise _unexplained()
    place = class_number(served, one, outcome) if outcome is not None else _likely(cohort, one, row)
    found = driven(served.model, cohort.dataset, row, task)
    grouping = one.kind == "clustering"
    return {
        "task": task,
        "class": served.model.classes[task][place] if one.kind == "multiclass" else None,
        "method": "what the model would say if this were not known",
        "drivers": [
            {
                "kind": part.kind,
                "name": part.name,
                "said": float(part.said[place]),
                "without": float(part.without[place]),
                # numbers of groups cannot be subtracted
                "change": None if grouping else float(part.change[place]),
            }
            for part in found
        ],
    }


def what_if(
    served: Served, session: Session, of: Of, number: int, changes: Mapping[str, edits.Value]
) -> dict[str, Any]:
    """The answers before and after some values of a patient are changed. Errors: SettingError for values that do not
    fit."""
    cohort, row = served.row(session, of, number)
    if cohort.dataset is None:
        raise _unexplained()
    if not changes:
        raise Refusal("nothing was changed", next_step="change a value, and ask again")
    changed = edits.edited(served.model, cohort.dataset, row, changes)
    answers = served.model.mended(served.model.answers(changed))
    found = []
    for one in served.model.tasks:
        values = answers[one.name]
        place = int(values[0].argmax()) if one.kind == "multiclass" else 0
        before, after = (float(value) for value in values.reshape(2, -1)[:, place])
        found.append(
            {
                "task": one.name,
                "title": served.named.get(one.name, one.name),
                "kind": one.kind,
                "unit": one.unit,
                "class": served.model.classes[one.name][place] if one.kind == "multiclass" else None,
                "before": before,
                "after": after,
                "change": None if one.kind == "clustering" else after - before,
            }
        )
    return {"values": dict(changes), "answers": found}


def class_number(served: Served, one: Task, outcome: str | None) -> int:
    """The place of a class; that of the first where none is named. Errors: Refusal if there is none of this name."""
    if one.kind != "multiclass":
        if outcome:
            raise Refusal(f'task "{one.name}" has no classes', next_step="leave the class out")
        return 0
    classes = served.model.classes[one.name]
    if not outcome:
        return 0
    if outcome not in classes:
        raise Refusal(f'no such class of task "{one.name}"{nearest(outcome, classes)}', status=404)
    return classes.index(outcome)


def _ordered(cohort: Cohort, values: NDArray[np.float64], sort: str, descending: bool) -> NDArray[np.int64]:
    by = {"value": values, "sample": cohort.ids, "patient": cohort.patients}[sort]
    order = np.argsort(by, kind="stable")
    if not descending:
        return order
    # equal ones keep their order in both directions
    return np.asarray(len(by) - 1 - np.argsort(by[::-1], kind="stable")[::-1])


def _likely(cohort: Cohort, one: Task, row: int) -> int:
    """The class most likely for a patient; 0 for other kinds."""
    return int(cohort.answers[one.name][row].argmax()) if one.kind == "multiclass" else 0


def _answer(served: Served, cohort: Cohort, one: Task, row: int, number: int) -> dict[str, Any]:
    """One answer for one patient: ``value`` is a probability, a number in the task's unit, or the number of a group,
    calibrated where ``calibrated`` says so; ``percentile`` its place among those compared with; of several classes
    ``possible`` those of the conformal set, None where the run kept no limits."""
    value = float(cohort.column(one, number)[row])
    low, high = _interval(cohort, one, row, number)
    known = served.model.reliance.get(one.name)
    found: dict[str, Any] = {"value": value, "low": low, "high": high, "percentile": None}
    found["calibrated"] = known is not None
    if one.kind != "clustering" and served.reference is not None:
        found["percentile"] = percentile(served.reference.column(one, number), value)
    if one.kind == "multiclass":
        said = cohort.answers[one.name][row]
        classes = served.model.classes[one.name]
        found["class"] = classes[number]
        found["most_likely"] = classes[int(said.argmax())]
        found["classes"] = dict(zip(classes, said.tolist(), strict=True))
        inside = None if known is None else known.possible(said[None])[0]
        found["possible"] = (
            None if inside is None else [name for name, is_in in zip(classes, inside, strict=True) if is_in]
        )
    return found


def _interval(cohort: Cohort, one: Task, row: int, number: int) -> tuple[float | None, float | None]:
    if one.name not in cohort.intervals:
        return None, None
    low, high = (float(np.ravel(bound[row])[number]) for bound in cohort.intervals[one.name])
    return (None, None) if np.isnan(low) or np.isnan(high) else (low, high)


def _sources(cohort: Cohort, row: int) -> list[dict[str, Any]]:
    """Which sources say anything of a patient."""
    blocks = {} if cohort.dataset is None else cohort.dataset.blocks
    return [
        {"name": name, "modality": block.modality, "known": bool(block.present[row])} for name, block in blocks.items()
    ]


def _unexplained() -> Refusal:
    return Refusal(
        "the run keeps what was said of its test patients, and not their inputs",
        status=409,
        next_step="start m3h serve with --data and the folder of the study's tables, or upload tables",
    )
