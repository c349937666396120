"""What all trainings so far say of the sets of each task: one surrogate per task, under common priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from m3h.experiments.search.asked import Asked, TaskSet
from m3h.experiments.search.surrogate import Bools, Observed, TaskSurrogate, fit_widths, promising


def one_thread() -> threadpool_limits:
    """The matrices are small: threads cost more than they bring, and how many there are would show in the last bits."""
    return threadpool_limits(limits=1, user_api="blas")


class Prospects:
    """The gains that sets promise over the task alone, from the scores in one setting.

    Within, names are sorted: in which order a study lists its tasks changes nothing.
    """

    def __init__(self, asked: Asked, setting: int) -> None:
        self._asked, self._setting = asked, setting
        self._names = sorted(asked.place)
        observed = {name: self._observed(name) for name in self._names}
        self._fits = {name: TaskSurrogate(one) for name, one in observed.items() if len(one.scores)}
        with one_thread():
            self._widths = fit_widths(list(self._fits.values()))

    def best(self, task: str, largest: int, optimism: float) -> Iterator[TaskSet]:
        """Sets of 2 to ``largest`` tasks that hold the task, trained or not, the most promising first: by the mean of
        their gain plus ``optimism`` times its deviation. Nothing for a task that no training has scored."""
        if task in self._fits:
            number = self._names.index(task)
            with one_thread():
                found = promising(self._fits[task], number, self._widths, largest=largest, optimism=optimism)
            for members in found:
                yield self._asked.ordered(self._names[member] for member in members)

    def ranked(self, task: str, sets: Sequence[TaskSet]) -> list[TaskSet]:
        """The sets by the mean of their gain for the task, the largest first; [] for a task that was never scored."""
        if task not in self._fits or not sets:
            return []
        fit = self._fits[task]
        with one_thread():
            mean, _ = fit.gains(self._others(sets, task), self._widths)
        worth = dict(zip(sets, np.round(mean / fit.scale, 6).tolist(), strict=True))
        return sorted(sets, key=lambda tasks: (-worth[tasks], len(tasks), sorted(tasks)))

    def _observed(self, task: str) -> Observed:
        sets = sorted(self._asked.sets_with(task), key=lambda tasks: (len(tasks), sorted(tasks)))
        found = [
            (tasks, fold, score)
            for tasks in sets
            for fold, score in sorted(self._asked.by_fold(tasks, task, self._setting).items())
        ]
        return Observed(
            others=self._others([tasks for tasks, _, _ in found], task),
            folds=np.array([fold for _, fold, _ in found], dtype=np.int64),
            scores=np.array([score for _, _, score in found], dtype=np.float64),
        )

    def _others(self, sets: Sequence[TaskSet], task: str) -> Bools:
        rows = [[name != task and name in tasks for name in self._names] for tasks in map(frozenset, sets)]
        return np.array(rows, dtype=np.bool_).reshape(len(rows), len(self._names))
