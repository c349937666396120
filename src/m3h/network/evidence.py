"""What task models said before the network: its inputs, and the outputs that it only corrects.

The evidence of a batch is the task models' outputs for every slot of the member side by side. The network reads it
on one scale. What a slot's head says, and what a learned factor makes of the slot's own evidence, is a correction; a
gate, 1 while the network learns, then says how much of it to believe.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Evidence(nn.Module):
    """Evidence of a fleet whose slots have ``widths`` outputs each (0: none, a clustering)."""

    #: Mean and deviation over the rows trained on, (fleet, evidence).
    mean: Tensor
    deviation: Tensor
    #: Share of the correction to add to a slot's own evidence (fleet, slots).
    gate: Tensor

    def __init__(self, fleet: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.register_buffer("mean", torch.zeros(fleet, sum(widths)))
        self.register_buffer("deviation", torch.ones(fleet, sum(widths)))
        self.register_buffer("gate", torch.ones(fleet, len(widths)))
        self.factor = nn.Parameter(torch.ones(fleet, len(widths)))

    @torch.no_grad()
    def fit(self, evidence: Float[Tensor, "fleet row evidence"]) -> None:
        """Learn the scale from the rows trained on."""
        self.mean.copy_(evidence.mean(1))
        deviation = evidence.std(1, unbiased=False)
        # what hardly varies says nothing; dividing by next to nothing would make it shout
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.full_like(deviation, torch.inf)))

    def scaled(self, evidence: Float[Tensor, "fleet batch evidence"]) -> Float[Tensor, "fleet batch evidence"]:
        """Mean 0 and deviation 1; 0 where it did not vary among the rows trained on."""
        return (evidence - self.mean[:, None]) / self.deviation[:, None]

    def own(self, evidence: Float[Tensor, "fleet batch evidence"], slot: int) -> Float[Tensor, "fleet batch outputs"]:
        """The evidence for a slot."""
        begin = sum(self.widths[:slot])
        return evidence[:, :, begin : begin + self.widths[slot]]

    def corrected(
        self, evidence: Float[Tensor, "fleet batch evidence"], slot: int, said: Float[Tensor, "fleet batch outputs"]
    ) -> Float[Tensor, "fleet batch outputs"]:
        """A slot's output, where its head says ``said``."""
        own = self.own(evidence, slot)
        correction = said + own * (self.factor[:, slot, None, None] - 1)
        return own + correction * self.gate[:, slot, None, None]
