"""What a search found: one set per task, and every set it looked at on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from m3h.experiments.search.asked import Asked, TaskSet

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Best:
    """The set chosen for a task, itself included, in the study's order; it may be the task alone.

    ``setting`` is the set's place in the list of settings. ``score`` and ``alone`` are the cross-validation scores of
    the chosen set and of the task alone, each in its own setting (higher is better; NaN if nothing was scored). The
    chosen set won a comparison of ``tried`` sets, so ``score - alone`` is a little too large.
    """

    task: str
    tasks: TaskSet
    setting: int
    score: float
    alone: float
    tried: int


@dataclass(frozen=True)
class Row:
    """A set scored for a task in a step: a line of search.csv.

    ``score``: mean over the folds scored by then, in the set's setting. ``tried``: how many sets of an allowed size
    had been scored for the task by the end of the step. ``chosen`` on exactly one row per task.
    """

    task: str
    step: str
    tasks: TaskSet
    score: float
    tried: int
    chosen: bool = False


@dataclass(frozen=True)
class Found:
    """``best``: task -> its set. ``rows``: by step, task and set. ``trainings``: how many were asked for."""

    best: Mapping[str, Best]
    rows: tuple[Row, ...]
    trainings: int

    def table(self) -> polars.DataFrame:
        """search.csv: task, step, task_set (names joined by "+"), cv_score (null without), tried, chosen."""
        import polars

        columns = ("task", "step", "task_set", "cv_score", "tried", "chosen")
        rows = [
            (r.task, r.step, "+".join(r.tasks), None if np.isnan(r.score) else r.score, r.tried, r.chosen)
            for r in self.rows
        ]
        types = (polars.String, polars.String, polars.String, polars.Float64, polars.Int64, polars.Boolean)
        return polars.DataFrame(rows, schema=dict(zip(columns, types, strict=True)), orient="row")


class Diary:
    """Writes the rows of a search while it goes on."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._tried: dict[str, set[TaskSet]] = {name: set() for name in asked.place}
        self._rows: list[Row] = []

    def note(self, step: str, task: str, sets: set[TaskSet], largest: int) -> None:
        """A row for each of the sets that a step scored for a task."""
        tried = self._tried[task]
        tried |= {tasks for tasks in sets if len(tasks) <= largest}
        for tasks in sorted(sets, key=self._asked.order):
            self._rows.append(Row(task, step, tasks, self._asked.score(tasks, task), len(tried)))

    def found(self, chosen: Mapping[str, TaskSet]) -> Found:
        """The search is over: the last row of each task's chosen set is marked."""
        asked = self._asked
        best = {}
        rows = list(self._rows)
        for task, tasks in chosen.items():
            last = max(place for place, row in enumerate(rows) if (row.task, row.tasks) == (task, tasks))
            rows[last] = replace(rows[last], chosen=True)
            best[task] = Best(
                task=task,
                tasks=tasks,
                setting=asked.setting(tasks),
                score=asked.score(tasks, task),
                alone=asked.score((task,), task),
                tried=len(self._tried[task]),
            )
        return Found(best, tuple(rows), asked.trainings)
