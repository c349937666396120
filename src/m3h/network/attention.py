"""Cross-task attention: every task asks all tasks, with a bonus for itself (the paper's algorithm 1)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from m3h.network.layers import uniform
from m3h.study.presets import Preset


class CrossTaskAttention(nn.Module):
    """W = softmax over answering tasks of (beta I + alpha M / max M), O = W V; one head, no residual, no norm.

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
        values = torch.bmm(x.reshape(fleet, slots * batch, width), self.value).view(fleet, slots, batch, width)
        if slots == 1:  # the softmax of one entry is 1
            return values, x.new_ones(fleet, batch, 1, 1)
        # (token W_Q) (x W_K)^T, with W_K moved to the side that has no batch axis
        # and filled up with queries of zeros: a product of very few rows rounds by the number of threads
        asking = functional.pad(self.token, (0, 0, 0, -slots % 16))
        asking = torch.bmm(torch.bmm(asking, self.query), self.key.transpose(1, 2))[:, :slots]
        match = torch.bmm(x.reshape(fleet, slots * batch, width), asking.transpose(1, 2))
        match = match.view(fleet, slots, batch, slots).permute(0, 2, 3, 1)
        weights = softmax(self.identity(slots, x) + self.preset.alpha * self.scaled(match))  # asks, answers
        mixed = torch.matmul(weights, values.transpose(1, 2))  # (fleet, batch, slots, width)
        return mixed.transpose(1, 2), weights

    def identity(self, slots: int, like: Tensor) -> Tensor:
        """beta I: the bonus of a task for itself. With beta "log" its weight does not fade as tasks are added."""
        beta = self.preset.beta
        bonus = (1 + math.log(slots - 1) if slots > 2 else 1.0) if beta == "log" else float(beta)
        return torch.eye(slots, device=like.device, dtype=like.dtype) * bonus

    def scaled(self, match: Float[Tensor, "fleet batch slots slots"]) -> Float[Tensor, "fleet batch slots slots"]:
        """M over its maximum, taken per sample, per row or over the batch; never above 1 in size unless literal."""
        axes = {"sample": (2, 3), "row": (3,), "batch": (1, 2, 3)}[self.preset.scope]
        if self.preset.scale == "absolute":
            top = match.abs().amax(axes, keepdim=True).clamp_min(1e-6)
        else:
            top = match.amax(axes, keepdim=True)
            top = torch.where(top.abs() < 1e-6, torch.full_like(top, 1e-6), top)
        return match / (top.detach() if self.preset.detach_maximum else top)


def softmax(scores: Float[Tensor, "*batch answers"]) -> Float[Tensor, "*batch answers"]:
    """Softmax over the last axis in plain steps: the library's own gradient rounds by the number of threads."""
    raised = torch.exp(scores - scores.detach().amax(-1, keepdim=True))
    return raised / raised.sum(-1, keepdim=True)
