"""What a fleet trains on: scaled inputs, targets and masks as tensors, and the order of the batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from m3h.core import seeds
from m3h.dataset.dataset import Dataset, Rows
from m3h.dataset.scale import Scaler
from m3h.dataset.split import folds
from m3h.network.contrastive import Pair, pairs
from m3h.network.network import Inputs
from m3h.training.trial import Trial


@dataclass(frozen=True)
class Material:
    """All samples as tensors, scaled by the training rows of one fold.

    ``values`` per modality (sample, width); ``present`` (sample, modality), and ``presence`` the same
    on the CPU; ``patients`` a number each; ``scaler`` as
    fitted; ``train`` and ``evaluate`` are row numbers.
    """

    modalities: tuple[tuple[str, int], ...]
    values: tuple[Float[Tensor, "sample _"], ...]
    present: Bool[Tensor, "sample modality"]
    presence: NDArray[np.bool_]
    patients: NDArray[np.int64]
    scaler: Scaler
    train: Rows
    evaluate: Rows

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.present.device

    def inputs(self, index: Tensor, evidence: Float[Tensor, "fleet sample evidence"] | None = None) -> Inputs:
        """The batch of these rows, with what task models said of them."""
        said = None if evidence is None else evidence.index_select(1, index)
        return Inputs(tuple(values.index_select(0, index) for values in self.values), self.present[index], said)

    def pairs(self, rows: Rows) -> tuple[Pair, ...]:
        """What the contrastive loss compares in the batch of these rows."""
        return pairs(self.presence[rows], self.patients[rows], str(self.device))

    def flat(self, rows: Rows) -> NDArray[np.float32]:
        """Scaled inputs of all modalities side by side (row, inputs)."""
        index = torch.from_numpy(rows)
        return torch.cat([values.cpu()[index] for values in self.values], 1).numpy()


def trial_rows(dataset: Dataset, trial: Trial) -> tuple[Rows, Rows]:
    """Rows a trial trains on, and rows it is scored on: by patient, never overlapping."""
    if trial.fold is None:
        return dataset.train_rows, dataset.test_rows
    parts = folds(dataset.patients, dataset.train_rows, trial.folds, dataset.seed)
    others = [part for number, part in enumerate(parts) if number != trial.fold]
    return np.sort(np.concatenate(others)), np.sort(parts[trial.fold])


def material(
    dataset: Dataset,
    sources: Sequence[str],
    train: Rows,
    evaluate: Rows,
    *,
    scaler: Scaler | None = None,
    device: str = "cpu",
) -> Material:
    """Scale and join the sources modality by modality; the scaler is fitted on ``train`` unless given."""
    blocks = {name: dataset.blocks[name] for name in sources}
    scaler = Scaler.fit(blocks, train) if scaler is None else scaler
    by_modality: dict[str, list[str]] = {}
    for name, block in blocks.items():
        by_modality.setdefault(block.modality, []).append(name)
    values = [np.concatenate([scaler.apply(blocks[name]) for name in names], axis=1) for names in by_modality.values()]
    present = [np.any([blocks[name].present for name in names], axis=0) for names in by_modality.values()]
    _, patients = np.unique(dataset.patients, return_inverse=True)
    presence = np.stack(present, axis=1)
    return Material(
        modalities=tuple((name, part.shape[1]) for name, part in zip(by_modality, values, strict=True)),
        values=tuple(torch.from_numpy(part).to(device) for part in values),
        present=torch.from_numpy(presence).to(device),
        presence=presence,
        patients=patients.astype(np.int64),
        scaler=scaler,
        train=train,
        evaluate=evaluate,
    )


def input_widths(dataset: Dataset, sources: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Modalities of the sources, in their order, and the columns of each."""
    widths: dict[str, int] = {}
    for name in sources:
        block = dataset.blocks[name]
        widths[block.modality] = widths.get(block.modality, 0) + block.width
    return tuple(widths.items())


def batches(rows: Rows, size: int, generator: np.random.Generator) -> Iterator[Rows]:
    """The rows of one epoch in a new order, ``size`` at a time; a last batch of one row is left out."""
    order = generator.permutation(rows)
    for begin in range(0, len(order), size):
        batch = order[begin : begin + size]
        if len(batch) > 1 or len(order) == 1:
            yield batch


def batch_count(rows: int, size: int) -> int:
    """How many batches an epoch has."""
    return rows // size + (rows % size > 1 or rows == 1)


def order_generator(trial: Trial, epoch: int) -> np.random.Generator:
    """The stream that orders one epoch's batches; the same for every member of a fleet."""
    return seeds.generator(trial.seed, "batches", trial.replicate, fold_name(trial), epoch)


def mask_generator(trial: Trial, step: int, loss: int) -> np.random.Generator:
    """The stream of dropout masks of one forward pass; the same for every member of a fleet."""
    return seeds.generator(trial.seed, "dropout", trial.replicate, fold_name(trial), step, loss)


def fold_name(trial: Trial) -> str:
    """A fold's name in seeds."""
    return "all" if trial.fold is None else f"{trial.fold} of {trial.folds}"
