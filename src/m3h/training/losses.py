"""Losses per kind of task, one number per member, and what each kind starts from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from m3h.network.network import Shape
from m3h.study.presets import Preset

#: (outputs (*fleet, batch, width), targets (*fleet, batch)) -> loss per row (*fleet, batch)
RowLoss = Callable[[Tensor, Tensor], Tensor]


def binary(outputs: Float[Tensor, "*fleet batch one"], targets: Float[Tensor, "*fleet batch"]) -> Tensor:
    """Binary cross entropy of logits."""
    return functional.binary_cross_entropy_with_logits(outputs[..., 0], targets, reduction="none")


def multiclass(outputs: Float[Tensor, "*fleet batch classes"], targets: Float[Tensor, "*fleet batch"]) -> Tensor:
    """Negative log-likelihood of log-softmax."""
    return -torch.log_softmax(outputs, -1).gather(-1, targets.long()[..., None])[..., 0]


def regression(outputs: Float[Tensor, "*fleet batch one"], targets: Float[Tensor, "*fleet batch"]) -> Tensor:
    """Absolute error."""
    return (outputs[..., 0] - targets).abs()


def squared(outputs: Float[Tensor, "*fleet batch one"], targets: Float[Tensor, "*fleet batch"]) -> Tensor:
    """Half the squared error."""
    return (outputs[..., 0] - targets).square() / 2


ROW_LOSSES: dict[str, RowLoss] = {"binary": binary, "multiclass": multiclass, "regression": regression}


def row_loss(kind: str, preset: Preset) -> RowLoss:
    """The loss of each row of a task."""
    return squared if kind == "regression" and preset.regression_loss == "squared" else ROW_LOSSES[kind]


def masked_mean(loss: Float[Tensor, "*fleet batch"], known: Bool[Tensor, "*fleet batch"]) -> Float[Tensor, "*fleet"]:
    """Mean over the labelled rows; 0 where there are none."""
    # where, not a product: an unlabelled row's loss may be anything
    total = torch.where(known, loss, 0.0).sum(-1)
    return total / known.sum(-1).clamp_min(1)


def reconstruction(
    outputs: Float[Tensor, "fleet batch inputs"], values: Float[Tensor, "batch inputs"], shape: Shape
) -> Float[Tensor, " fleet"]:
    """Mean squared error of the decoder against the scaled inputs, per member."""
    if shape.preset.reconstruction == "balance":
        widths = [width for _, width in shape.modalities]
        parts = zip(torch.split(outputs, widths, -1), torch.split(values, widths, -1), strict=True)
        return torch.stack([(y - x).square().mean((1, 2)) for y, x in parts]).mean(0)
    return (outputs - values).square().mean((1, 2))


@dataclass(frozen=True)
class Start:
    """Where a head starts: a bias per output, and the scale of the targets (1 unless the preset scales them)."""

    bias: tuple[float, ...] | None = None
    scale: float = 1.0
    warning: str = ""


def start_binary(labels: NDArray[np.float64], width: int, preset: Preset) -> Start:
    """Log-odds of the positive share if the positives are rarer than the preset's threshold.

    The log-odds, log(n_pos / n_neg), is the bias whose sigmoid is the share.
    """
    positives, negatives = float((labels == 1).sum()), float((labels == 0).sum())
    warning = ""
    if positives == 0 or negatives == 0:
        warning = "only one class among the rows trained on"
        positives, negatives = positives + 0.5, negatives + 0.5
    rare = positives / (positives + negatives) < preset.bias_start
    return Start(bias=(math.log(positives / negatives),) if rare else None, warning=warning)


def start_multiclass(labels: NDArray[np.float64], width: int, preset: Preset) -> Start:
    """Log shares of the classes, where the preset asks for it; a class without a row counts half a row."""
    if not preset.multiclass_start:
        return Start()
    counts = np.bincount(labels.astype(np.int64), minlength=width).astype(np.float64)
    counts[counts == 0] = 0.5
    return Start(bias=tuple(np.log(counts / counts.sum()).tolist()))


def start_regression(labels: NDArray[np.float64], width: int, preset: Preset) -> Start:
    """The median of the labels, which is where absolute error is least."""
    if len(labels) == 0:
        return Start()
    # task models are in units of the deviation
    by_deviation = preset.target_scale == "deviation" or preset.additive
    deviation = float(labels.std()) if by_deviation else 1.0
    scale = deviation if deviation > 0 else 1.0
    return Start(bias=(float(np.median(labels)) / scale,) if preset.regression_start else None, scale=scale)


STARTS: dict[str, Callable[[NDArray[np.float64], int, Preset], Start]] = {
    "binary": start_binary,
    "multiclass": start_multiclass,
    "regression": start_regression,
}
