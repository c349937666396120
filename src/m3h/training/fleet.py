"""Training: trials in, trained networks out. The place to start reading.

Trials of equal shape, fold, batch size and replicate are a fleet: networks that are trained at once, each with its
own tasks, learning rate and loss weights, on the same batches and under the same dropout masks. How a fleet is cut
never changes what is trained: a fleet of many gives what as many fleets of one would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.network.contrastive import info_nce
from m3h.network.layers import Dropout
from m3h.network.network import Network, Outputs
from m3h.training import losses, predict
from m3h.training.adam import FleetAdam
from m3h.training.batches import Material, batches, mask_generator, material, order_generator, trial_rows
from m3h.training.clusters import FixedSpace, centres
from m3h.training.forming import DEFAULT_MEMORY, form_fleets, trial_shape
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial

#: Called with the share of the work that is done, 0 to 1.
Progress = Callable[[float], None]


def train(
    dataset: Dataset,
    trials: Sequence[Trial],
    *,
    memory: int = DEFAULT_MEMORY,
    evaluate: bool = True,
    progress: Progress | None = None,
) -> Iterator[TrainedNetwork]:
    """Train all trials, fleet by fleet, in an order that follows from the trials alone.

    ``memory`` in bytes caps the size of a fleet. Without ``evaluate`` the networks come without predictions. A member
    that goes NaN comes back with ``failed`` set; the others are untouched by it. Errors: TrainingError for a trial of
    another dataset or without rows to train on.
    """
    fleets = form_fleets(dataset, trials, memory)
    total = sum(len(fleet) * fleet[0].epochs for fleet in fleets)
    done = 0
    for fleet in fleets:
        work = len(fleet) * fleet[0].epochs

        def report(part: float, before: int = done, here: int = work) -> None:
            if progress:
                progress((before + part * here) / total)

        yield from FleetTraining(dataset, fleet).run(evaluate, report)
        done += work


class FleetTraining:
    """One fleet's training: its network, material, targets and optimiser."""

    def __init__(self, dataset: Dataset, fleet: Sequence[Trial]) -> None:
        first = fleet[0]
        train_rows, evaluate_rows = trial_rows(dataset, first)
        if len(train_rows) < 2:
            raise TrainingError(f"{len(train_rows)} rows to train on", where=dataset.name, expected="at least 2")
        self.dataset, self.fleet, self.first = dataset, tuple(fleet), first
        self.material: Material = material(dataset, first.sources, train_rows, evaluate_rows, device=first.device)
        self.shape = trial_shape(dataset, first)
        self.network = Network(self.shape, len(fleet))
        self.network.start(first.seed, first.replicate)
        self.warnings: list[list[str]] = [[] for _ in fleet]
        self._start_heads()
        self.network.to(first.device)
        self._targets()
        self.adam = FleetAdam(
            list(self.network.parameters()), [trial.learning_rate for trial in fleet], first.preset.clip
        )
        self.alive = torch.ones(len(fleet), dtype=torch.bool)
        self.failed = [""] * len(fleet)
        self.contrastive = first.preset.contrastive_weight > 0 and len(self.shape.modalities) > 1

    def _start_heads(self) -> None:
        for member, trial in enumerate(self.fleet):
            for slot, name in enumerate(trial.tasks):
                labels = self.dataset.labels[name]
                if labels.task.kind not in losses.STARTS:
                    continue
                values = labels.values[self.material.train]
                start = losses.STARTS[labels.task.kind](values[~np.isnan(values)], labels.width, self.shape.preset)
                bias = self.network.heads.head(slot).bias
                if start.bias is not None and bias is not None:
                    bias.data[member] = torch.tensor(start.bias)
                self.network.output_scale[member, slot] = start.scale
                if start.warning:
                    self.warnings[member].append(f"{name}: {start.warning}")

    def _targets(self) -> None:
        """Targets and masks of all the fleet's tasks (sample, task), and which task is in which slot (slot, member)."""
        names = list(dict.fromkeys(name for trial in self.fleet for name in trial.tasks))
        values = np.stack([self.dataset.labels[name].values for name in names], 1)
        device = self.first.device
        self.known = torch.from_numpy(~np.isnan(values)).to(device)
        self.target = torch.from_numpy(np.nan_to_num(values).astype(np.float32)).to(device)
        place = {name: number for number, name in enumerate(names)}
        index = [[place[trial.tasks[slot]] for trial in self.fleet] for slot in range(len(self.shape.slots))]
        self.column = torch.tensor(index, device=device)
        self.weight = torch.tensor([trial.weights for trial in self.fleet], device=device).T  # (slot, member)

    def run(self, evaluate: bool, progress: Progress) -> Iterator[TrainedNetwork]:
        """All epochs, then one network per member."""
        began = time.perf_counter()
        step = 0
        update = self._sequential if self.first.update == "sequential" else self._joint
        for epoch in range(self.first.epochs):
            for rows in batches(self.material.train, self.first.batch_size, order_generator(self.first, epoch)):
                update(rows, step)
                step += 1
            progress((epoch + 1) / self.first.epochs)
            if not self.alive.any():
                break
        self.adam.zero()
        yield from self._results(evaluate, began)

    def _joint(self, rows: Rows, step: int) -> None:
        """One forward pass and one step on the weighted sum of all losses."""
        index = torch.from_numpy(rows).to(self.first.device)
        dropout = Dropout(self.first.preset.dropout, mask_generator(self.first, step, 0))
        outputs = self.network(self.material.inputs(index), dropout)
        parts = [self._slot_loss(outputs, index, slot) for slot in range(len(self.shape.slots))]
        if self.contrastive and (part := self._contrastive_loss(outputs.embeddings, index)) is not None:
            parts.append(part)
        loss = torch.stack([part for part, _ in parts]).sum(0)
        has = torch.stack([present for _, present in parts]).any(0)
        self._step(loss, has, step)

    def _sequential(self, rows: Rows, step: int) -> None:
        """The paper's update: the contrastive loss, then each task's, each with a fresh forward pass and one step."""
        index = torch.from_numpy(rows).to(self.first.device)
        inputs = self.material.inputs(index)
        for number in self._order(step):
            dropout = Dropout(self.first.preset.dropout, mask_generator(self.first, step, number + 1))
            if number < 0:
                part = self._contrastive_loss(self.network.embed(inputs, dropout), index)
                if part is None:
                    continue
            else:
                part = self._slot_loss(self.network(inputs, dropout, (number,)), index, number)
            self._step(*part, step)

    def _order(self, step: int) -> list[int]:
        """The losses of one batch: -1 is the contrastive one, the others are slots."""
        order = ([-1] if self.contrastive else []) + list(range(len(self.shape.slots)))
        if self.first.preset.shuffle_losses:
            generator = mask_generator(self.first, step, -1)
            order = [order[i] for i in torch.randperm(len(order), generator=generator).tolist()]
        return order

    def _contrastive_loss(self, embeddings: tuple[Tensor, ...], index: Tensor) -> tuple[Tensor, Tensor] | None:
        loss = info_nce(
            self.network.project(embeddings),
            self.material.present[index],
            self.material.patients[index],
            self.network.sharpness(),
        )
        if loss is None:
            return None
        return loss * self.first.preset.contrastive_weight, torch.ones_like(loss, dtype=torch.bool)

    def _slot_loss(
        self, outputs: Outputs, index: Tensor, slot: int
    ) -> tuple[Float[Tensor, " fleet"], Bool[Tensor, " fleet"]]:
        """Weighted loss of one slot per member, and which members have a labelled row in the batch."""
        columns = self.column[slot]
        known = self.known[index][:, columns].T  # (fleet, batch)
        if slot in outputs.reconstructions:
            values = self.material.inputs(index).values
            loss = losses.reconstruction(outputs.reconstructions[slot], values, self.shape.preset)
            return loss * self.weight[slot], known.any(1)
        target = self.target[index][:, columns].T / self.network.output_scale[:, slot, None]
        rows = losses.ROW_LOSSES[self.shape.slots[slot].kind](outputs.heads[slot], target)
        loss, has = losses.masked_mean(rows, known)
        return loss * self.weight[slot], has

    def _step(self, loss: Tensor, has: Tensor, step: int) -> None:
        self.adam.zero()
        torch.autograd.backward(loss.sum())  # members share no weights, so the sum's gradient is each member's own
        active = self.alive & has.cpu()
        finite = self.adam.step(active)
        for member in torch.nonzero(active & ~finite)[:, 0].tolist():
            self.alive[member] = False
            self.failed[member] = f"the loss or its gradient was not finite in step {step + 1}"

    def _results(self, evaluate: bool, began: float) -> list[TrainedNetwork]:
        """One network per member, with its predictions if asked for."""
        state = self.network.state_dict()
        clustering = [slot for slot, part in enumerate(self.shape.slots) if part.kind == "clustering"]
        flat = None
        if clustering:
            space = FixedSpace.fit(self.material.flat(self.material.train), self.first.seed)
            latents = predict.run(self.network, self.material, self.material.train, clustering).latents
            flat = self.material.flat(self.material.evaluate)
        raw = predict.run(self.network, self.material, self.material.evaluate) if evaluate else None
        results = []
        for member, trial in enumerate(self.fleet):
            groupings: dict[int, predict.Grouping] = {}
            if flat is not None and not self.failed[member]:
                for slot in clustering:
                    clusters = self.dataset.labels[trial.tasks[slot]].task.clusters
                    found = centres(latents[slot][member], clusters, trial.seed)
                    groupings[slot] = predict.Grouping(found, space, flat)
            good = raw is not None and not self.failed[member]
            results.append(
                TrainedNetwork(
                    trial=trial,
                    shape=self.shape,
                    state={name: value[member : member + 1].detach().cpu().clone() for name, value in state.items()},
                    scaler=self.material.scaler,
                    space=space if clustering else None,
                    centres={trial.tasks[slot]: grouping.centres for slot, grouping in groupings.items()},
                    evaluated=self.material.evaluate,
                    predictions=predict.member(raw, member, trial.tasks, self.shape.slots, groupings)
                    if raw is not None and good
                    else {},
                    attention=raw.attention[member] if raw is not None and good else np.zeros((0, 0)),
                    seconds=(time.perf_counter() - began) / len(self.fleet),
                    failed=self.failed[member],
                    warnings=tuple(self.warnings[member]),
                )
            )
        return results
