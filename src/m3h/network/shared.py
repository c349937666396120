"""The shared module and the task networks: one representation of the patient, one token per task."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3h.network.between import ACTIVATIONS, Dropout, between
from m3h.network.layers import SlotLinear
from m3h.network.modality import HiddenBlock
from m3h.study.presets import Preset


class SharedModule(nn.Module):
    """All modality embeddings side by side in, one representation of the patient out."""

    def __init__(self, fleet: int, inputs: int, preset: Preset) -> None:
        super().__init__()
        self.body = HiddenBlock(fleet, inputs, preset.shared_width, preset.shared_width, preset)
        self.activation = ACTIVATIONS[preset.activation]

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights a training starts from."""
        self.body.start(generator)

    def forward(
        self, z: Float[Tensor, "fleet batch inputs"], dropout: Dropout | None
    ) -> Float[Tensor, "fleet batch shared"]:
        """(fleet, batch, shared_width)."""
        return self.activation(self.body(z, dropout))


class TaskNetworks(nn.Module):
    """One small network per task slot: the shared representation in, the task's token out."""

    def __init__(self, fleet: int, slots: int, preset: Preset) -> None:
        super().__init__()
        self.into = SlotLinear(fleet, slots, preset.shared_width, preset.task_hidden)
        self.out = SlotLinear(fleet, slots, preset.task_hidden, preset.token_width)
        self.preset = preset

    def start_slot(self, slot: int, generator: torch.Generator) -> None:
        """Draw one slot's weights."""
        self.into.start(slot, generator)
        self.out.start(slot, generator)

    def forward(
        self, s: Float[Tensor, "fleet batch shared"], dropout: Dropout | None
    ) -> Float[Tensor, "fleet slots batch token"]:
        """(fleet, slots, batch, token_width)."""
        y: Tensor = self.out(between(self.into(s[:, None]), None, self.preset, dropout))
        return y
