"""What additive models are fitted to: the labelled rows of one task and fold, their loss and its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from m3h.study.task import Kind

#: Bound of the second derivative of each kind's loss by an output.
CURVATURE: dict[Kind, float] = {"binary": 0.25, "multiclass": 0.5, "regression": 1.0}


class Objective:
    """The mean loss over the labelled ones of ``fitted`` rows: cross entropy, or half the squared error.

    ``y`` (row,) numbers, NaN = unlabelled; ``fitted`` bool (row,); ``offset`` (row, outputs) is added to all outputs.
    """

    def __init__(
        self, y: NDArray[np.float64], kind: Kind, outputs: int, fitted: NDArray[np.bool_], offset: Tensor | None = None
    ) -> None:
        rows = np.flatnonzero(fitted & ~np.isnan(y))
        self.rows, self.kind, self.outputs = torch.from_numpy(rows), kind, outputs
        labels = torch.from_numpy(y[rows])
        whole = functional.one_hot(labels.long(), outputs) if kind == "multiclass" else labels[:, None]
        self.truth = whole.float()
        self.offset = None if offset is None else offset[self.rows]

    def start(self) -> Tensor:
        """The bias of a model without features: log-odds, log shares, or the mean; 0 on top of an offset."""
        if self.offset is not None:
            return torch.zeros(self.outputs)
        if self.kind == "regression":
            return self.truth.sum(0) / max(1, len(self.truth))
        share = (self.truth.sum(0) + 0.5) / (len(self.truth) + 1.0)
        return torch.log(share / (1 - share)) if self.kind == "binary" else torch.log(share)

    def residual(self, outputs: Tensor) -> Tensor:
        """The gradient of the mean loss by the rows' outputs (row, outputs)."""
        if self.offset is not None:
            outputs = outputs + self.offset
        if self.kind != "regression":
            outputs = torch.sigmoid(outputs) if self.kind == "binary" else torch.softmax(outputs, 1)
        return (outputs - self.truth) / len(self.truth)


def row_losses(kind: Kind, outputs: Tensor, y: NDArray[np.float64]) -> Tensor:
    """Losses (labelled row,) of outputs (row, outputs) and y (row,), NaN = unlabelled; of regressions the squared
    error."""
    known = ~np.isnan(y)
    out, truth = outputs[torch.from_numpy(known)].double(), torch.from_numpy(y[known])
    if kind == "binary":
        return functional.binary_cross_entropy_with_logits(out[:, 0], truth, reduction="none")
    if kind == "multiclass":
        return functional.cross_entropy(out, truth.long(), reduction="none")
    return (out[:, 0] - truth).square()


def mean_loss(kind: Kind, outputs: Tensor, y: NDArray[np.float64]) -> float:
    """Mean of :func:`row_losses`, lower is better; NaN without labels."""
    return float(row_losses(kind, outputs, y).mean())


def best_beyond_doubt(losses: Sequence[NDArray[np.float64]], patients: NDArray[np.int64], doubt: float) -> int:
    """Which of several choices has the least mean of its losses (row,), if it is less than the first's by more than
    ``doubt`` standard errors of the difference; else 0. The best of several choices is so partly by chance. Rows of
    one of the ``patients`` (row,) speak together: of many rows a few patients may decide, and that is no proof."""
    best = int(np.argmin([loss.mean() for loss in losses]))
    gain = losses[0] - losses[best]
    by_patient = np.bincount(patients, gain - gain.mean())
    return best if gain.sum() > doubt * math.sqrt(np.square(by_patient).sum()) else 0


def down(x: Tensor, w: Tensor) -> Tensor:
    """x^T w for x (columns, row) and few columns of w: this way around it takes a fifth of the time."""
    return (w.T @ x).T


def along(x: Tensor, w: Tensor) -> Tensor:
    """x w, likewise."""
    return (w.T @ x.T).T


def largest(x: Tensor) -> float:
    """The largest eigenvalue of x x^T, a little above."""
    v = torch.full((len(x),), 1 / math.sqrt(len(x)))
    value = 0.0
    for _ in range(20):
        v = x @ (x.T @ v)
        value = float(v.norm())
        v = v / max(value, 1e-30)
    return 1.05 * value
