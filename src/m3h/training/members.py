"""The members of a fleet: their networks, whose passes and steps are computed at once, and one batch for them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from m3h.dataset.dataset import Dataset, Rows
from m3h.network.between import Dropout
from m3h.network.contrastive import Pair
from m3h.network.network import Inputs, Network, Outputs, Shape
from m3h.network.products import HALF
from m3h.training import losses
from m3h.training.adam import FleetAdam, Which
from m3h.training.batches import Material
from m3h.training.trial import Trial

#: The number of the contrastive loss in the order of losses; the others are slots.
CONTRASTIVE = -1


@dataclass(frozen=True)
class Targets:
    """Labels of all tasks of a fleet: ``known`` and ``value`` (task, sample) on the device, the former also as
    ``labelled`` on the CPU; ``place`` of each task. Values of a regression are around its ``centre``."""

    place: dict[str, int]
    labelled: NDArray[np.bool_]
    known: Bool[Tensor, "task sample"]
    value: Float[Tensor, "task sample"]

    @staticmethod
    def of(dataset: Dataset, fleet: Sequence[Trial], device: str, centres: Mapping[str, float]) -> Targets:
        """The labels of all tasks that any member has; ``centres`` of tasks are 0 where not given. They are subtracted
        before numbers become float32, which has seven digits."""
        names = list(dict.fromkeys(name for trial in fleet for name in trial.tasks))
        values = np.stack([dataset.labels[name].values - centres.get(name, 0.0) for name in names])
        labelled = ~np.isnan(values)
        return Targets(
            place={name: number for number, name in enumerate(names)},
            labelled=labelled,
            known=torch.from_numpy(labelled).to(device),
            value=torch.from_numpy(np.nan_to_num(values).astype(np.float32)).to(device),
        )


class Batch:
    """One batch, made once for all passes over it: inputs, targets, and what is to be compared."""

    def __init__(
        self, material: Material, targets: Targets, rows: Rows, half: bool, evidence: Tensor | None = None
    ) -> None:
        index = torch.from_numpy(rows).to(material.device)
        self.material, self.rows, self.index = material, rows, index
        self.full: Inputs = material.inputs(index, evidence)
        self.inputs = self.full
        if half:
            self.inputs = replace(self.full, values=tuple(values.to(HALF) for values in self.full.values))
        self.known = targets.known.index_select(1, index)  # (task, batch)
        self.value = targets.value.index_select(1, index)
        self.labelled: Which = np.any(targets.labelled[:, rows], axis=1)  # (task,)

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Which modalities and rows the contrastive loss compares."""
        return self.material.pairs(self.rows)

    @cached_property
    def flat(self) -> Float[Tensor, "batch inputs"]:
        """The scaled inputs side by side: what a decoder should give back."""
        return torch.cat(self.full.values, 1)


class Members:
    """The members of a fleet: their network, which tasks are in its slots, and their optimiser.

    ``evidence`` (fleet, sample, evidence) is what task models said, None without them. Each member has as many
    copies as the preset says, next to each other on the network's fleet axis; ``parts`` (sample,) is the copy that a
    sample's labels are kept from, -1 for none.
    """

    def __init__(
        self,
        dataset: Dataset,
        trials: Sequence[Trial],
        shape: Shape,
        train: Rows,
        targets: Targets,
        evidence: Tensor | None = None,
        parts: NDArray[np.int64] | None = None,
    ) -> None:
        first = trials[0]
        self.trials, self.shape, self.preset = tuple(trials), shape, shape.preset
        self.copies = shape.preset.copies
        self.held = None if parts is None else torch.from_numpy(parts).to(first.device)
        self.network = Network(shape, len(trials) * self.copies)
        self.network.start(first.seed, first.replicate)
        self.warnings: list[list[str]] = [[] for _ in trials]
        self._start_heads(dataset, train)
        if evidence is not None:
            evidence = evidence.repeat_interleave(self.copies, 0)
        if self.network.evidence is not None and evidence is not None:
            self.network.evidence.fit(evidence[:, torch.from_numpy(train)])
        self.evidence = None if evidence is None else evidence.to(first.device)
        self.network.to(first.device)
        self.network.train_in(first.precision)
        each = [trial for trial in trials for _ in range(self.copies)]
        self.place = np.array([[targets.place[name] for name in trial.tasks] for trial in each])  # (copy, slot)
        self.column = torch.from_numpy(self.place).to(first.device)
        self.weight = torch.tensor([trial.weights for trial in each], device=first.device)  # (copy, slot)
        self.adam = FleetAdam(list(self.network.parameters()), [t.learning_rate for t in each], self.preset.clip)
        self.alive: Which = np.ones(len(each), bool)
        self.failed = [""] * len(trials)
        self.groups = _alike(shape)

    def _start_heads(self, dataset: Dataset, train: Rows) -> None:
        for member, trial in enumerate(self.trials):
            for slot, name in enumerate(trial.tasks):
                labels = dataset.labels[name]
                if labels.task.kind not in losses.STARTS:
                    continue
                values = labels.values[train]
                start = losses.STARTS[labels.task.kind](values[~np.isnan(values)], labels.width, self.preset)
                bias, own = self.network.heads.head(slot).bias, self.own(member)
                if bias is not None and self.network.evidence is not None:
                    bias.data[own] = 0.0  # the task models have said it
                elif start.bias is not None and bias is not None:
                    bias.data[own] = torch.tensor(start.bias)
                self.network.output_scale[own, slot] = start.scale
                if start.warning:
                    self.warnings[member].append(f"{name}: {start.warning}")

    def own(self, member: int) -> slice:
        """Where the copies of a member are."""
        return slice(member * self.copies, (member + 1) * self.copies)

    def joint(self, batch: Batch, dropout: Dropout, contrastive: bool, step: int, factor: float = 1.0) -> None:
        """One forward pass and one step on the weighted sum of all losses; steps are ``factor`` times the learning
        rate long."""
        outputs = self.network(batch.inputs, dropout)
        slots = range(len(self.shape.slots))
        loss, has = self._task_losses(outputs, batch, slots), np.any(batch.labelled[self.place], axis=1)
        if contrastive and batch.pairs:
            loss = loss + self._contrastive_loss(outputs.embeddings, batch)
            has = np.ones_like(has)
        self._step(loss, has, step, factor)

    def sequential(
        self,
        batch: Batch,
        order: Iterable[int],
        dropouts: Callable[[int], Dropout],
        step: int,
        factor: float = 1.0,
    ) -> None:
        """The paper's update: each loss in turn, with a fresh forward pass and a step of its own."""
        for number in order:
            if number != CONTRASTIVE:
                has = batch.labelled[self.place[:, number]]
                if (has & self.alive).any():
                    outputs = self.network(batch.inputs, dropouts(number), (number,))
                    self._step(self._task_losses(outputs, batch, (number,)), has, step, factor)
            elif batch.pairs:
                embeddings = self.network.embed(batch.inputs, dropouts(number))
                self._step(self._contrastive_loss(embeddings, batch), np.ones_like(self.alive), step, factor)

    def _contrastive_loss(self, embeddings: tuple[Tensor, ...], batch: Batch) -> Float[Tensor, " fleet"]:
        return self.network.contrastive(embeddings, batch.pairs) * self.preset.contrastive_weight

    def _task_losses(self, outputs: Outputs, batch: Batch, slots: Iterable[int]) -> Float[Tensor, " fleet"]:
        """Sum over slots of each member's weighted loss; those of equal kind and width at once."""
        wanted = set(slots)
        parts = []
        for group in self.groups:
            same = [slot for slot in group if slot in wanted]
            if not same:
                continue
            if same[0] in outputs.reconstructions:
                loss = losses.reconstruction(outputs.reconstructions[same[0]], batch.flat, self.shape)[:, None]
            else:
                column = self.column[:, same]  # (fleet, n)
                value = batch.value[column] / self.network.output_scale[:, same, None]  # (fleet, n, batch)
                heads = torch.stack([outputs.heads[slot] for slot in same], 1)
                rows = losses.row_loss(self.shape.slots[same[0]].kind, self.preset)(heads, value)
                loss = losses.masked_mean(rows, self._known(batch, column))
            parts.append((loss * self.weight[:, same]).sum(1))
        return torch.stack(parts).sum(0)

    def _known(self, batch: Batch, column: Tensor) -> Tensor:
        """Which labels each copy learns from (copy, slots, batch)."""
        known = batch.known[column]
        if self.held is None:
            return known
        copy = torch.arange(len(known), device=known.device) % self.copies
        return known & (self.held[batch.index][None, None] != copy[:, None, None])

    def _step(self, loss: Float[Tensor, " fleet"], has: Which, step: int, factor: float) -> None:
        self.adam.zero()
        torch.autograd.backward(loss.sum())  # members share no weights, so the sum's gradient is each member's own
        active = self.alive & has
        lost = active & ~self.adam.step(active, factor)
        for member in set((np.flatnonzero(lost) // self.copies).tolist()):
            self.alive[self.own(member)] = False
            self.failed[member] = f"the loss or its gradient was not finite in step {step + 1}"


def _alike(shape: Shape) -> list[list[int]]:
    """Slots of equal kind and width, which have one loss; each clustering for itself."""
    groups: dict[object, list[int]] = {}
    for number, slot in enumerate(shape.slots):
        groups.setdefault(number if slot.kind == "clustering" else slot, []).append(number)
    return list(groups.values())
