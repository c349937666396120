"""Linear layers with a leading fleet axis: many networks of one shape, computed at once."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3h.network.products import WeightLayer, linear, slot_linear


class FleetLinear(WeightLayer):
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
        return linear(x, self, self.weight)


class SlotLinear(WeightLayer):
    """One linear layer per member and task slot. Input (fleet, slots or 1, batch, width)."""

    bias: nn.Parameter

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
        if x.shape[1] == 1 and slots > 1:
            return slot_linear(x[:, 0], self)
        y = linear(x.reshape(fleet * slots, -1, inputs), self, self.weight.view(fleet * slots, outputs, inputs))
        return y.view(fleet, slots, -1, outputs)


def uniform(shape: torch.Size | tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    """Numbers between -bound and bound, drawn on the CPU."""
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound
