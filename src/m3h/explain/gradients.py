"""What the network itself adds: integrated gradients (Sundararajan 2017) by Captum, along a straight line from the
training average to the patient.

The line runs through everything the network reads at once: scaled inputs from 0, the training mean and what a missing
value is read as; embeddings of absent modalities from that of the training means to the learned absent vector; and
what task models said, from their base (m3h.explain.terms). What falls to the evidence is handed on to the features
behind it in proportion to their terms, the chain rule of DeepSHAP (Chen 2022, Nature Communications 13: 4512), which
keeps the sum.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3h.core.errors import SettingError
from m3h.core.installing import extra
from m3h.encoders.block import Block
from m3h.network.modality import ModalityNetwork
from m3h.network.network import Network
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]

#: Rows are integrated with the first of these numbers of steps, those whose parts do not add up with the next.
STEPS = (16, 64, 256, 1024)
#: A row's parts add up where they miss what they should explain by no more than this share of its mean size.
TOLERANCE = 0.02
#: Points along lines that the network is asked of at once.
POINTS = 4096


@dataclass(frozen=True)
class Line:
    """Where the network is asked, and from where on: scaled inputs per modality (row, width), from 0; ``absence`` (row,
    modality), 1 where the modality is absent, from 0; ``evidence`` (row, evidence) from ``base`` (evidence,), None
    without task models."""

    values: tuple[Tensor, ...]
    absence: Tensor
    evidence: Tensor | None
    base: Tensor | None

    @property
    def ends(self) -> tuple[Tensor, ...]:
        """Where the lines end."""
        return (*self.values, self.absence, *(() if self.evidence is None else (self.evidence,)))

    @property
    def starts(self) -> tuple[Tensor, ...]:
        """Where they start, one row for all."""
        zeros = [torch.zeros(1, one.shape[1]) for one in (*self.values, self.absence)]
        return (*zeros, *(() if self.base is None else (self.base[None],)))


@dataclass(frozen=True)
class Along:
    """Mean gradients along the lines, of one output by all that the network reads: ``values`` per modality (row,
    width), ``absence`` (row, modality), ``evidence`` (row, evidence) or None; ``start`` the output at the start,
    ``error`` (row,) by how much gradients times differences miss what the output changes."""

    values: tuple[Floats, ...]
    absence: Floats
    evidence: Floats | None
    start: float
    error: Floats


def line(trained: TrainedNetwork, blocks: Mapping[str, Block], evidence: Floats | None, base: Floats | None) -> Line:
    """The lines to all rows of the blocks."""
    values, absence = [], []
    for modality, _ in trained.shape.modalities if trained.shape.embedding else ():
        own = [block for block in blocks.values() if block.modality == modality]
        values.append(torch.from_numpy(np.concatenate([trained.scaler.apply(block) for block in own], 1)))
        absence.append(~np.any([block.present for block in own], axis=0))
    rows = len(next(iter(blocks.values())).present)
    away = np.stack(absence, 1) if absence else np.zeros((rows, 0))
    said = None if evidence is None else torch.from_numpy(evidence.astype(np.float32))
    start = None if base is None else torch.from_numpy(base.astype(np.float32))
    return Line(tuple(values), torch.from_numpy(away.astype(np.float32)), said, start)


def correction(network: Network, slot: int, ends: tuple[Tensor, ...]) -> Tensor:
    """What the network says (row, outputs) for a slot, or by how much it corrects the task model, times its gate: the
    mean over its copies, at any point of the lines."""
    count = len(network.modalities)
    absence = ends[count]
    embeddings = []
    for number, part in enumerate(network.modalities.values()):
        modality = cast(ModalityNetwork, part)
        z = modality.body(ends[number], None)
        embeddings.append(z + absence[None, :, number, None] * (modality.absent[:, None] - z))
    if network.evidence is None:
        plain = _head(network, slot, network.shared(torch.cat(embeddings, -1), None)[:, None])
        return plain.mean(0)
    evidence = ends[count + 1].expand(network.fleet, -1, -1)
    scaled = network.evidence.scaled(evidence)
    if network.grouping is None:
        read = network.shared(torch.cat([scaled, *embeddings], -1), None)[:, None]
    else:
        said, seen = network.shared(scaled, None), network.grouping(torch.cat(embeddings, -1), None)
        clusterings = network.shape.clusterings
        read = torch.stack([seen if k in clusterings else said for k in range(len(network.shape.slots))], 1)
    whole = network.evidence.corrected(evidence, slot, _head(network, slot, read))
    return (whole - network.evidence.own(evidence, slot)).mean(0)


def _head(network: Network, slot: int, read: Tensor) -> Tensor:
    tokens, _ = network.attention(network.tasks(read, None))
    heads: dict[int, Tensor] = network.heads(tokens, [slot])
    return heads[slot]


def integrate(network: Network, slot: int, output: int, along: Line, tolerance: float = TOLERANCE) -> Along:
    """Integrated gradients of one output of a slot. Rows that do not add up within ``tolerance`` are done again with
    more steps, up to the last of :data:`STEPS`; ``error`` says what is left. Errors: SettingError without Captum."""
    ends, starts = along.ends, along.starts
    with torch.no_grad():
        first = correction(network, slot, starts)[0, output].double().item()
        parts = zip(*(torch.split(one, POINTS) for one in ends), strict=True)
        last = torch.cat([correction(network, slot, part)[:, output] for part in parts]).double().numpy()
    change = last - first
    allowed = tolerance * float(np.abs(change).mean())
    left, found = np.arange(len(change)), [np.zeros(one.shape) for one in ends]
    error = np.zeros(len(change))
    for steps in STEPS:
        some = tuple(one[torch.from_numpy(left)] for one in ends)
        means = _mean_gradients(network, slot, output, some, starts, steps)
        explained = np.zeros(len(left))
        for mean, end, start, whole in zip(means, some, starts, found, strict=True):
            whole[left] = mean
            explained += (mean * (end - start).double().numpy()).sum(1)
        error[left] = change[left] - explained
        left = np.flatnonzero(np.abs(error) > allowed)
        if not len(left):
            break
    count = len(along.values)
    evidence = found[count + 1] if along.evidence is not None else None
    return Along(tuple(found[:count]), found[count], evidence, first, error)


def _mean_gradients(
    network: Network, slot: int, output: int, ends: tuple[Tensor, ...], starts: tuple[Tensor, ...], steps: int
) -> list[Floats]:
    """Captum's mean of the gradients at the points of Gauss and Legendre, of each of the ends."""

    # Captum takes no tensors without columns
    filled = [number for number, one in enumerate(ends) if one.shape[1]]

    def of_filled(*points: Tensor) -> Tensor:
        every = [one.new_zeros(len(points[0]), one.shape[1]) for one in ends]
        for number, point in zip(filled, points, strict=True):
            every[number] = point
        return correction(network, slot, tuple(every))[:, output]

    method = captum().IntegratedGradients(of_filled, multiply_by_inputs=False)
    means = method.attribute(
        tuple(ends[number] for number in filled),
        baselines=tuple(starts[number] for number in filled),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=max(POINTS, len(ends[0])),
    )
    found: list[Floats] = [np.zeros(one.shape) for one in ends]
    for number, mean in zip(filled, means, strict=True):
        found[number] = mean.detach().double().numpy()
    return found


def captum() -> Any:
    """Captum's attributions. Errors: SettingError that names the extra where Captum is not installed."""
    try:
        return importlib.import_module("captum.attr")  # untyped, and maybe not there
    except ModuleNotFoundError as error:
        raise SettingError(
            "attributions of a network need a package that is not installed", got=error.name, next_step=extra("explain")
        ) from None
