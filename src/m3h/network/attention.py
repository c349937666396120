"""Cross-task attention: every task asks all tasks, with a bonus for itself (the paper's algorithm 1)."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from m3h.network.layers import uniform
from m3h.study.presets import Preset

#: |M| counts as at least this much.
SMALLEST = 1e-6
#: Up to so many tasks are mixed one by one, and up to so many members have products of their own.
FEW = 3
MANY = 64


class CrossTaskAttention(nn.Module):
    """W = softmax over answering tasks of (beta I + alpha M / max M), O = W V; one head, no norm. With the preset's
    ``residual`` O is added to the task's own token.

    The query is one vector per task and does not depend on the sample. W_Q, W_K, W_V have no bias.
    """

    def __init__(self, fleet: int, slots: int, preset: Preset) -> None:
        super().__init__()
        width = preset.token_width
        self.token = nn.Parameter(torch.empty(fleet, slots, width))
        self.query = nn.Parameter(torch.empty(fleet, width, width))
        self.key = nn.Parameter(torch.empty(fleet, width, width))
        self.value = nn.Parameter(torch.empty(fleet, width, width))
        self.preset = preset

    def start(self, generator: torch.Generator) -> None:
        """Draw W_Q, W_K and W_V as PyTorch does for linear layers."""
        bound = 1 / math.sqrt(self.query.shape[-1])
        with torch.no_grad():
            for weight in (self.query, self.key, self.value):
                weight.copy_(uniform(weight.shape[1:], bound, generator))

    def start_slot(self, slot: int, generator: torch.Generator) -> None:
        """Draw one task's token, as PyTorch does for embeddings."""
        with torch.no_grad():
            self.token[:, slot] = torch.randn(self.token.shape[-1], generator=generator)

    def forward(
        self, x: Float[Tensor, "fleet slots batch width"]
    ) -> tuple[Float[Tensor, "fleet slots batch width"], Float[Tensor, "fleet batch slots slots"]]:
        """O (fleet, slots, batch, width) and the weights (fleet, batch, task that asks, task that answers)."""
        fleet, slots, batch, width = x.shape
        flat = x.reshape(fleet, slots * batch, width)
        values = torch.bmm(flat, self.value).view(fleet, slots, batch, width)
        if slots == 1:  # the softmax of one entry is 1
            return x + values if self.preset.residual else values, x.new_ones(fleet, batch, 1, 1)
        # (token W_Q) (x W_K)^T, with W_K moved to the side that has no batch axis
        # and filled up with queries of zeros: a product of very few rows rounds by the number of threads
        asking = functional.pad(self.token, (0, 0, 0, -slots % 16))
        asking = torch.bmm(torch.bmm(asking, self.query), self.key.transpose(1, 2))[:, :slots]
        match = torch.bmm(flat, asking.transpose(1, 2)).view(fleet, slots, batch, slots)  # answers, batch, asks
        if (self.preset.scope, self.preset.scale) == ("sample", "absolute"):
            weights = _Weights.apply(match, self.preset.alpha, self.bonus(slots), self.preset.detach_maximum)
        else:
            scaled = self.scaled(match.permute(0, 2, 3, 1))
            identity = torch.eye(slots, device=x.device) * self.bonus(slots)
            weights = softmax(identity + self.preset.alpha * scaled).permute(0, 3, 1, 2)
        mixed = _Mix.apply(weights, values)
        return x + mixed if self.preset.residual else mixed, weights.permute(0, 2, 3, 1)

    def bonus(self, slots: int) -> float:
        """beta: the bonus of a task for itself. With beta "log" its weight does not fade as tasks are added."""
        beta = self.preset.beta
        return (1 + math.log(slots - 1) if slots > 2 else 1.0) if beta == "log" else float(beta)

    def scaled(self, match: Float[Tensor, "fleet batch slots slots"]) -> Float[Tensor, "fleet batch slots slots"]:
        """M over its maximum, taken per sample, per row or over the batch; never above 1 in size unless literal."""
        axes = {"sample": (2, 3), "row": (3,), "batch": (1, 2, 3)}[self.preset.scope]
        if self.preset.scale == "absolute":
            top = match.abs().amax(axes, keepdim=True).clamp_min(SMALLEST)
        else:
            top = match.amax(axes, keepdim=True)
            top = torch.where(top.abs() < SMALLEST, torch.full_like(top, SMALLEST), top)
        return match / (top.detach() if self.preset.detach_maximum else top)


def softmax(scores: Float[Tensor, "*batch answers"]) -> Float[Tensor, "*batch answers"]:
    """Softmax over the last axis in plain steps: the library's own gradient rounds by the number of threads."""
    raised = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
    return raised / raised.sum(-1, keepdim=True)


class _Weights(torch.autograd.Function):
    """Softmax over the answering tasks of beta I + alpha M / max |M| of each sample, for M and the result as (fleet,
    answers, batch, asks). The scores are bounded, so no maximum need be taken off before the exponential."""

    @staticmethod
    def forward(ctx: Any, match: Tensor, alpha: float, beta: float, detach: bool) -> Tensor:
        by_answer = match.abs().amax(3)  # (fleet, answers, batch)
        top, answer = by_answer.max(1)  # (fleet, batch)
        factor = alpha / top.clamp_min(SMALLEST)
        scores = match * factor[:, None, :, None]
        weights = scores.clone()
        weights.diagonal(dim1=1, dim2=3).add_(beta)
        weights.exp_()
        weights.div_(weights.sum(1, keepdim=True))
        ctx.save_for_backward(scores, weights, factor, answer, top)
        ctx.alpha, ctx.detach = alpha, detach
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        scores, weights, factor, answer, top = ctx.saved_tensors
        d = g * weights
        d.addcmul_(weights, d.sum(1, keepdim=True), value=-1)
        if ctx.detach or ctx.alpha == 0:
            return d.mul_(factor[:, None, :, None]), None, None, None
        through = (d * scores).sum((1, 3)) * (top > SMALLEST) / ctx.alpha  # (fleet, batch): what the maximum receives
        # the largest entry of each sample: in row `answer`, found again among the tasks that ask
        place = answer[:, None, :, None].expand(-1, 1, -1, scores.shape[3])
        row = scores.gather(1, place)
        asks = row.abs().argmax(3, keepdim=True)
        taken = torch.zeros_like(row).scatter_(3, asks, (row.gather(3, asks).sign() * through[:, None, :, None]))
        d.scatter_add_(1, place, -taken)
        return d.mul_(factor[:, None, :, None]), None, None, None


class _Mix(torch.autograd.Function):
    """O[i] = sum over j of W[i, j] V[j]: weights (fleet, answers, batch, asks), values (fleet, answers, batch, width).

    A few tasks are mixed one by one; of many, each sample's are a small product of matrices. Products are called member
    by member, because so no operand needs a copy."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, values)
        slots = values.shape[1]
        if slots > FEW:
            return _by_sample(weights.permute(0, 2, 3, 1), values.transpose(1, 2)).transpose(1, 2)
        mixed = values.new_zeros(values.shape)
        for asks in range(slots):
            for answers in range(slots):
                mixed[:, asks].addcmul_(weights[:, answers, :, asks, None], values[:, answers])
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        weights, values = ctx.saved_tensors
        slots = values.shape[1]
        if slots > FEW:
            each = g.transpose(1, 2)  # (fleet, batch, asks, width)
            gw = _by_sample(values.transpose(1, 2), each.transpose(2, 3)).transpose(1, 2)
            gv = _by_sample(weights.permute(0, 2, 1, 3), each).transpose(1, 2)
            return gw.contiguous(), gv.contiguous()
        gw, gv = torch.empty_like(weights), torch.zeros_like(values)
        for asks in range(slots):
            for answers in range(slots):
                gw[:, answers, :, asks] = (g[:, asks] * values[:, answers]).sum(-1)
                gv[:, answers].addcmul_(weights[:, answers, :, asks, None], g[:, asks])
        return gw, gv


def _by_sample(a: Tensor, b: Tensor) -> Tensor:
    """a b for (fleet, batch, n, m) and (fleet, batch, m, k)."""
    if len(a) > MANY:
        return torch.matmul(a, b)
    y = a.new_empty(*a.shape[:3], b.shape[3])
    for member in range(len(a)):
        torch.bmm(a[member], b[member], out=y[member])
    return y
