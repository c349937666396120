"""What a trained network says when only some of its sources are there: the value function of Shapley values.

A source outside a coalition is absent, as if a hospital did not have it: additive models add 0 or what absence says,
trees follow their default branches, modality networks give their learned absent vectors. The network is the one that
was trained; nothing is fitted again.

Task models are asked once for all coalitions: what additive models add is a sum over sources and pairs of sources, and
m3h.explain.trees asks the trees. The network runs once per coalition for all tasks, and not at all where every gate is
shut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3h.dataset.dataset import Dataset, Rows
from m3h.encoders.block import Block
from m3h.explain.outputs import check_sources, cut, cut_block, gate, on_scale, output_scale, task_slots
from m3h.explain.trees import coalition_outputs
from m3h.network.network import Inputs
from m3h.training.additive import Additive, side_by_side
from m3h.training.predict import CHUNK
from m3h.training.task_model import TaskModels
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Trees keep a number per row for each subset of the sources that one of them reads, of at most 3^sources; rows are
#: taken so many at a time that they stay below this (256 MB), but no fewer than the other number.
CELLS, FEWEST = 32_000_000, 64


class Coalitions:
    """A trained network asked of ``rows`` (ascending) of a dataset, whichever of its ``sources`` are there.

    A coalition is a number whose bit k is set if ``sources[k]`` is in it. Errors: SettingError for an unknown task, a
    clustering, or a dataset that lacks a source.
    """

    def __init__(
        self, trained: TrainedNetwork, dataset: Dataset, rows: Rows, tasks: Sequence[str] | None = None
    ) -> None:
        check_sources(trained, dataset)
        self.trained, self.sources = trained, trained.trial.sources
        self.slots = task_slots(trained, tasks)
        own = cut(dataset, rows)
        self.blocks = {name: own.blocks[name] for name in self.sources}
        self.rows = len(rows)
        shut = all(gate(trained, slot) == 0 for slot in self.slots.values())
        self._network = None if shut else trained.network()
        self._scaled = {
            name: torch.from_numpy(trained.scaler.apply(block)) for name, block in self.blocks.items() if not shut
        }

    def outputs(self, coalitions: Sequence[int]) -> dict[str, Floats]:
        """Task -> outputs (coalition, row, outputs) on the scale of m3h.explain.outputs."""
        slots = self.trained.shape.slots
        evidence = self._evidence(coalitions)
        found = {name: np.zeros((len(coalitions), self.rows, slots[slot].width)) for name, slot in self.slots.items()}
        for number, coalition in enumerate(coalitions):
            own = {name: said[number] for name, said in evidence.items()}
            heads = own if self._network is None else self._heads(coalition, own)
            for name, slot in self.slots.items():
                y = heads[name].astype(np.float64) * output_scale(self.trained, slot)
                found[name][number] = on_scale(y, self.trained, name, slot)
        return found

    def _evidence(self, coalitions: Sequence[int]) -> dict[str, Float32]:
        """What task models say (coalition, row, outputs), by task; nothing without them. A network whose gates are not
        all shut reads those of all tasks."""
        models = self.trained.task_models
        if models is None:
            return {}
        wanted = self.slots if self._network is None else self.trained.trial.tasks
        names = [name for name in wanted if name in models.models]
        step = max(FEWEST, CELLS // 3 ** len(self.sources))
        parts = []
        for begin in range(0, self.rows, step):
            some = np.arange(begin, min(begin + step, self.rows))
            blocks = {name: cut_block(block, some) for name, block in self.blocks.items()}
            parts.append(task_model_outputs(models, names, blocks, coalitions))
        return {name: np.concatenate([part[name] for part in parts], 1) for name in names}

    @torch.no_grad()
    def _heads(self, coalition: int, evidence: Mapping[str, Float32]) -> dict[str, Float32]:
        """The network's outputs (row, outputs) of one coalition, by task; the mean over its copies."""
        network = self._network
        assert network is not None
        values, present = self._inputs(coalition)
        said = None
        if evidence:
            beside = np.concatenate([evidence[name] for name in self.trained.trial.tasks if name in evidence], 1)
            said = torch.from_numpy(beside).expand(network.fleet, -1, -1)
        parts: dict[str, list[Float32]] = {name: [] for name in self.slots}
        for begin in range(0, self.rows, CHUNK):
            some = slice(begin, begin + CHUNK)
            inputs = Inputs(tuple(one[some] for one in values), present[some], None if said is None else said[:, some])
            heads = network(inputs, None, list(self.slots.values())).heads
            for name, slot in self.slots.items():
                parts[name].append(heads[slot].double().mean(0).numpy())
        return {name: np.concatenate(part) for name, part in parts.items()}

    def _inputs(self, coalition: int) -> tuple[list[Tensor], Tensor]:
        """Scaled inputs per modality and presence (row, modality), sources outside the coalition absent."""
        there = {name: bool(coalition >> number & 1) for number, name in enumerate(self.sources)}
        values, present = [], []
        for modality, _ in self.trained.shape.modalities:
            names = [name for name in self.sources if self.blocks[name].modality == modality]
            parts = [self._scaled[name] if there[name] else torch.zeros_like(self._scaled[name]) for name in names]
            values.append(torch.cat(parts, 1))
            seen = [self.blocks[name].present for name in names if there[name]]
            present.append(np.any([np.zeros(self.rows, bool), *seen], axis=0))
        return values, torch.from_numpy(np.stack(present, 1))


def task_model_outputs(
    models: TaskModels, names: Sequence[str], blocks: Mapping[str, Block], coalitions: Sequence[int]
) -> dict[str, Float32]:
    """What task models say of all rows of the blocks (coalition, row, outputs), as TaskModels.evidence would of blocks
    with the other sources absent."""
    rows = np.arange(len(next(iter(blocks.values())).present))
    functions = [part.apply(blocks[name]) for name, part in models.basis.sources.items()]
    nothing = [part.apply(_absent(blocks[name])) for name, part in models.basis.sources.items()]
    columns = np.ascontiguousarray(side_by_side(blocks, rows).T.astype(np.float64))
    owner = np.repeat(np.arange(len(blocks)), [block.width for block in blocks.values()])
    found = {}
    for name in names:
        model = models.models[name]
        said = _additive(model.additive, functions, nothing, blocks, owner, coalitions)
        if model.boosted is not None:
            trees = coalition_outputs(model.boosted, columns, owner, coalitions).astype(np.float32)
            said = said * np.float32(1 - model.share) + trees * np.float32(model.share)
        found[name] = said
    return found


def _additive(
    own: Additive,
    functions: Sequence[Float32],
    nothing: Sequence[Float32],
    blocks: Mapping[str, Block],
    owner: NDArray[np.int64],
    coalitions: Sequence[int],
) -> Float32:
    """An additive model's outputs (coalition, row, outputs): what each source adds if it is there or if it is not, and
    pairs where both sources are there."""
    ends = np.cumsum([len(part) for part in functions])[:-1]
    weights = np.split(own.weight, ends)
    inside = [part.T @ weight for part, weight in zip(functions, weights, strict=True)]
    outside = [part.T @ weight for part, weight in zip(nothing, weights, strict=True)]
    pairs = _pairs(own, blocks, owner)
    total = np.tile(own.bias, (len(coalitions), functions[0].shape[1], 1))
    for number, coalition in enumerate(coalitions):
        for source, (here, gone) in enumerate(zip(inside, outside, strict=True)):
            total[number] += here if coalition >> source & 1 else gone
        for both, adds in pairs.items():
            if both & ~coalition == 0:
                total[number] += adds
    return total


def _pairs(own: Additive, blocks: Mapping[str, Block], owner: NDArray[np.int64]) -> dict[int, Float32]:
    """What pairs of features add (row, outputs), by the sources they are of, as bits."""
    if not len(own.pairs.pairs):
        return {}
    functions = own.pairs.apply(blocks)
    each = len(functions) // len(own.pairs.pairs)
    sources = np.bitwise_or.reduce(1 << owner[own.pairs.pairs], axis=1)
    found = {}
    for both in np.unique(sources).tolist():
        columns = np.repeat(sources == both, each)
        found[int(both)] = functions[columns].T @ own.pair_weight[columns]
    return found


def _absent(block: Block) -> Block:
    """One row without the source."""
    values = np.full((1, block.width), np.nan, np.float32)
    return replace(block, values=values, present=np.zeros(1, bool), unreadable=())
