"""How interactions are measured, as a plain value, and the weights that define what is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import SettingError

Method = Literal["exact", "pairs", "shared"]
Estimator = Literal["ridge", "means"]

#: The method ``exact`` trains every set: 1,023 of them for ten tasks.
EXACT_TASKS = 10
#: Settings that a method does not look at.
UNUSED: dict[Method, tuple[str, ...]] = {
    "shared": (),
    "exact": ("sets", "draws", "estimator"),
    "pairs": ("sets", "inclusion", "limit", "draws", "estimator"),
}
#: Scores of a source per task that the default of ``sets`` aims at, all folds and replicates together.
ROWS_PER_TASK = 2.25


@dataclass(frozen=True)
class Settings:
    """How task interactions are measured.

    The value of target j for source i is the mean, over sets S of the other tasks, of f_i(S + i + j) - f_i(S + i).
    ``method``:

    - ``exact`` trains all sets (2 to 10 tasks) and takes that mean as it stands;
    - ``pairs`` takes the empty S alone, the pair against the single task, as Figure 6 of the paper;
    - ``shared`` estimates the mean from random sets, each of which scores all its members.

    ``inclusion`` (above 0, below 1; exact and shared): with which chance each task is in S. 0.5 makes every S equally
    heavy and the value a Banzhaf value; any other number gives the p-binomial semivalue of that p. ``limit`` (2 or
    more; exact and shared) is the size of the largest set trained: only S of up to limit - 2 tasks count then.

    ``folds`` (1 or more) and ``replicates`` (1 or more): every set is trained on folds 0 to folds - 1, with replicates
    0 to replicates - 1. ``sets`` (2 or more, or None; shared only): random sets per fold and replicate; they come in
    pairs of opposites, so an odd number is rounded up. ``draws`` (2 or more): bootstrap draws of ``shared``.
    ``estimator`` of ``shared``: ridge regression, or the mean score with the target minus the mean without.

    None for ``sets`` is 0.75 M divided by the share of the tasks that a set holds, for M tasks; more where folds times
    replicates are fewer than 3. Each source then has 2.25 M scores, for M unknowns: 12 sets at 8 tasks, 66 at 44. The
    error of a value follows from the scores per source and unknown, so the number of sets grows as M, that of pairs as
    M squared. In simulations with noise as large as the effects and 3 replicates its root mean square was, in units of
    that noise, 0.53 with 12 sets at 8 tasks, 0.46 with 14, 0.42 with 16, and 0.81 for ``pairs``; at 44 tasks 0.22 with
    66 sets. Three replicates are 36 trainings instead of 108 at 8 tasks, 198 instead of 2,970 at 44.
    """

    method: Method = "shared"
    folds: int = 1
    replicates: int = 3
    sets: int | None = None
    inclusion: float = 0.5
    limit: int | None = None
    draws: int = 1000
    estimator: Estimator = "ridge"


def check(count: int, settings: Settings) -> None:
    """Refuse what cannot be measured. Errors: SettingError."""
    if count < 2:
        raise SettingError("interactions need tasks that can meet", got=f"{count} tasks", expected="2 or more")
    if settings.method == "exact" and count > EXACT_TASKS:
        raise SettingError(
            "the method exact trains every set of tasks",
            got=f"{count} tasks, {2**count - 1:,} sets",
            expected=f"at most {EXACT_TASKS} tasks",
            next_step="name fewer tasks, or use the method shared",
        )
    wrong = [
        f"{name} = {value}, expected {expected}"
        for name, value, expected, good in (
            ("folds", settings.folds, "1 or more", settings.folds >= 1),
            ("replicates", settings.replicates, "1 or more", settings.replicates >= 1),
            ("sets", settings.sets, "2 or more", settings.sets is None or settings.sets >= 2),
            ("inclusion", settings.inclusion, "above 0 and below 1", 0 < settings.inclusion < 1),
            ("limit", settings.limit, "2 or more", settings.limit is None or settings.limit >= 2),
            ("draws", settings.draws, "2 or more", settings.draws >= 2),
        )
        if not good
    ]
    if wrong:
        raise SettingError("; ".join(wrong), where="tim")


def largest(count: int, settings: Settings) -> int:
    """The size of the largest set that is trained."""
    if settings.method == "pairs":
        return 2
    return count if settings.limit is None else min(count, settings.limit)


def other_weights(count: int, settings: Settings) -> NDArray[np.float64]:
    """What one S of s other tasks weighs in a value, s = 0 to count - 2; all S together weigh 1.

    inclusion^s (1 - inclusion)^(count - 2 - s) up to the limit, 0 above it; ``pairs`` has S = {} alone.
    """
    sizes = np.arange(count - 1)
    p = settings.inclusion
    log_weight = sizes * math.log(p) + (count - 2 - sizes) * math.log1p(-p)
    weight = np.where(sizes <= largest(count, settings) - 2, np.exp(log_weight), 0.0)
    return np.asarray(weight / (weight * binomials(count - 2)).sum())


def set_weights(count: int, settings: Settings) -> NDArray[np.float64]:
    """By which chance a trained set of t tasks, t = 1 to count, is to be drawn, relative to other sets.

    A set with i and j is an S of t - 2 others with both added, a set with i alone one of t - 1 others: their weights,
    summed. Under this law least squares of f_i on indicators of tasks and sizes gives the value itself, whatever the
    game: the residuals of each size sum to zero with and without j, and the weights make them cancel in the value. Sets
    of one task or of all are the same with every j and could have any chance; theirs is such that without a limit each
    task is drawn by its own coin. The indicators of sizes are not needed then.
    """
    others = other_weights(count, settings)
    weights = np.append(0.0, others) + np.append(others, 0.0)
    weights[0] /= settings.inclusion
    weights[-1] /= 1 - settings.inclusion
    return np.asarray(weights)


def size_law(count: int, settings: Settings) -> NDArray[np.float64]:
    """The chance that a drawn set has t tasks, t = 1 to count."""
    mass = set_weights(count, settings) * binomials(count)[1:]
    return np.asarray(mass / mass.sum())


def sets_wanted(count: int, settings: Settings) -> int:
    """How many sets ``shared`` draws per fold and replicate."""
    if settings.sets is not None:
        return settings.sets + settings.sets % 2
    share = float(size_law(count, settings) @ np.arange(1, count + 1)) / count
    groups = settings.folds * settings.replicates
    return 2 * math.ceil(ROWS_PER_TASK * count / min(groups, 3) / share / 2 - 1e-9)


def binomials(n: int) -> NDArray[np.float64]:
    """n over k, k = 0 to n."""
    return np.array([float(math.comb(n, k)) for k in range(n + 1)])
