"""The scores of a design as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.experiments.asking import Ask, Scores

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The scores of one source: one row per training that scored it.

    ``others`` (row, target) is 1 where the target was in the set, else 0, targets being the other tasks in their order;
    ``size`` (row,) of the set with the source; ``group`` (row,) numbers fold and replicate from 0; ``weight`` (row,);
    ``score`` (row,).
    """

    others: Floats
    size: Ints
    group: Ints
    weight: Floats
    score: Floats

    @property
    def groups(self) -> int:
        """How many folds and replicates there are."""
        return int(self.group.max()) + 1 if len(self.group) else 0


@dataclass(frozen=True)
class Observed:
    """All scores: ``member`` (training, task), ``group`` and ``weight`` (training,), ``score`` (training, task) with
    NaN where a task has none."""

    member: NDArray[np.bool_]
    group: Ints
    weight: Floats
    score: Floats

    def of(self, source: int) -> Rows:
        """The rows of one source; trainings without its score are left out."""
        rows = np.flatnonzero(self.member[:, source] & np.isfinite(self.score[:, source]))
        member = self.member[rows]
        _, group = np.unique(self.group[rows], return_inverse=True)
        return Rows(
            others=np.delete(member, source, 1).astype(np.float64),
            size=member.sum(1).astype(np.int64),
            group=group.astype(np.int64),
            weight=self.weight[rows],
            score=self.score[rows, source],
        )


def observed(tasks: Sequence[str], design: Iterable[tuple[Ask, float]], scores: Mapping[Ask, Scores]) -> Observed:
    """Arrange the scores of a design; what has no score, or one that is not finite, becomes NaN."""
    place = {name: number for number, name in enumerate(tasks)}
    given = list(design)
    member = np.zeros((len(given), len(tasks)), dtype=bool)
    score = np.full(member.shape, np.nan)
    for row, (ask, _) in enumerate(given):
        found = scores.get(ask, {})
        for name in ask.tasks:
            member[row, place[name]] = True
            score[row, place[name]] = found.get(name, np.nan)
    groups = {key: number for number, key in enumerate(dict.fromkeys((ask.fold, ask.replicate) for ask, _ in given))}
    group = np.array([groups[ask.fold, ask.replicate] for ask, _ in given], dtype=np.int64)
    weight = np.array([part for _, part in given])
    return Observed(member, group, weight, np.where(np.isfinite(score), score, np.nan))
