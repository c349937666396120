"""Layers with a leading fleet axis: many networks of one shape, computed at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


class Dropout:
    """Dropout masks of one forward pass, drawn once and shared by all members of the fleet.

    Drawn on the CPU in the order of the calls, so that every device and every fleet size sees the same masks.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        self.rate = rate
        self.generator = generator

    def __call__(self, x: Float[Tensor, "fleet *slots batch width"]) -> Float[Tensor, "fleet *slots batch width"]:
        """``x`` with a share ``rate`` of its entries set to 0 and the others raised to keep the mean."""
        if self.rate == 0:
            return x
        keep = torch.rand(x.shape[1:], generator=self.generator) >= self.rate
        return x * keep.to(x.device, x.dtype).mul_(1 / (1 - self.rate))


class FleetLinear(nn.Module):
    """One linear layer per member. Input (fleet, batch, width), or (batch, width) shared by the whole fleet."""

    def __init__(self, fleet: int, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(fleet, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(fleet, outputs)) if bias else None

    def start(self, generator: torch.Generator) -> None:
        """PyTorch's own start for linear layers, the same for every member."""
        _, outputs, inputs = self.weight.shape
        bound = 1 / math.sqrt(inputs)
        with torch.no_grad():
            self.weight.copy_(uniform((outputs, inputs), bound, generator))
            if self.bias is not None:
                self.bias.copy_(uniform((outputs,), bound, generator))

    def forward(self, x: Float[Tensor, "*fleet batch inputs"]) -> Float[Tensor, "members batch outputs"]:
        """(fleet, batch, outputs)."""
        fleet, outputs, inputs = self.weight.shape
        if x.dim() == 2:
            # an input all members share: the whole fleet is one matrix product
            y = functional.linear(x, self.weight.reshape(fleet * outputs, inputs))
            y = y.view(len(x), fleet, outputs).transpose(0, 1)
            return y if self.bias is None else y + self.bias[:, None]
        if self.bias is None:
            return torch.bmm(x, self.weight.transpose(1, 2))
        return torch.baddbmm(self.bias[:, None], x, self.weight.transpose(1, 2))


class SlotLinear(nn.Module):
    """One linear layer per member and task slot. Input (fleet, slots or 1, batch, width)."""

    def __init__(self, fleet: int, slots: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(fleet, slots, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(fleet, slots, outputs))

    def start(self, slot: int, generator: torch.Generator) -> None:
        """PyTorch's own start for linear layers, for one slot."""
        bound = 1 / math.sqrt(self.weight.shape[-1])
        with torch.no_grad():
            self.weight[:, slot] = uniform(self.weight.shape[2:], bound, generator)
            self.bias[:, slot] = uniform(self.bias.shape[2:], bound, generator)

    def forward(self, x: Float[Tensor, "fleet slots batch inputs"]) -> Float[Tensor, "fleet slots2 batch outputs"]:
        """(fleet, slots, batch, outputs)."""
        fleet, slots, outputs, inputs = self.weight.shape
        batch = x.shape[2]
        if x.shape[1] == 1:
            # an input all slots share: one product per member instead of one per slot
            y = torch.bmm(x[:, 0], self.weight.view(fleet, slots * outputs, inputs).transpose(1, 2))
            return y.view(fleet, batch, slots, outputs).transpose(1, 2) + self.bias[:, :, None]
        y = torch.baddbmm(
            self.bias.view(fleet * slots, 1, outputs),
            x.reshape(fleet * slots, batch, inputs),
            self.weight.view(fleet * slots, outputs, inputs).transpose(1, 2),
        )
        return y.view(fleet, slots, batch, outputs)


class FleetNorm(nn.Module):
    """Layer normalisation with weights of its own for each member."""

    def __init__(self, fleet: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(fleet, width))
        self.bias = nn.Parameter(torch.zeros(fleet, width))

    def forward(self, x: Float[Tensor, "fleet batch width"]) -> Float[Tensor, "fleet batch width"]:
        """Mean 0 and variance 1 over the width, then scaled and shifted."""
        y = functional.layer_norm(x, x.shape[-1:])
        return torch.addcmul(self.bias[:, None], y, self.weight[:, None])


def uniform(shape: torch.Size | tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Numbers between -bound and bound, drawn on the CPU."""
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound
