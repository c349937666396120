"""The shared module and the task networks: one representation of the patient, one token per task."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3h.network.between import ACTIVATIONS, Dropout, FleetNorm, between
from m3h.network.layers import FleetLinear, SlotLinear
from m3h.network.modality import HiddenBlock
from m3h.study.presets import Preset


class SharedModule(nn.Module):
    """All that is known of the patient side by side in, one representation of the patient out."""

    def __init__(self, fleet: int, inputs: int, preset: Preset) -> None:
        super().__init__()
        width = preset.shared_width
        self.preset = preset
        self.body = HiddenBlock(fleet, inputs, width, width, preset) if preset.shared_deep else None
        self.into = None if preset.shared_deep else FleetLinear(fleet, inputs, width)
        self.norm = FleetNorm(fleet, width) if not preset.shared_deep and preset.norm == "layer" else None
        self.activation = ACTIVATIONS[preset.activation]

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights a training starts from."""
        for part in (self.body, self.into):
            if part is not None:
                part.start(generator)

    def forward(
        self, z: Float[Tensor, "fleet batch inputs"], dropout: Dropout | None
    ) -> Float[Tensor, "fleet batch shared"]:
        """(fleet, batch, shared_width)."""
        if self.into is not None:
            return between(self.into(z), self.norm, self.preset, dropout)
        assert self.body is not None
        return self.activation(self.body(z, dropout))


class TaskNetworks(nn.Module):
    """One small network per task slot: the shared representation in, the task's token out."""

    def __init__(self, fleet: int, slots: int, preset: Preset) -> None:
        super().__init__()
        hidden = preset.task_hidden
        self.into = SlotLinear(fleet, slots, preset.shared_width, hidden) if hidden else None
        self.out = SlotLinear(fleet, slots, hidden or preset.shared_width, preset.token_width)
        self.preset = preset

    def start_slot(self, slot: int, generator: torch.Generator) -> None:
        """Draw one slot's weights."""
        if self.into is not None:
            self.into.start(slot, generator)
        self.out.start(slot, generator)

    def forward(
        self, s: Float[Tensor, "fleet read batch shared"], dropout: Dropout | None
    ) -> Float[Tensor, "fleet slots batch token"]:
        """(fleet, slots, batch, token_width) of what each slot reads, or of one that all read."""
        hidden = s if self.into is None else between(self.into(s), None, self.preset, dropout)
        y: Tensor = self.out(hidden)
        return y
