"""What each feature adds to what a task model says: exact, term by term.

Additive models add up functions of single features, each with mean 0 over the rows fitted on, and of pairs, half of
which is given to each feature. Trees are split by TreeSHAP (Lundberg 2020) as LightGBM computes it, around their mean
over the rows fitted on. Both are measured from the training average, so their mix is too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.basis import Basis
from m3h.encoders.block import Block
from m3h.training.additive import Additive, side_by_side
from m3h.training.boosted import Boosted
from m3h.training.task_model import TaskModel, TaskModels

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """All that attributions go to: the columns of the sources side by side, then the absence of each source.

    ``names`` and ``units`` as encoded, "absent" and "" for absences; ``sources`` the source of each; ``columns`` how
    many are columns: feature ``columns + k`` is the absence of the k-th source.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    units: tuple[str, ...]
    columns: int

    @staticmethod
    def of(blocks: Mapping[str, Block]) -> Features:
        """The features of these blocks."""
        columns = [
            (name, column, unit) for name, b in blocks.items() for column, unit in zip(b.names, b.units, strict=True)
        ]
        every = [*columns, *((name, "absent", "") for name in blocks)]
        return Features(
            tuple(name for _, name, _ in every),
            tuple(source for source, _, _ in every),
            tuple(unit for _, _, unit in every),
            len(columns),
        )

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Terms:
    """A task model's outputs in the units it is fitted in (m3h.training.task_model): ``base`` (outputs,) plus the sum
    over features of ``additive`` and ``trees`` (row, feature, outputs), each times its share already."""

    base: Floats
    additive: Floats
    trees: Floats

    @property
    def both(self) -> Floats:
        """What each feature adds (row, feature, outputs)."""
        return self.additive + self.trees


def task_model_terms(models: TaskModels, names: Sequence[str], blocks: Mapping[str, Block]) -> dict[str, Terms]:
    """The terms of some tasks' models for all rows of the blocks, by task."""
    rows = np.arange(len(next(iter(blocks.values())).present))
    functions, values = models.basis.apply(blocks), side_by_side(blocks, rows)
    groups = _feature_of_groups(models.basis, blocks)
    return {name: _terms(models.models[name], functions, groups, values, blocks) for name in names}


def _terms(
    model: TaskModel,
    functions: NDArray[np.float32],
    groups: NDArray[np.int64],
    values: NDArray[np.float32],
    blocks: Mapping[str, Block],
) -> Terms:
    additive = additive_terms(model.additive, functions, groups, blocks) * (1 - model.share)
    base = model.additive.bias.astype(np.float64) * (1 - model.share)
    trees = np.zeros_like(additive)
    if model.boosted is not None:
        adds, start = tree_terms(model.boosted, values)
        trees[:, : adds.shape[1]] = adds * model.share
        base = base + start * model.share
    return Terms(base, additive, trees)


def additive_terms(
    own: Additive, functions: NDArray[np.float32], groups: NDArray[np.int64], blocks: Mapping[str, Block]
) -> Floats:
    """What features add to an additive model (row, feature, outputs) beyond its bias, from its functions (columns,
    row) and the feature (columns,) that each of them is of. An indicator of missingness that several features share is
    the first one's."""
    features = sum(block.width + 1 for block in blocks.values())
    found = np.zeros((functions.shape[1], features, len(own.bias)))
    used = np.flatnonzero(np.abs(own.weight).sum(1) > 0)
    for column in used.tolist():
        found[:, groups[column]] += functions[column, :, None].astype(np.float64) * own.weight[column]
    if len(own.pairs.pairs):
        products, each = own.pairs.apply(blocks).astype(np.float64), len(own.pair_weight) // len(own.pairs.pairs)
        for number, pair in enumerate(own.pairs.pairs.tolist()):
            place = slice(each * number, each * (number + 1))
            half = products[place].T @ own.pair_weight[place] / 2
            for feature in pair:
                found[:, feature] += half
    return found


def tree_terms(boosted: Boosted, values: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """What columns add to what trees say (row, column, outputs), and the trees' mean (outputs,); ``values`` (row,
    columns) as encoded, NaN = not measured."""
    import lightgbm

    filled, outputs = np.where(np.isnan(values), boosted.usual, values), boosted.start.shape[1]
    found = np.zeros((len(values), outputs, values.shape[1] + 1))
    for text in boosted.texts if len(values) else ():
        if text:
            trees = lightgbm.Booster(model_str=text)
            adds = np.asarray(trees.predict(filled, pred_contrib=True, num_threads=1))
            found += adds.reshape(found.shape)
    found /= len(boosted.start)
    mean = found[0, :, -1] if len(values) else np.zeros(outputs)
    return found[:, :, :-1].transpose(0, 2, 1), boosted.start.astype(np.float64).mean(0) + mean


def _feature_of_groups(basis: Basis, blocks: Mapping[str, Block]) -> NDArray[np.int64]:
    """The feature that each function (columns,) is of."""
    found, first, total = [], 0, sum(block.width for block in blocks.values())
    for number, (name, part) in enumerate(basis.sources.items()):
        own = np.where(part.features >= 0, part.features + first, total + number)
        found.append(np.repeat(own, part.counts))
        first += blocks[name].width
    return np.concatenate(found)
