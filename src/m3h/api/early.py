"""Mistakes that the options and the study file show: told before any table is read."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from m3h.api.options import Options
from m3h.api.work import asked
from m3h.core.errors import SettingError, nearest
from m3h.experiments.ledger.store import check_place
from m3h.experiments.pool import comparable
from m3h.experiments.tim.settings import Settings, check
from m3h.study.spec import Study
from m3h.study.task import Task

_EXTRAS = {"ray": ("the executor ray", "ray"), "lightgbm": ("--baseline", "baseline")}


def check_early(study: Study, options: Options, ledger: Path | None) -> None:
    """Refuse what cannot end well, whatever the tables hold; ``study`` with the options applied. ``ledger``:
    where one is to be written, None for nowhere.

    Errors: SettingError for tasks that cannot be compared, an address without Ray, a package that is not installed;
    FolderError for a ledger that cannot be there.
    """
    if options.address is not None and options.executor != "ray":
        raise SettingError("an address goes with the executor ray", got=f"executor {options.executor}", expected="ray")
    for package, wanted in (("ray", options.executor == "ray"), ("lightgbm", options.baseline)):
        if wanted and importlib.util.find_spec(package) is None:
            what, extra = _EXTRAS[package]
            raise SettingError(
                f"{what} needs the package {package}, which is not installed",
                next_step=f"pip install 'm3h[{extra}]', or leave it out",
            )
    if ledger is not None:
        check_place(ledger)
    for part, wanted in (("search", options.search), ("tim", options.tim)):
        if wanted:
            _check_pool(study, options, part)


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
