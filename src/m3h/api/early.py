"""Mistakes that the options, the study file and the names of tables and columns show: told before rows are read, and
before anything is imported that takes seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from m3h.api.options import Options, asked, overridden
from m3h.core.errors import SettingError, nearest
from m3h.core.installing import extra
from m3h.encoders.mistakes import read_study, refuse
from m3h.encoders.surroundings import around
from m3h.encoders.weights.store import check_folder
from m3h.experiments.ledger.store import check_place
from m3h.experiments.pool import comparable
from m3h.experiments.tim.settings import Settings, check
from m3h.study.spec import Study
from m3h.study.task import Task


def begin(file: Path, options: Options, out: Path | None = None, *, ledger: bool = False) -> Study:
    """The study of a file, once nothing stands against the command that needs no row and no network to be seen.

    ``out`` is the run folder to be written, None for none; ``ledger``: the command keeps one. Errors: StudyError with
    every mistake of the file, its tables and columns; WeightsError; SettingError; FolderError.
    """
    from m3h.experiments import results

    study = read_study(file)
    if out is not None:
        results.check_place(out)
    place = options.ledger or (out / results.LEDGER if out else None)
    check_early(overridden(study, options), options, place if ledger else None)
    with around(weights=options.weights):
        refuse(study)
    return study


def check_early(study: Study, options: Options, ledger: Path | None) -> None:
    """Refuse what cannot end well, whatever the tables hold; ``study`` with the options applied. ``ledger``:
    where one is to be written, None for nowhere.

    Errors: SettingError for tasks that cannot be compared, an address without Ray, a package that is not installed;
    FolderError for a ledger that cannot be there.
    """
    check_folder(options.weights)
    if options.address is not None and options.executor != "ray":
        raise SettingError("an address goes with the executor ray", got=f"executor {options.executor}", expected="ray")
    if options.executor == "ray" and importlib.util.find_spec("ray") is None:
        raise SettingError(
            "the executor ray needs the package ray, which is not installed",
            next_step=f"{extra('ray')}; or leave it out",
        )
    if ledger is not None:
        check_place(ledger)
    for part, wanted in (("search", options.search), ("tim", options.tim)):
        if wanted:
            _check_pool(study, options, part)
    known = {task.name: task for task in study.tasks}
    for name in options.tasks:
        _known(name, known, "--tasks")


def _check_pool(study: Study, options: Options, part: str) -> None:
    """The pool as far as the study file tells: a task may yet turn out to have no labels."""
    names, where = asked(study, options, part)
    known = {task.name: task for task in study.tasks}
    tasks = [_known(name, known, where) for name in dict.fromkeys(names)] if names else list(study.tasks)
    pool = comparable(tasks, [source.name for source in study.sources], asked=bool(names), where=where)
    if part == "tim" and names:
        check(len(pool), Settings(method=study.tim.method))


def _known(name: str, known: dict[str, Task], where: str) -> Task:
    if name not in known:
        raise SettingError(f'unknown task "{name}"{nearest(name, known)}', where=where)
    return known[name]
