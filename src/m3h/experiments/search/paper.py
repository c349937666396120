"""The paper's search: for each task, add other tasks one by one and keep the best few sets at each level."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from m3h.experiments.asking import Ask
from m3h.experiments.search.asked import Asked, TaskSet, value
from m3h.experiments.search.found import Diary, Found
from m3h.experiments.search.settings import Settings


def level_name(size: int) -> str:
    """The name of the step that scores sets of this many tasks."""
    return f"sets of {size}"


def beam(asked: Asked, settings: Settings) -> Found:
    """For all tasks at once, level by level; a set wanted for several tasks is trained once.

    For task i: {i} alone, then every pair with i, then every set that adds a task to one of the ``width`` best pairs,
    and so on up to ``largest``. A task stops at the level whose best set is not better for it than the best before.
    A set without a score for the task loses, and is not added to. Ties: the smaller set, then the tasks' order.
    """
    diary = Diary(asked)
    best: dict[str, TaskSet] = {task: (task,) for task in asked.place}
    level: dict[str, set[TaskSet]] = {task: {(task,)} for task in asked.place}
    for size in range(1, settings.largest + 1):
        asked.ask(level_name(size), _asks((tasks for sets in level.values() for tasks in sets), settings))
        following: dict[str, set[TaskSet]] = {}  # a task that has stopped is not in it
        for task, sets in level.items():
            diary.note(level_name(size), task, sets, settings.largest)
            ranked = ranking(asked, task, sets)
            if value(asked.score(ranked[0], task)) > value(asked.score(best[task], task)):
                best[task] = ranked[0]
            elif size > 1:
                continue
            kept = [one for one in ranked if size == 1 or scored(asked, task, one)]
            following[task] = _larger(asked, kept[: settings.width])
        level = {task: sets for task, sets in following.items() if sets}
    return diary.found(best)


def ranking(asked: Asked, task: str, sets: Iterable[TaskSet]) -> list[TaskSet]:
    """The sets from best to worst for a task."""
    return sorted(sets, key=lambda tasks: (-value(asked.score(tasks, task)), asked.order(tasks)))


def scored(asked: Asked, task: str, tasks: TaskSet) -> bool:
    """Whether the set has any score for the task."""
    return not np.isnan(asked.score(tasks, task))


def _larger(asked: Asked, sets: Iterable[TaskSet]) -> set[TaskSet]:
    return {asked.ordered({*tasks, other}) for tasks in sets for other in asked.place if other not in tasks}


def _asks(sets: Iterable[TaskSet], settings: Settings) -> list[Ask]:
    return [
        Ask(tasks, fold=fold, setting=setting)
        for tasks in set(sets)
        for setting in range(settings.settings)
        for fold in range(settings.folds)
    ]
