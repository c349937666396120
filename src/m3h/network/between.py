"""Between two products: normalisation, activation, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from m3h.study.presets import Preset

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
#: Dropout masks are drawn with 16 random bits an entry.
STEPS = 1 << 16
EPSILON = 1e-5


class Dropout:
    """Dropout masks of one forward pass, drawn once and shared by all members of the fleet.

    Drawn on the CPU in the order of the calls, so that every device and every fleet size sees the same masks.
    """

    def __init__(self, rate: float, generator: np.random.Generator) -> None:
        self.lost = round(rate * STEPS)
        self.scale = 1 / (1 - self.lost / STEPS)
        self.generator = generator

    def mask(self, x: Float[Tensor, "fleet *slots batch width"]) -> Float[Tensor, "*slots batch width"] | None:
        """What the entries of ``x`` are multiplied by: 0 with the given rate, else what keeps the mean; None for 1."""
        return None if self.lost == 0 else self._draw(x.shape[1:]).to(x.device)

    def _draw(self, shape: torch.Size) -> Tensor:
        bits = self.generator.bit_generator.random_raw(-(-shape.numel() // 4))
        keep = bits.astype("<u8", copy=False).view("<u2")[: shape.numel()] >= self.lost
        return torch.from_numpy(keep.astype(np.float32) * np.float32(self.scale)).view(shape)

    def __call__(self, x: Float[Tensor, "fleet *slots batch width"]) -> Float[Tensor, "fleet *slots batch width"]:
        """``x`` with a share of its entries set to 0 and the others raised to keep the mean."""
        mask = self.mask(x)
        return x if mask is None else x * mask


class FleetNorm(nn.Module):
    """Layer normalisation with weights of its own for each member."""

    def __init__(self, fleet: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(fleet, width))
        self.bias = nn.Parameter(torch.zeros(fleet, width))

    def forward(self, x: Float[Tensor, "fleet batch width"]) -> Float[Tensor, "fleet batch width"]:
        """Mean 0 and variance 1 over the width, then scaled and shifted."""
        y = functional.layer_norm(x, x.shape[-1:], eps=EPSILON)
        return torch.addcmul(self.bias[:, None], y, self.weight[:, None])


def between(
    x: Float[Tensor, "fleet *slots batch width"], norm: FleetNorm | None, preset: Preset, dropout: Dropout | None
) -> Float[Tensor, "fleet *slots batch width"]:
    """Dropout of the activation of the normalised x."""
    if preset.activation != "relu":
        y = ACTIVATIONS[preset.activation](x if norm is None else norm(x))
        return y if dropout is None else dropout(y)
    mask = None if dropout is None else dropout.mask(x)
    scale = 1.0 if mask is None or dropout is None else dropout.scale
    done: Tensor
    if norm is None:
        done = _ReluDropout.apply(x, mask, scale)
    else:
        done = _NormReluDropout.apply(x, norm.weight, norm.bias, mask, scale)
    return done


class _ReluDropout(torch.autograd.Function):
    """An entry that is above 0 afterwards was neither cut nor dropped, so the backward pass needs no mask."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        y = torch.relu(x)
        if mask is not None:
            y.mul_(mask)
        ctx.save_for_backward(y)
        ctx.scale = scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        d = torch.ops.aten.threshold_backward(g, y, 0)
        return (d if ctx.scale == 1 else d.mul_(ctx.scale)), None, None


class _NormReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        plain, mean, deviation = torch.native_layer_norm(x, x.shape[-1:], None, None, EPSILON)
        y = torch.addcmul(bias[:, None], plain, weight[:, None]).relu_()
        if mask is not None:
            y.mul_(mask)
        ctx.save_for_backward(x, plain, mean, deviation, y, weight)
        ctx.scale = scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, plain, mean, deviation, y, weight = ctx.saved_tensors
        d = torch.ops.aten.threshold_backward(g, y, 0)
        gw = gb = None
        if ctx.needs_input_grad[1]:
            gb = d.sum(1).mul_(ctx.scale)
            gw = (plain * d).sum(1).mul_(ctx.scale)
        d.mul_((weight * ctx.scale)[:, None])
        # the library's gradients of weight and bias round by the number of threads, the input's does not
        gx = torch.ops.aten.native_layer_norm_backward(
            d, x, x.shape[-1:], mean, deviation, None, None, [True, False, False]
        )[0]
        return gx, gw, gb, None, None
