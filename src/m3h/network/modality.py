"""Modality networks: the sources of one modality side by side in, one embedding out, a learned one where absent."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from m3h.network.layers import ACTIVATIONS, Dropout, FleetLinear, FleetNorm
from m3h.study.presets import Preset


class HiddenBlock(nn.Module):
    """Linear - norm - activation - dropout - Linear: the body of the modality networks and of the shared module."""

    def __init__(self, fleet: int, inputs: int, hidden: int, outputs: int, preset: Preset) -> None:
        super().__init__()
        self.into = FleetLinear(fleet, inputs, hidden)
        self.norm: nn.Module = FleetNorm(fleet, hidden) if preset.norm == "layer" else nn.Identity()
        self.out = FleetLinear(fleet, hidden, outputs)
        self.activation = ACTIVATIONS[preset.activation]

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights a training starts from."""
        self.into.start(generator)
        self.out.start(generator)

    def forward(
        self, x: Float[Tensor, "*fleet batch inputs"], dropout: Dropout | None
    ) -> Float[Tensor, "members batch outputs"]:
        """(fleet, batch, outputs)."""
        hidden = self.activation(self.norm(self.into(x)))
        y: Tensor = self.out(hidden if dropout is None else dropout(hidden))
        return y


class ModalityNetwork(nn.Module):
    """z = f(x) where the modality is present, a learned vector where it is not: zeros must not pose as data."""

    def __init__(self, fleet: int, inputs: int, hidden: int, preset: Preset) -> None:
        super().__init__()
        self.body = HiddenBlock(fleet, inputs, hidden, preset.modality_width, preset)
        self.absent = nn.Parameter(torch.empty(fleet, preset.modality_width))

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights a training starts from; the absent vector starts at 0, between all patients."""
        self.body.start(generator)
        with torch.no_grad():
            self.absent.zero_()

    def forward(
        self, x: Float[Tensor, "batch inputs"], present: Bool[Tensor, " batch"], dropout: Dropout | None
    ) -> Float[Tensor, "fleet batch embedding"]:
        """(fleet, batch, modality_width)."""
        return torch.where(present[:, None], self.body(x, dropout), self.absent[:, None])
