"""The M3H network (Bertsimas & Ma 2024, arXiv 2404.18975), a whole fleet at once.

inputs --modality networks--> z --shared module--> s --task networks--> x --cross-task attention--> o --heads-->
                              `-- contrastive loss                              clustering: o --decoder--> inputs

With the preset's ``additive``, what sparse task models said of every task (m3h.network.evidence) is what the shared
module reads, and the heads' outputs are corrections of it. Embeddings then have a shared module of their own for the
clusterings, or go into the one of all tasks beside the evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from m3h.core import seeds
from m3h.network.attention import CrossTaskAttention
from m3h.network.between import Dropout
from m3h.network.contrastive import PLAIN, Pair, info_nce
from m3h.network.evidence import Evidence
from m3h.network.heads import Decoder, Heads
from m3h.network.layers import FleetLinear
from m3h.network.modality import ModalityNetwork
from m3h.network.products import WeightLayer
from m3h.network.shared import SharedModule, TaskNetworks
from m3h.study.presets import Preset
from m3h.study.task import Kind

Precision = Literal["float32", "bfloat16"]
#: Where a learned temperature starts.
FIRST_TEMPERATURE = 0.07
#: A learned 1 / temperature never exceeds this (Radford 2021).
SHARPEST = 100.0


@dataclass(frozen=True)
class Slot:
    """A place for a task: its kind and the number of outputs of its head (0 for clustering)."""

    kind: Kind
    width: int


@dataclass(frozen=True)
class Shape:
    """All that two networks must share to train in one fleet: modalities with their widths, slots, preset."""

    modalities: tuple[tuple[str, int], ...]
    slots: tuple[Slot, ...]
    preset: Preset

    @property
    def inputs(self) -> int:
        """Columns of all modalities together; what a decoder gives back."""
        return sum(width for _, width in self.modalities)

    @property
    def clusterings(self) -> tuple[int, ...]:
        """The slots of clusterings."""
        return tuple(number for number, slot in enumerate(self.slots) if slot.kind == "clustering")

    @property
    def evidence(self) -> int:
        """Outputs of all slots together that task models give; 0 without them."""
        return sum(slot.width for slot in self.slots) if self.preset.additive else 0

    @property
    def together(self) -> bool:
        """Whether all slots read one shared module."""
        return not self.preset.additive or self.preset.inputs == "all" or not (self.clusterings and self.evidence)

    @property
    def embedding(self) -> bool:
        """Whether the network has modality networks."""
        return not self.evidence or self.preset.inputs == "all" or bool(self.clusterings)

    @property
    def contrasting(self) -> bool:
        """Whether training has a contrastive loss."""
        return self.embedding and self.preset.contrastive_weight > 0 and len(self.modalities) > 1


@dataclass(frozen=True)
class Inputs:
    """One batch, shared by the fleet: per modality (batch, width) scaled with absent sources as zeros; presence; and
    the evidence of task models, each member's own, None without them."""

    values: tuple[Float[Tensor, "batch _"], ...]
    present: Bool[Tensor, "batch modalities"]
    evidence: Float[Tensor, "fleet batch evidence"] | None = None

    @cached_property
    def absent(self) -> tuple[Tensor | None, ...]:
        """Per modality the rows that lack it, None if none does."""
        rows = [torch.nonzero(~one)[:, 0] for one in self.present.unbind(1)]
        return tuple(found if len(found) else None for found in rows)


@dataclass(frozen=True)
class Outputs:
    """What a forward pass gives.

    ``heads``: slot -> (fleet, batch, outputs): logits, class logits or values; ``reconstructions``: slot ->
    (fleet, batch, inputs); ``tokens`` (fleet, slots, batch, token_width) after attention; ``attention`` (fleet,
    batch, task that asks, task that answers), rows sum to 1; ``embeddings`` per modality (fleet, batch, width).
    """

    heads: dict[int, Tensor]
    reconstructions: dict[int, Tensor]
    tokens: Float[Tensor, "fleet slots batch token"]
    attention: Float[Tensor, "fleet batch slots slots"]
    embeddings: tuple[Float[Tensor, "fleet batch embedding"], ...]


class Network(nn.Module):
    """A fleet of M3H networks of one shape. A single network is a fleet of one."""

    #: (fleet, slots): outputs of regressions are in these units; 1 unless the preset scales its targets.
    output_scale: Tensor

    def __init__(self, shape: Shape, fleet: int) -> None:
        super().__init__()
        preset, slots = shape.preset, len(shape.slots)
        self.shape = shape
        self.fleet = fleet
        self.modalities = nn.ModuleDict(
            {
                name: ModalityNetwork(
                    fleet, width, preset.hidden_tabular if name == "tabular" else preset.hidden, preset
                )
                for name, width in shape.modalities
                if shape.embedding
            }
        )
        embeddings = preset.modality_width * len(self.modalities)
        self.evidence = Evidence(fleet, [slot.width for slot in shape.slots]) if shape.evidence else None
        self.shared = SharedModule(fleet, shape.evidence + (embeddings if shape.together else 0), preset)
        self.grouping = None if shape.together else SharedModule(fleet, embeddings, preset)
        self.tasks = TaskNetworks(fleet, slots, preset)
        self.attention = CrossTaskAttention(fleet, slots, preset)
        self.heads = Heads(fleet, [slot.width for slot in shape.slots], preset.token_width)
        self.decoders = nn.ModuleDict(
            {
                str(number): Decoder(fleet, preset.token_width, shape.inputs, preset)
                for number, slot in enumerate(shape.slots)
                if slot.kind == "clustering"
            }
        )
        self.projections = nn.ModuleDict(
            {
                name: FleetLinear(fleet, preset.modality_width, preset.projection)
                for name in self.modalities
                if preset.projection
            }
        )
        start = -math.log(FIRST_TEMPERATURE if preset.learned_temperature else preset.temperature)
        self.log_sharpness = nn.Parameter(torch.full((fleet,), start), requires_grad=preset.learned_temperature)
        self.register_buffer("output_scale", torch.ones(fleet, slots))

    def start(self, seed: int, replicate: int) -> None:
        """Draw the weights a training starts from: by (seed, replicate, part), for task slots by their place.

        Neither the size of the fleet nor the names of the tasks have a say.
        """

        def stream(*part: str | int) -> torch.Generator:
            return torch.Generator().manual_seed(seeds.number(seed, "weights", replicate, *part))

        for name, network in self.modalities.items():
            cast(ModalityNetwork, network).start(stream("modality", name))
        self.shared.start(stream("shared"))
        if self.grouping is not None:
            self.grouping.start(stream("grouping"))
        self.attention.start(stream("attention"))
        for name, projection in self.projections.items():
            cast(FleetLinear, projection).start(stream("projection", name))
        for slot in range(len(self.shape.slots)):
            self.tasks.start_slot(slot, stream("task", slot))
            self.attention.start_slot(slot, stream("token", slot))
            if str(slot) in self.decoders:
                cast(Decoder, self.decoders[str(slot)]).start(stream("decoder", slot))
            else:
                head = self.heads.head(slot)
                head.start(stream("head", slot))
                with torch.no_grad():
                    head.weight.mul_(self.shape.preset.head_scale)

    def embed(self, inputs: Inputs, dropout: Dropout | None) -> tuple[Float[Tensor, "fleet batch embedding"], ...]:
        """The modality networks alone."""
        if not self.modalities:
            return ()
        networks = zip(self.modalities.values(), inputs.values, inputs.absent, strict=True)
        return tuple(network(values, absent, dropout) for network, values, absent in networks)

    def contrastive(
        self, embeddings: Sequence[Float[Tensor, "fleet batch embedding"]], compared: Sequence[Pair]
    ) -> Float[Tensor, " fleet"]:
        """The contrastive loss of the embeddings, or of their projections where the preset has them."""
        if self.projections:
            heads = zip(self.projections.values(), embeddings, strict=True)
            embeddings = tuple(head(z) for head, z in heads)
        preset = self.shape.preset
        bounded = not preset.learned_temperature and preset.temperature * PLAIN >= 1
        return info_nce(embeddings, compared, self.sharpness(), bounded=bounded)

    def sharpness(self) -> Float[Tensor, " fleet"]:
        """1 / temperature of the contrastive loss, per member."""
        return self.log_sharpness.exp().clamp_max(SHARPEST)

    def train_in(self, precision: Precision) -> None:
        """Make ready for many training steps on the device the network is on: memory for gradients is kept, products
        are done in ``precision``."""
        for part in self.modules():
            if isinstance(part, WeightLayer):
                part.train_in(precision == "bfloat16")

    def forward(self, inputs: Inputs, dropout: Dropout | None = None, slots: Sequence[int] | None = None) -> Outputs:
        """The whole way; heads and decoders only of ``slots`` (default: all)."""
        embeddings = self.embed(inputs, dropout)
        tokens, attention = self.attention(self.tasks(self._shared(inputs, embeddings, dropout), dropout))
        wanted = range(len(self.shape.slots)) if slots is None else slots
        decoders = {slot: self.decoders[str(slot)] for slot in wanted if str(slot) in self.decoders}
        heads = self.heads(tokens, [slot for slot in wanted if slot not in decoders])
        if self.evidence is not None and inputs.evidence is not None:
            heads = {slot: self.evidence.corrected(inputs.evidence, slot, y) for slot, y in heads.items()}
        return Outputs(
            heads=heads,
            reconstructions={slot: decoder(tokens[:, slot]) for slot, decoder in decoders.items()},
            tokens=tokens,
            attention=attention,
            embeddings=embeddings,
        )

    def _shared(
        self, inputs: Inputs, embeddings: Sequence[Tensor], dropout: Dropout | None
    ) -> Float[Tensor, "fleet slots batch shared"]:
        """What each slot's task network reads; one slot stands for all where all read the same."""
        parts = [] if self.evidence is None or inputs.evidence is None else [self.evidence.scaled(inputs.evidence)]
        if self.grouping is None:
            whole: Tensor = self.shared(torch.cat([*parts, *embeddings], -1), dropout)
            return whole[:, None]
        said, seen = self.shared(parts[0], dropout), self.grouping(torch.cat(list(embeddings), -1), dropout)
        clusterings = self.shape.clusterings
        return torch.stack([seen if slot in clusterings else said for slot in range(len(self.shape.slots))], 1)

    def weights(self) -> int:
        """Number of trainable weights of one member."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad) // self.fleet
