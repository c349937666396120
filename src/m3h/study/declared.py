"""Tasks as a study file declares them: one by one, several by their columns, by diagnosis codes, or from a catalog."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.core.errors import SettingError, nearest
from m3h.core.registry import CATALOGS
from m3h.study import catalog, codes, rules
from m3h.study.entry import Entry
from m3h.study.fields import Mistake, fit, take
from m3h.study.task import Codes, Task

#: Keys that the tasks of one [[tasks]] share; those of a catalog have a kind and a department of their own.
SHARED = ("kind", "unit", "classes", "department", "exclude_sources", "weight")
SHARED_OF_CATALOG = ("exclude_sources", "weight")
_EXAMPLE = '{ icd9 = "410-414", icd10 = "I20-I25" }'


@dataclass(frozen=True)
class Around:
    """What else a study file says: its folder, the names of its sources, whether it has [diagnoses], and the one
    version of the classification that all rows of that table are of (None: each row has its own)."""

    folder: Path
    sources: Collection[str]
    diagnoses: bool
    system: int | None


def one(entry: Entry, around: Around) -> list[Task]:
    """The task of a [[task]]; none where it cannot stand."""
    given = "codes" in entry.content
    found = _codes(entry) if given else ()
    values = entry.values(Task, needed=("name", "kind"))
    if not (values.get("name") and values.get("kind")):
        return []
    task = Task(**values, codes=found)
    if "clusters" in values and task.kind != "clustering":
        entry.report("clusters", "clusters goes with kind clustering")
    # wrong codes are codes all the same: no column is missing beside them
    wrong = rules.task(task, around.sources)
    entry.check((key, message) for key, message in wrong if not (given and not found and key == "column"))
    _check_diagnoses(entry, "codes", [task], around)
    return [task]


def several(entry: Entry, around: Around) -> list[Task]:
    """The tasks of a [[tasks]]: those of a catalog, or one for each of its columns, of the column's name."""
    if "catalog" in entry.content:
        return _of_catalog(entry, around)
    if entry.pop("only") is not None:
        entry.report("only", "only goes with catalog")
    columns = entry.pop("columns", [])
    values = entry.values(Task, allowed=(*SHARED, "columns", "catalog"), needed=("kind",))
    try:
        names = fit(tuple[str, ...], columns)
    except Mistake as mistake:
        entry.report("columns", f"columns: {mistake}")
        return []
    if not names:
        entry.report("columns", "columns is missing or empty; each column gives a task of its name")
    if values.get("kind") == "clustering":
        entry.report("kind", "clustering has no columns; declare it by [[task]]")
        return []
    if "kind" not in values:
        return []
    for name in names:
        if wrong := rules.name(name):
            entry.report("columns", f"{wrong}; declare this column by [[task]] with a name")
    tasks = [Task(name=name, column=name, **values) for name in names]
    _check_shared(entry, tasks, around)
    return tasks


def _of_catalog(entry: Entry, around: Around) -> list[Task]:
    name, only = entry.pop("catalog"), entry.pop("only")
    for key in ("columns", "column", "codes", *SHARED):
        if key not in SHARED_OF_CATALOG and entry.pop(key) is not None:
            entry.report(key, f"{key} does not go with catalog, whose tasks have their own")
    values = entry.values(Task, allowed=(*SHARED_OF_CATALOG, "catalog", "only"))
    tasks = _catalog(entry, name, around.folder)
    tasks = _restricted(entry, tasks, only) if only is not None and tasks else tasks
    tasks = [replace(task, **values) for task in tasks if task.codes]
    _check_shared(entry, tasks, around)
    _check_diagnoses(entry, "catalog", tasks, around)
    return tasks


def _check_shared(entry: Entry, tasks: Sequence[Task], around: Around) -> None:
    """What the tasks have in common is judged once."""
    for task in tasks[:1]:
        wrong = rules.task(task, around.sources)
        entry.check((key, message) for key, message in wrong if key not in ("name", "column"))


def _catalog(entry: Entry, name: Any, folder: Path) -> Sequence[Task]:
    if not isinstance(name, str):
        known = " or ".join(f'"{known}"' for known in CATALOGS.names())
        entry.report("catalog", f"catalog: expected {known}, or the path of a CSV file")
        return ()
    if name in CATALOGS:
        load: Callable[[], Sequence[Task]] = CATALOGS.load(name)
        return load()
    if not name.lower().endswith(".csv"):
        entry.report("catalog", f'unknown catalog "{name}"{nearest(name, CATALOGS.names())}, or the path of a CSV file')
        return ()
    tasks, mistakes = catalog.read_file(folder / name)
    for mistake in mistakes:
        entry.report("catalog", f"{name}, {mistake}" if mistake.startswith("line ") else f"{name}: {mistake}")
    return tasks


def _restricted(entry: Entry, tasks: Sequence[Task], only: Any) -> Sequence[Task]:
    try:
        wanted = fit(tuple[str, ...], only)
    except Mistake as mistake:
        entry.report("only", f"only: {mistake}")
        return tasks
    known = {task.name: task for task in tasks}
    by_codes = [name for name, task in known.items() if task.codes]
    if not wanted:
        entry.report("only", "only is empty; leave it out to have every task of the catalog")
    for name in dict.fromkeys(wanted):
        if name not in known:
            entry.report("only", f'only: unknown task "{name}"{nearest(name, by_codes)}')
        elif not known[name].codes:
            entry.report("only", f'only: "{name}" does not follow from codes; declare it by [[task]]')
        elif wanted.count(name) > 1:
            entry.report("only", f'only names "{name}" twice')
    return [task for task in tasks if task.name in wanted]


def _codes(entry: Entry) -> tuple[Codes, ...]:
    """The key codes: a table, or a list of them any of which may hold. Empty where any of it is wrong."""
    given = entry.pop("codes")
    parts = given if isinstance(given, list) else [given]
    if not parts or not all(isinstance(part, dict) for part in parts):
        entry.report("codes", f"codes: expected a table such as {_EXAMPLE}, or a list of them")
        return ()
    wrong: list[str] = []
    found = [Codes(**take(Codes, part, lambda _, message: wrong.append(message))) for part in parts]
    wrong += [message for part in found for message in _unfit(part)] if not wrong else []
    for message in wrong:
        entry.report("codes", f"codes: {message}")
    return () if wrong else tuple(found)


def _unfit(part: Codes) -> list[str]:
    if not (part.icd9.strip() or part.icd10.strip() or part.icd10_all_of.strip()):
        return [f"no code is named; expected a table such as {_EXAMPLE}"]
    wrong = []
    for key, read in (("icd9", codes.tokens), ("icd10", codes.tokens), ("icd10_all_of", codes.groups)):
        text = getattr(part, key)
        try:
            if text.strip():
                read(text)
        except SettingError as error:
            wrong.append(f"{key}: {error.what}")
    return wrong


def _check_diagnoses(entry: Entry, key: str, tasks: Sequence[Task], around: Around) -> None:
    """Codes need a table that can hold codes of theirs."""
    coded = [task for task in tasks if task.codes]
    if coded and not around.diagnoses:
        entry.report(key, f"{key} needs [diagnoses], the table of diagnosis codes")
    for task in coded if around.diagnoses and around.system in codes.VERSIONS else ():
        if around.system not in codes.versions(task.codes):
            text = f'"{task.name}" names no ICD-{around.system} code, and [diagnoses] has no other (system)'
            entry.report(key, text)
