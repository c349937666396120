"""Modality networks: the sources of one modality side by side in, one embedding out, a learned one where absent."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from m3h.network.between import Dropout, FleetNorm, between
from m3h.network.layers import FleetLinear
from m3h.study.presets import Preset


class HiddenBlock(nn.Module):
    """Linear - norm - activation - dropout - Linear: the body of the modality networks and of the shared module."""

    def __init__(self, fleet: int, inputs: int, hidden: int, outputs: int, preset: Preset) -> None:
        super().__init__()
        self.into = FleetLinear(fleet, inputs, hidden)
        self.norm = FleetNorm(fleet, hidden) if preset.norm == "layer" else None
        self.out = FleetLinear(fleet, hidden, outputs)
        self.preset = preset

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights a training starts from."""
        self.into.start(generator)
        self.out.start(generator)

    def forward(
        self, x: Float[Tensor, "*fleet batch inputs"], dropout: Dropout | None
    ) -> Float[Tensor, "members batch outputs"]:
        """(fleet, batch, outputs)."""
        y: Tensor = self.out(between(self.into(x), self.norm, self.preset, dropout))
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
        self, x: Float[Tensor, "batch inputs"], absent: Int[Tensor, " rows"] | None, dropout: Dropout | None
    ) -> Float[Tensor, "fleet batch embedding"]:
        """(fleet, batch, modality_width); ``absent`` are the rows without the modality, None if all have it."""
        z: Tensor = self.body(x, dropout)
        if absent is None:
            return z
        filled: Tensor = _Filled.apply(z, self.absent, absent)
        return filled


class _Filled(torch.autograd.Function):
    """Rows of z replaced by one vector per member, in place: the product that z is the result of does not keep it."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, vector: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.mark_dirty(z)
        z[:, rows] = vector[:, None]
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        (rows,) = ctx.saved_tensors
        return g.index_fill(1, rows, 0), g.index_select(1, rows).sum(1), None
