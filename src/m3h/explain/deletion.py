"""A test of attributions: what they call important, once removed, must move the output more than anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.scores import measure
from m3h.explain.attribution import Attribution
from m3h.explain.changes import without
from m3h.explain.outputs import cut, outputs, prediction_of
from m3h.study.task import HEADLINE
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]

#: Numbers of features removed from every row.
COUNTS = (1, 2, 5, 10, 20)


@dataclass(frozen=True)
class Removed:
    """What happens when features are removed from every row: ``moved`` is the mean absolute change of the output
    (log-odds or the task's unit, mean over classes), ``score`` the headline metric then, NaN without labels."""

    count: int
    moved: float
    score: float


@dataclass(frozen=True)
class Deletion:
    """Two curves, from nothing removed on: ``largest`` attributions first, and ``random`` measured features (the mean
    of several draws). A sound attribution moves the output more, at every count, than chance does."""

    task: str
    metric: str
    largest: tuple[Removed, ...]
    random: tuple[Removed, ...]


def deletion(
    trained: TrainedNetwork,
    dataset: Dataset,
    attribution: Attribution,
    *,
    counts: Sequence[int] = COUNTS,
    repeats: int = 5,
) -> Deletion:
    """Remove from each row of the attribution its ``counts`` features of largest size, and as many by chance.

    Removed is what was measured: it becomes a missing value, and a source of which nothing is left becomes absent. A
    row with fewer measured features loses all it has. Chance follows from the dataset's seed. Errors: SettingError for
    counts below 1 or no repeats.
    """
    if not counts or min(counts) < 1 or repeats < 1:
        raise SettingError("nothing to remove", got=f"counts {list(counts)}, {repeats} repeats", expected="1 or more")
    own = cut(dataset, attribution.rows)
    measured = ~np.isnan(attribution.inputs[:, : attribution.features.columns])
    sizes = np.abs(attribution.values[:, : attribution.features.columns]).sum(2)
    random = seeds.generator(dataset.seed, "deletion", attribution.task)
    asked = _Asked(trained, own, attribution, measured)
    start = asked.removed(0, sizes)
    chances = [random.random(sizes.shape) for _ in range(repeats)]
    largest, by_chance = [start], [start]
    for count in counts:
        largest.append(asked.removed(count, sizes))
        drawn = [asked.removed(count, chance) for chance in chances]
        moved, score = (float(np.mean([getattr(one, what) for one in drawn])) for what in ("moved", "score"))
        by_chance.append(Removed(count, moved, score))
    return Deletion(attribution.task, asked.metric, tuple(largest), tuple(by_chance))


@dataclass(frozen=True)
class _Asked:
    trained: TrainedNetwork
    own: Dataset
    attribution: Attribution
    measured: NDArray[np.bool_]

    @property
    def metric(self) -> str:
        return HEADLINE[self.own.labels[self.attribution.task].task.kind]

    def removed(self, count: int, order: Floats) -> Removed:
        """Without the measured features that come first in ``order`` (row, column), largest first."""
        ranked = np.argsort(np.where(self.measured, -order, np.inf), axis=1, kind="stable")[:, :count]
        gone = np.zeros(order.shape, bool)
        np.put_along_axis(gone, ranked, True, axis=1)
        blocks, first = dict(self.own.blocks), 0
        for source in self.trained.trial.sources:
            end = first + blocks[source].width
            blocks[source], first = without(blocks[source], gone[:, first:end]), end
        rows: Rows = np.arange(len(order))
        task = self.attribution.task
        said = outputs(self.trained, replace(self.own, blocks=blocks), rows, [task])[task]
        labels = self.own.labels[task]
        known = labels.known
        score = measure(labels.task.kind, labels.values[known], prediction_of(labels.task.kind, said[known]))
        return Removed(
            count,
            float(np.abs(said - self.attribution.outputs).mean()),
            float(score[self.metric].bootstrap(None)[0]),
        )
