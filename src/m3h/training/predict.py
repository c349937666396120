"""What a fleet says of some rows: predictions per task, latents, and the mean attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.scores import Prediction
from m3h.network.network import Inputs, Network, Outputs, Slot
from m3h.study.task import Kind
from m3h.training.batches import Material, input_widths, material
from m3h.training.clusters import assign

if TYPE_CHECKING:
    from m3h.training.task_model import TaskModels
from m3h.training.trained import TrainedNetwork

#: Rows of one forward pass; fixed, so that the same rows always give the same bytes.
CHUNK = 512


@dataclass(frozen=True)
class Raw:
    """Outputs of a fleet on rows, in NumPy.

    ``heads`` slot -> float64 (fleet, row, outputs) in the units of the loss times the output scale; ``latents`` and
    ``errors`` of clustering slots: (fleet, row, token width) and mean squared reconstruction errors (fleet, row);
    ``attention`` (fleet, task that asks, task that answers), the mean over the rows.
    """

    heads: dict[int, NDArray[np.float64]]
    latents: dict[int, NDArray[np.float32]]
    errors: dict[int, NDArray[np.float64]]
    attention: NDArray[np.float64]


@torch.no_grad()
def run(network: Network, material: Material, rows: Rows, evidence: Tensor | None = None) -> Raw:
    """The fleet's outputs on ``rows``, without dropout; ``evidence`` (fleet, sample, evidence) is what task models
    said of all samples of the material."""
    heads: dict[int, list[NDArray[np.float64]]] = {}
    latents: dict[int, list[NDArray[np.float32]]] = {}
    errors: dict[int, list[NDArray[np.float64]]] = {}
    attention = np.zeros((network.fleet, len(network.shape.slots), len(network.shape.slots)))
    scale = network.output_scale.cpu().double().numpy()
    for inputs, outputs in _chunks(network, material, rows, None, evidence):
        for slot, y in outputs.heads.items():
            heads.setdefault(slot, []).append(y.cpu().double().numpy() * scale[:, slot, None, None])
        for slot, y in outputs.reconstructions.items():
            latents.setdefault(slot, []).append(outputs.tokens[:, slot].cpu().numpy())
            error = y.sub_(torch.cat(inputs.values, 1)).square_().mean(-1)
            errors.setdefault(slot, []).append(error.cpu().double().numpy())
        attention += outputs.attention.sum(1, dtype=torch.float64).cpu().numpy()
    copies = network.shape.preset.copies
    return Raw(
        heads={slot: _mean(np.concatenate(parts, 1), copies) for slot, parts in heads.items()},
        latents={slot: _beside(np.concatenate(parts, 1), copies) for slot, parts in latents.items()},
        errors={slot: _mean(np.concatenate(parts, 1), copies) for slot, parts in errors.items()},
        attention=_mean(attention / max(len(rows), 1), copies),
    )


def _mean(values: NDArray[np.float64], copies: int) -> NDArray[np.float64]:
    """The mean over each member's copies."""
    return values if copies == 1 else np.asarray(values.reshape(-1, copies, *values.shape[1:]).mean(1))


def _beside(tokens: NDArray[np.float32], copies: int) -> NDArray[np.float32]:
    """The tokens (copy, row, width) of each member's copies side by side."""
    if copies == 1:
        return tokens
    apart = tokens.reshape(-1, copies, *tokens.shape[1:])
    return np.concatenate([apart[:, copy] for copy in range(copies)], 2)


@torch.no_grad()
def latents(
    network: Network, material: Material, rows: Rows, slots: Sequence[int], evidence: Tensor | None = None
) -> dict[int, NDArray[np.float32]]:
    """The tokens of clustering slots on ``rows``, slot -> (fleet, row, token width), without their decoders."""
    chunks = _chunks(network, material, rows, (), evidence)
    parts = [outputs.tokens[:, list(slots)].cpu().numpy() for _, outputs in chunks]
    whole = np.concatenate(parts, 2)
    copies = network.shape.preset.copies
    return {slot: _beside(whole[:, number], copies) for number, slot in enumerate(slots)}


def _chunks(
    network: Network, material: Material, rows: Rows, slots: Sequence[int] | None, evidence: Tensor | None
) -> Iterator[tuple[Inputs, Outputs]]:
    for begin in range(0, len(rows), CHUNK):
        inputs = material.inputs(torch.from_numpy(rows[begin : begin + CHUNK]).to(material.device), evidence)
        yield inputs, network(inputs, None, slots)


def probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sigmoid in float64, without overflow; keeps the order of the logits up to about 36."""
    return np.where(logits >= 0, 1 / (1 + np.exp(-np.abs(logits))), 1 - 1 / (1 + np.exp(-np.abs(logits))))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax over the last axis in float64."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


@dataclass(frozen=True)
class Grouping:
    """What it takes to group rows: the centres of one member's latent space, and the rows' places in the fixed one."""

    centres: NDArray[np.float32]
    fixed: NDArray[np.float64]


def prediction(
    kind: Kind, raw: Raw, member: int, slot: int, grouping: Grouping | None = None, centre: float = 0.0
) -> Prediction:
    """One member's prediction for one slot; ``centre`` is what outputs of a regression are around.

    Binary: probability (row,); multiclass: probabilities (row, classes); regression: value in the task's unit (row,);
    clustering: cluster number, latent, place in the fixed space and reconstruction error.
    """
    if grouping is not None:
        latent = raw.latents[slot][member]
        return Prediction(
            clusters=assign(latent, grouping.centres),
            latent=latent.astype(np.float64),
            fixed=grouping.fixed,
            reconstruction=raw.errors[slot][member],
        )
    return Prediction(values=in_units(kind, raw.heads[slot][member], centre))


def in_units(kind: Kind, outputs: NDArray[np.float64], centre: float = 0.0) -> NDArray[np.float64]:
    """Outputs (row, outputs) as predictions: probability (row,), probabilities (row, classes), or value (row,) in the
    task's unit, around ``centre``."""
    if kind == "multiclass":
        return softmax(outputs)
    return probability(outputs[:, 0]) if kind == "binary" else outputs[:, 0] + centre


def member(
    raw: Raw,
    number: int,
    tasks: Sequence[str],
    slots: Sequence[Slot],
    groupings: Mapping[int, Grouping],
    models: TaskModels | None,
) -> dict[str, Prediction]:
    """All predictions of one member, by task; ``models`` are the task models that it corrects."""
    centres = {} if models is None else {name: model.centre for name, model in models.models.items()}
    return {
        name: prediction(slots[slot].kind, raw, number, slot, groupings.get(slot), centres.get(name, 0.0))
        for slot, name in enumerate(tasks)
    }


def apply(trained: TrainedNetwork, dataset: Dataset, rows: Rows) -> tuple[dict[str, Prediction], NDArray[np.float64]]:
    """What a trained network says of ``rows`` of a dataset whose sources have the columns it was trained on.

    Gives predictions per task, and the mean attention (task that asks, task that answers). Errors: TrainingError if a
    source or its columns are not those of the training.
    """
    widths = input_widths(dataset, trained.trial.sources)
    if widths != trained.shape.modalities:
        raise TrainingError(
            "the columns are not those the network was trained on",
            where=dataset.name,
            got=", ".join(f"{name} {width}" for name, width in widths),
            expected=", ".join(f"{name} {width}" for name, width in trained.shape.modalities),
            next_step="encode the new tables with the encoders saved beside the network",
        )
    data = material(dataset, trained.trial.sources, rows, rows, scaler=trained.scaler)
    raw = run(trained.network(), data, rows, _evidence(trained, dataset, rows))
    groupings: dict[int, Grouping] = {}
    if trained.space is not None:
        fixed = trained.space.place(data.flat(rows))
        tasks = enumerate(trained.trial.tasks)
        groupings = {n: Grouping(trained.centres[name], fixed) for n, name in tasks if name in trained.centres}
    said = member(raw, 0, trained.trial.tasks, trained.shape.slots, groupings, trained.task_models)
    return said, raw.attention[0]


def _evidence(trained: TrainedNetwork, dataset: Dataset, rows: Rows) -> Tensor | None:
    """What the task models say of ``rows``, among all samples of a dataset (copy, sample, evidence); NaN of others."""
    if trained.task_models is None:
        return None
    blocks = {name: dataset.blocks[name] for name in trained.trial.sources}
    said = trained.task_models.evidence(trained.trial.tasks, blocks, rows)[0]
    among = torch.full((dataset.samples, said.shape[1]), torch.nan)
    among[torch.from_numpy(rows)] = said
    return among.expand(trained.shape.preset.copies, -1, -1)
