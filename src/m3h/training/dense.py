"""Ridge along a path of penalties: every feature a little, for sources where many say something.

Minimises the mean loss of the rows + penalty * features / (2 rows) * the squared norm of the weights. Gradient steps
with momentum (Nesterov 1983), restarted where it points uphill (O'Donoghue & Candes 2015).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from m3h.training.objective import CURVATURE, Objective, along, down, largest

#: Steps for one penalty, and the relative change of the weights that ends them.
STEPS, CHANGE = 80, 1e-3


class DensePath:
    """One fit along the path. ``functions`` float32 (columns, row) of so many ``features``; after :meth:`go`,
    ``weight`` (columns, outputs) and ``bias`` (outputs,) are the fit's."""

    def __init__(self, functions: Tensor, features: int, of: Objective) -> None:
        self.functions, self.of, self.features = functions, of, features
        self.steepest = 0.0
        self.weight = torch.zeros(len(functions), of.outputs)
        self.bias = of.start()

    def adds(self, functions: Tensor) -> Tensor:
        """What functions (columns, row) and bias add up to (row, outputs)."""
        return down(functions, self.weight) + self.bias

    def go(self, penalty: float) -> None:
        """Fit with the next penalty."""
        rows = len(self.of.rows)
        if rows == 0 or len(self.weight) == 0:
            return
        x = self.functions[:, self.of.rows]  # not kept: the folds' together would take several times the functions
        middle = x.mean(1, keepdim=True)
        x -= middle  # then bias and weights have no curvature in common
        self.steepest = self.steepest or largest(x) / rows
        curvature, ridge = CURVATURE[self.of.kind], penalty * self.features / rows
        rate = 1 / (curvature * self.steepest + ridge)
        w = self.weight
        b = self.bias + middle[:, 0] @ w
        z, zb, momentum = w, b, 1.0
        for _ in range(STEPS):
            residual = self.of.residual(down(x, z) + zb)
            new = z - rate * (along(x, residual) + ridge * z)
            bias = zb - residual.sum(0) / curvature
            if float(((z - new) * (new - w)).sum()) > 0:
                momentum = 1.0
            following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
            ahead = (momentum - 1) / following
            moved = float((new - w).norm())
            z, zb = new + ahead * (new - w), bias + ahead * (bias - b)
            w, b, momentum = new, bias, following
            if moved <= CHANGE * float(w.norm()):
                break
        self.weight, self.bias = w, b - middle[:, 0] @ w
