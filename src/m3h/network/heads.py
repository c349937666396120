"""Heads: a task's token to its logit, log-odds per class or value; and the decoder of the clustering task."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from m3h.network.between import ACTIVATIONS
from m3h.network.layers import FleetLinear
from m3h.study.presets import Preset


class Heads(nn.Module):
    """One linear head per slot. A head per slot, not one tensor for all: a loss must leave other heads untouched."""

    def __init__(self, fleet: int, widths: Sequence[int], inputs: int) -> None:
        super().__init__()
        self.slots = nn.ModuleDict(
            {str(slot): FleetLinear(fleet, inputs, width) for slot, width in enumerate(widths) if width}
        )

    def head(self, slot: int) -> FleetLinear:
        """The head of a slot."""
        return cast(FleetLinear, self.slots[str(slot)])

    def forward(
        self, tokens: Float[Tensor, "fleet slots batch inputs"], slots: Sequence[int]
    ) -> dict[int, Float[Tensor, "fleet batch outputs"]]:
        """Output (fleet, batch, outputs) of each of ``slots``; heads of equal width are one product."""
        by_width: dict[int, list[int]] = {}
        for slot in slots:
            by_width.setdefault(self.head(slot).weight.shape[1], []).append(slot)
        outputs: dict[int, Tensor] = {}
        for same in by_width.values():
            x = chosen(tokens, same)  # (fleet, n, batch, inputs)
            weight = torch.stack([self.head(slot).weight for slot in same], 1)
            bias = torch.stack([b for slot in same if (b := self.head(slot).bias) is not None], 1)
            y = products(x, weight) + bias[:, :, None]
            outputs |= dict(zip(same, y.unbind(1), strict=True))
        return outputs


def chosen(tokens: Float[Tensor, "fleet slots batch inputs"], slots: Sequence[int]) -> Tensor:
    """The tokens of some slots (fleet, n, batch, inputs); neighbours without a copy."""
    if list(slots) == list(range(slots[0], slots[0] + len(slots))):
        return tokens[:, slots[0] : slots[0] + len(slots)]
    return tokens.index_select(1, torch.tensor(slots, device=tokens.device))


def products(
    x: Float[Tensor, "fleet n batch inputs"], weight: Float[Tensor, "fleet n outputs inputs"]
) -> Float[Tensor, "fleet n batch outputs"]:
    """Each head's product. For one output as a plain sum: a product with one column rounds by the size of the fleet."""
    if weight.shape[2] == 1:
        return (x * weight).sum(-1, keepdim=True)
    return torch.matmul(x, weight.transpose(2, 3))


class Decoder(nn.Module):
    """From the clustering task's token back to all inputs of the network, through widening layers."""

    def __init__(self, fleet: int, inputs: int, outputs: int, preset: Preset) -> None:
        super().__init__()
        widths = [inputs, *preset.decoder_widths, outputs]
        self.layers = nn.ModuleList(FleetLinear(fleet, before, after) for before, after in itertools.pairwise(widths))
        self.activation = ACTIVATIONS[preset.activation]

    def start(self, generator: torch.Generator) -> None:
        """Draw the weights a training starts from."""
        for layer in self.layers:
            cast(FleetLinear, layer).start(generator)

    def forward(self, x: Float[Tensor, "fleet batch inputs"]) -> Float[Tensor, "fleet batch outputs"]:
        """(fleet, batch, all inputs)."""
        for number, layer in enumerate(self.layers):
            x = layer(x if number == 0 else self.activation(x))
        return x
