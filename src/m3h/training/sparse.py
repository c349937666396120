"""Group lasso along a path of penalties: features come in with all their functions, or stay out.

Minimises the mean loss of the rows + penalty / sqrt(rows) * sum over groups of sqrt(columns) * norm of its weights
(Yuan & Lin 2006). Proximal gradient with momentum (Beck & Teboulle 2009; restarts: O'Donoghue & Candes 2015) on the
groups that are in or ask to come in; all others are looked at after each round, so that none is missed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from m3h.training.objective import CURVATURE, Objective, along, down, largest

#: Rounds for one penalty; steps when groups have just come in, and then on those that stayed.
ROUNDS, FIRST, STEPS = 5, 20, 150
#: Done when each group's gradient vanishes to this share of its penalty; one that is out asks to come in above this.
CLOSE, ASKS = 0.1, 1.02


class SparsePath:
    """One fit along the path, from large penalties to small.

    ``functions`` float32 (columns, row); ``counts`` columns of each group; groups not in ``allowed`` stay out. After
    :meth:`go`, ``weight`` (columns, outputs) and ``bias`` (outputs,) are the fit's.
    """

    def __init__(self, functions: Tensor, counts: Tensor, of: Objective, *, allowed: Tensor | None = None) -> None:
        self.functions, self.of = functions, of
        self.group = torch.repeat_interleave(torch.arange(len(counts)), counts)
        self.root = counts.float().sqrt()
        self.allowed = torch.ones(len(counts), dtype=torch.bool) if allowed is None else allowed
        self.weight = torch.zeros(len(functions), of.outputs)
        self.bias = of.start()

    def adds(self, functions: Tensor) -> Tensor:
        """What functions (columns, row) and bias add up to (row, outputs)."""
        used = torch.nonzero(self.weight.abs().sum(1))[:, 0]
        return down(functions[used], self.weight[used]) + self.bias

    def go(self, penalty: float) -> None:
        """Fit with the next penalty."""
        if len(self.of.truth) == 0:
            return
        limit = penalty / math.sqrt(len(self.of.truth)) * self.root
        for again in range(ROUNDS):
            inside = self._groups(self.weight.abs()) > 0
            asking = (self._gradients() > ASKS * limit) & self.allowed & ~inside
            if again and not asking.any():
                return
            if asking.any():
                self._solve(inside | asking, limit, FIRST)
                inside = self._groups(self.weight.abs()) > 0
            if inside.any():
                self._solve(inside, limit, STEPS)

    def _gradients(self) -> Tensor:
        """The norm of each group's gradient."""
        whole = torch.zeros(self.functions.shape[1], self.of.truth.shape[1])
        whole[self.of.rows] = self.of.residual(self.adds(self.functions)[self.of.rows])
        return self._groups(along(self.functions, whole).square()).sqrt()

    def _groups(self, each: Tensor) -> Tensor:
        """Sums over the columns of a group and the outputs."""
        return torch.zeros(len(self.root)).index_add_(0, self.group, each.sum(1))

    def _solve(self, working: Tensor, limits: Tensor, steps: int) -> None:
        columns = torch.nonzero(working[self.group])[:, 0]
        x = self.functions[columns][:, self.of.rows]
        middle = x.mean(1, keepdim=True)
        x = x - middle  # then bias and weights have no curvature in common
        _, group = torch.unique(self.group[columns], return_inverse=True)
        limit, curvature = limits[working], CURVATURE[self.of.kind]
        rate = 1 / (curvature * largest(x) / x.shape[1] + 1e-12)
        w = self.weight[columns]
        b = self.bias + middle[:, 0] @ w
        z, zb, momentum = w, b, 1.0
        for _ in range(steps):
            residual = self.of.residual(down(x, z) + zb)
            new = _shrunk(z - rate * along(x, residual), rate * limit, group)
            bias = zb - residual.sum(0) / curvature
            moved = _norms(z - new, group, len(limit)) / rate
            if float(((z - new) * (new - w)).sum()) > 0:
                momentum = 1.0
            following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
            ahead = (momentum - 1) / following
            z, zb = new + ahead * (new - w), bias + ahead * (bias - b)
            w, b, momentum = new, bias, following
            if not (moved > CLOSE * limit).any():
                break
        self.weight = torch.zeros_like(self.weight)
        self.weight[columns] = w
        self.bias = b - middle[:, 0] @ w


def _shrunk(w: Tensor, limit: Tensor, group: Tensor) -> Tensor:
    """Each group's weights shortened by its limit, or zero."""
    keep = (1 - limit / _norms(w, group, len(limit)).clamp_min(1e-30)).clamp_min(0)
    return w * keep[group][:, None]


def _norms(w: Tensor, group: Tensor, groups: int) -> Tensor:
    return torch.zeros(groups).index_add_(0, group, w.square().sum(1)).sqrt()
