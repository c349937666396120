"""The scores that a search has been given so far, and what they say of a task set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from m3h.experiments.asking import Answer, Ask, Scores

TaskSet = tuple[str, ...]
#: Told the name of a step and how many trainings it asks for, before it asks.
Say = Callable[[str, int], None]
NOTHING = float("nan")


class Asked:
    """All that was asked of an answer. Every training counts for all its tasks, whichever task it was asked for.

    ``floor``: task -> the score below which its scores count as this score (R-squared has no lower end, and one wild
    fold must not decide).
    """

    def __init__(self, tasks: Sequence[str], answer: Answer, floor: Mapping[str, float], say: Say | None) -> None:
        self.place = {name: number for number, name in enumerate(tasks)}
        self._answer, self._floor, self._say = answer, floor, say
        self._scores: dict[TaskSet, dict[tuple[int, int], Scores]] = {}
        self.trainings = 0

    def ordered(self, tasks: Iterable[str]) -> TaskSet:
        """The set in the study's order."""
        return tuple(sorted(tasks, key=self.place.__getitem__))

    def order(self, tasks: TaskSet) -> tuple[int, tuple[int, ...]]:
        """What ties are broken by: the smaller set, then the order of the tasks."""
        return len(tasks), tuple(self.place[name] for name in tasks)

    def ask(self, step: str, asks: Iterable[Ask]) -> set[TaskSet]:
        """Have all trainings answered that were not asked before, in one call; the sets with new scores."""
        new = [ask for ask in set(asks) if (ask.fold, ask.setting) not in self._scores.get(ask.tasks, {})]
        if not new:
            return set()
        new.sort(key=lambda ask: (ask.setting, ask.fold, self.order(ask.tasks)))
        if self._say:
            self._say(step, len(new))
        answers = self._answer(new)
        for ask in new:
            self._scores.setdefault(ask.tasks, {})[ask.fold, ask.setting] = answers[ask]
        self.trainings += len(new)
        return {ask.tasks for ask in new}

    def sets_with(self, task: str) -> list[TaskSet]:
        """The sets trained so far that hold the task, in the order they came."""
        return [tasks for tasks in self._scores if task in tasks]

    def folds(self, tasks: TaskSet, setting: int) -> set[int]:
        """The folds in which the set was trained in a setting, well or not."""
        return {fold for fold, at in self._scores.get(tasks, {}) if at == setting}

    def by_fold(self, tasks: TaskSet, task: str, setting: int) -> dict[int, float]:
        """Fold -> score of a task of the set, not below its floor; folds without a score are left out."""
        found = {}
        for (fold, at), scores in self._scores.get(tasks, {}).items():
            value = scores.get(task, NOTHING)
            if at == setting and not np.isnan(value):
                found[fold] = max(value, self._floor.get(task, -np.inf))
        return found

    def mean(self, tasks: TaskSet, task: str, setting: int) -> float:
        """Mean over folds of a task's score in a setting; NaN without any."""
        folds = self.by_fold(tasks, task, setting)
        return float(np.mean([folds[fold] for fold in sorted(folds)])) if folds else NOTHING

    def setting(self, tasks: TaskSet) -> int:
        """The best of the settings the set was trained in, by the mean over its tasks of their means over folds.

        Of equals the first; tasks without any score are left out.
        """
        best, reached = None, -np.inf
        for setting in sorted({at for _, at in self._scores.get(tasks, {})}):
            means = [self.mean(tasks, task, setting) for task in tasks]
            known = [value for value in means if not np.isnan(value)]
            value = float(np.mean(known)) if known else -np.inf
            if best is None or value > reached:
                best, reached = setting, value
        return 0 if best is None else best

    def score(self, tasks: TaskSet, task: str) -> float:
        """The set's score for a task: its mean over folds in the set's setting; NaN without any."""
        return self.mean(tasks, task, self.setting(tasks))


def value(score: float) -> float:
    """The score as it is compared: without a score a set loses to any other."""
    return -np.inf if np.isnan(score) else score
