"""What the trainings so far say of sets that were not trained: ridge regression on the tasks of a set and their pairs.

For one task, the score of a set S in a fold is

    base of the fold + size effect * others + sum of effects of the others + sum of effects of their pairs + noise

with normal priors of mean 0 on every effect, so that the gain of any set over the task alone has a mean and a
deviation in closed form (Gaussian process regression with the kernel that these terms make). How wide the priors are
is chosen for all tasks together, by the likelihood of all scores.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Numbers = NDArray[np.int64]

#: Prior variances tried, where a task's scores have variance about 1 within folds: of a task's effect, of a pair's as
#: a part of it, of the effect of a set's size, of the noise.
EFFECTS = (0.03, 0.1, 0.3, 1.0, 3.0)
PAIRS = (0.0, 0.1, 0.4)
SIZES = (0.1,)
NOISES = (1e-6, 0.1, 0.3, 1.0)
#: Folds differ by far more than sets do: a prior so wide that it says nothing.
FOLDS = 100.0
#: Spreads from the middle at which a score is cut off.
WORST = 5.0


@dataclass(frozen=True)
class Widths:
    """Prior variances in units of the variance of a task's scores within folds."""

    effect: float
    pair: float
    size: float
    noise: float


def all_widths() -> list[Widths]:
    """Every combination tried."""
    grid = itertools.product(EFFECTS, PAIRS, SIZES, NOISES)
    return [Widths(effect, pair * effect, size, noise) for effect, pair, size, noise in grid]


@dataclass(frozen=True)
class Observed:
    """Scores of one task: ``others`` bool (n, tasks), who else was in the set; ``folds`` (n,); ``scores`` (n,)."""

    others: Bools
    folds: Numbers
    scores: Floats


class TaskSurrogate:
    """The gains of one task in any set."""

    def __init__(self, observed: Observed) -> None:
        self._observed, self.tasks = observed, observed.others.shape[1]
        same_fold = (observed.folds[:, None] == observed.folds[None, :]).astype(np.float64)
        centred = observed.scores.astype(np.float64)
        for fold in np.unique(observed.folds):
            centred[observed.folds == fold] -= np.median(observed.scores[observed.folds == fold])
        self.scale = _spread(centred)
        # a wild score says no more than that the set is bad, or good
        self._scores = np.clip(centred / self.scale, -WORST, WORST)
        self._terms = (*_terms(observed.others, observed.others), same_fold * FOLDS)

    def evidence(self, widths: Sequence[Widths]) -> Floats:
        """Log likelihood of the scores for each of the widths, but for a constant (widths,)."""
        n = len(self._scores)
        bordered = np.empty((len(widths), n + 1, n + 1))
        bordered[:, :n, :n] = [self._covariance(one) for one in widths]
        bordered[:, n, :n] = bordered[:, :n, n] = self._scores
        bordered[:, n, n] = 2 * n * WORST**2 / min(NOISES)  # above any scores' square, so that the factor exists
        factors = np.linalg.cholesky(bordered)  # its last row solves for the scores
        logs = np.log(np.diagonal(factors, axis1=1, axis2=2)[:, :n]).sum(1)
        result: Floats = -0.5 * (factors[:, n, :n] ** 2).sum(1) - logs
        return result

    def gains(self, others: Bools, widths: Widths) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the gain over the task alone, in score units, of sets (m, tasks)."""
        factor = np.linalg.cholesky(self._covariance(widths))
        cross = _weighted(_terms(self._observed.others, others), widths)
        solved = np.linalg.solve(factor, np.concatenate([self._scores[:, None], cross], 1))
        mean: Floats = self.scale * (solved[:, 1:].T @ solved[:, 0])
        count = others.sum(1).astype(np.float64)
        prior = widths.size * count**2 + widths.effect * count + widths.pair * count * (count - 1) / 2
        deviation: Floats = self.scale * np.sqrt(np.maximum(prior - (solved[:, 1:] ** 2).sum(0), 0.0))
        return mean, deviation

    def _covariance(self, widths: Widths) -> Floats:
        *terms, folds = self._terms
        covariance = _weighted(terms, widths)
        covariance += folds
        np.einsum("ii->i", covariance)[:] += widths.noise
        return covariance


def fit_widths(surrogates: Sequence[TaskSurrogate]) -> Widths:
    """The widths under which the scores of all tasks together are likeliest."""
    widths = all_widths()
    total = sum((one.evidence(widths) for one in surrogates), np.zeros(len(widths)))
    return widths[int(np.argmax(np.round(total, 6)))]


def promising(
    surrogate: TaskSurrogate, task: int, widths: Widths, *, largest: int, optimism: float, breadth: int = 64
) -> list[tuple[int, ...]]:
    """Sets of 2 to ``largest`` tasks that hold ``task``, by mean + optimism * deviation of their gain, best first.

    Sets of three and more are made from the ``breadth`` most promising ones that are one smaller. Ties: the smaller
    set, then the tasks' order.
    """
    tasks = surrogate.tasks
    level: list[tuple[int, ...]] = [(task,)]
    found: list[tuple[float, int, tuple[int, ...]]] = []
    for _ in range(2, largest + 1):
        grown = sorted({tuple(sorted((*one, j))) for one in level for j in range(tasks) if j not in one})
        if not grown:
            break
        mean, deviation = surrogate.gains(_rows(grown, task, tasks), widths)
        # sets that nothing tells apart differ in the last bits only: their order decides, not the machine
        worth = np.round((mean + optimism * deviation) / surrogate.scale, 6)
        ranked = sorted(zip((-worth).tolist(), [len(one) for one in grown], grown, strict=True))
        found += ranked
        level = [one for *_, one in ranked[:breadth]]
    return [one for *_, one in sorted(found)]


def _rows(sets: Sequence[tuple[int, ...]], task: int, tasks: int) -> Bools:
    """Who else is in each set, bool (sets, tasks)."""
    rows = np.zeros((len(sets), tasks), dtype=np.bool_)
    for row, members in zip(rows, sets, strict=True):
        row[list(members)] = True
    rows[:, task] = False
    return rows


def _terms(first: Bools, second: Bools) -> tuple[Floats, Floats, Floats]:
    """What two lists of sets have in common, each (first, second): tasks, pairs of tasks, product of sizes."""
    shared = first.astype(np.float64) @ second.T.astype(np.float64)
    sizes = np.outer(first.sum(1), second.sum(1)).astype(np.float64)
    return shared, shared * (shared - 1) / 2, sizes


def _weighted(terms: Sequence[Floats], widths: Widths) -> Floats:
    shared, pairs, sizes = terms
    return widths.effect * shared + widths.pair * pairs + widths.size * sizes


def _spread(values: Floats) -> float:
    """A standard deviation that a few wild values do not move; 1 where all values are equal."""
    deviations = np.abs(values)
    robust = 1.4826 * float(np.median(deviations))
    return robust or float(np.sqrt(np.mean(values**2))) or 1.0
