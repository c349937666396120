"""Matrix products of a fleet, with gradients that are written where they are needed.

Two things make them faster than what autograd would do. The gradient of a weight goes into memory that is kept from
step to step: fresh memory of this size costs a page fault for every 4 KB of it, half of the time at sixteen members of
the paper's size. And products can be done in bfloat16 while weights, sums and everything else stay float32.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

HALF = torch.bfloat16


class Sink:
    """Where the gradient of one weight is written. It becomes the weight's ``grad`` when it is."""

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight = weight
        self.memory = torch.empty_like(weight.data, memory_format=torch.contiguous_format)

    def free(self) -> bool:
        """Whether nothing has been written since the gradients were dropped; then :meth:`filled` gives the memory."""
        return self.weight.grad is None

    def filled(self) -> Tensor:
        """The memory to write the whole gradient into."""
        self.weight.grad = self.memory
        return self.memory


class WeightLayer(nn.Module):
    """A layer with a ``weight`` (fleet, ...) that takes part in matrix products, and a bias or none."""

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(self) -> None:
        super().__init__()
        self.sink: Sink | None = None
        self.low = False

    def train_in(self, half: bool) -> None:
        """Keep memory for the gradient from now on; do products in bfloat16 if ``half``."""
        self.low = half
        self.sink = Sink(self.weight)


def linear(
    x: Float[Tensor, "*fleet batch inputs"], layer: WeightLayer, weight: Float[Tensor, "fleet outputs inputs"]
) -> Float[Tensor, "fleet batch outputs"]:
    """x W^T + bias for every member; ``weight`` is the layer's, or a view of it. x without a fleet axis is shared."""
    bias = layer.bias if layer.bias is None else layer.bias.view(len(weight), -1)
    y: Tensor = _Linear.apply(x, weight, bias, layer.sink, layer.low)
    return y


def slot_linear(
    x: Float[Tensor, "fleet batch inputs"], layer: WeightLayer
) -> Float[Tensor, "fleet slots batch outputs"]:
    """x W^T + bias for every member and slot, of an input all slots share."""
    y: Tensor = _SlotLinear.apply(x, layer.weight, layer.bias, layer.sink, layer.low)
    return y


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, sink: Sink | None, half: bool) -> Tensor:
        x, kept = _lower(x, half), _lower(weight, half)
        left = x if x.dim() == 3 else x.expand(len(weight), *x.shape)
        y = _product(left, kept.transpose(1, 2), bias)
        ctx.save_for_backward(x, kept)
        ctx.sink, ctx.half, ctx.biased = sink, half, bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        own = x.dim() == 3
        left = x if own else x.expand(len(weight), *x.shape)
        low = _lower(g, ctx.half)
        gx = gw = gb = None
        if ctx.needs_input_grad[0]:
            gx = torch.bmm(low, weight).float()
            gx = gx if own else gx.sum(0)
        if ctx.needs_input_grad[1]:
            gw = weight_gradient(low.transpose(1, 2), left, ctx.sink, weight.shape)
        if ctx.biased and ctx.needs_input_grad[2]:
            gb = g.sum(1)
        return gx, gw, gb, None, None


class _SlotLinear(torch.autograd.Function):
    """Products of one slot are one call; so many as to be a call per member where members are fewer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, sink: Sink | None, half: bool) -> Tensor:
        fleet, slots, outputs, _ = weight.shape
        x, kept = _lower(x, half), _lower(weight, half)
        y = bias.new_empty(fleet, slots, x.shape[1], outputs)
        if fleet <= slots:
            for member in range(fleet):
                left = x[member].expand(slots, *x.shape[1:])
                _product(left, kept[member].transpose(1, 2), bias[member], y[member])
        else:
            for slot in range(slots):
                y[:, slot] = _product(x, kept[:, slot].transpose(1, 2), bias[:, slot])
        ctx.save_for_backward(x, kept)
        ctx.sink, ctx.half = sink, half
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        slots = weight.shape[1]
        low = _lower(g, ctx.half)
        gx = gw = None
        if ctx.needs_input_grad[0]:
            # sums over slots stay float32 where products are not
            gx = torch.bmm(low[:, 0], weight[:, 0]).float()
            for slot in range(1, slots):
                if ctx.half:
                    gx += torch.bmm(low[:, slot], weight[:, slot])
                else:
                    gx.baddbmm_(low[:, slot], weight[:, slot])
        if ctx.needs_input_grad[1]:
            gw = _slot_weight_gradient(low, x, ctx.sink, weight.shape)
        return gx, gw, g.sum(2), None, None


def _slot_weight_gradient(g: Tensor, x: Tensor, sink: Sink | None, shape: torch.Size) -> Tensor | None:
    fleet, slots = shape[:2]
    kept = sink is not None and sink.free()
    gw = cast(Sink, sink).filled() if kept else torch.empty(shape, device=x.device)
    if fleet <= slots:
        for member in range(fleet):
            _into(gw[member], g[member].transpose(1, 2), x[member].expand(slots, *x.shape[1:]))
    else:
        for slot in range(slots):
            gw[:, slot] = torch.bmm(g[:, slot].transpose(1, 2), x)
    return None if kept else gw


def weight_gradient(a: Tensor, b: Tensor, sink: Sink | None, shape: torch.Size) -> Tensor | None:
    """The product a b as gradient of a weight: in its sink (then nothing is left to add), or fresh, in ``shape``."""
    if sink is not None and sink.free():
        _into(sink.filled().view(len(a), a.shape[1], b.shape[2]), a, b)
        return None
    return torch.bmm(a, b).float().view(shape)


def _product(a: Tensor, b: Tensor, bias: Tensor | None, out: Tensor | None = None) -> Tensor:
    """a b + bias in float32."""
    if a.dtype == HALF:
        y = torch.bmm(a, b).float()
        y = y if bias is None else y.add_(bias[:, None])
        return y if out is None else out.copy_(y)
    if bias is None:
        return torch.bmm(a, b)
    return torch.baddbmm(bias[:, None], a, b) if out is None else torch.baddbmm(bias[:, None], a, b, out=out)


def _into(memory: Tensor, a: Tensor, b: Tensor) -> None:
    if a.dtype == memory.dtype:
        torch.bmm(a, b, out=memory)
    else:
        memory.copy_(torch.bmm(a, b))


def _lower(x: Tensor, half: bool) -> Tensor:
    return x.to(HALF) if half else x
