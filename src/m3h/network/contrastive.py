"""The contrastive loss: embeddings of the same sample's modalities should find each other.

Symmetric InfoNCE over every pair of modalities (van den Oord 2018, arXiv 1807.03748; CLIP, Radford 2021,
arXiv 2103.00020; all pairs as in CMC, Tian 2020, arXiv 1906.05849).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

#: Up to this 1 / temperature the exponentials of all cosines and their sums over a batch are ordinary float32 numbers.
PLAIN = 40.0
SHORTEST = 1e-8


@dataclass(frozen=True)
class Pair:
    """Two modalities of a batch: which, the rows that have both (None: all), and the places (row * rows + row) of
    different samples of one patient, which are no negatives (None: there are none)."""

    first: int
    second: int
    count: int
    rows: Tensor | None
    same: Tensor | None

    def of(self, u: Tensor) -> Tensor:
        """The pair's rows of u (fleet, batch, width)."""
        return u if self.rows is None else u.index_select(1, self.rows)


def pairs(present: NDArray[np.bool_], patients: NDArray[np.int64], device: str = "cpu") -> tuple[Pair, ...]:
    """The pairs of modalities of a batch that at least two rows have: presence (batch, modality), a number a patient.

    What a batch compares depends on no weight: once for all members and both passes.
    """
    same = patients[:, None] == patients[None, :]
    np.fill_diagonal(same, False)
    one, other = np.nonzero(same)
    found = []
    known: dict[bytes, tuple[Tensor | None, Tensor | None]] = {}
    for first, second in itertools.combinations(range(present.shape[1]), 2):
        both = present[:, first] & present[:, second]
        if both.sum() < 2:
            continue
        if (key := both.tobytes()) not in known:
            kept, position = both[one] & both[other], np.cumsum(both) - 1
            places = position[one[kept]] * int(both.sum()) + position[other[kept]]
            known[key] = (
                None if both.all() else torch.from_numpy(np.flatnonzero(both)).to(device),
                torch.from_numpy(places).to(device) if len(places) else None,
            )
        found.append(Pair(first, second, int(both.sum()), *known[key]))
    return tuple(found)


def info_nce(
    embeddings: Sequence[Float[Tensor, "fleet batch width"]],
    compared: Sequence[Pair],
    sharpness: Float[Tensor, " fleet"],
    *,
    bounded: bool,
) -> Float[Tensor, " fleet"]:
    """Mean over the pairs of modalities of the symmetric InfoNCE loss, per member; lower is better.

    ``sharpness`` is 1 / temperature; ``bounded`` says that it never exceeds PLAIN, which is faster. There is at least
    one pair.
    """
    if bounded:
        loss: Tensor = _InfoNCE.apply(sharpness, tuple(compared), *embeddings)
        return loss
    u = [functional.normalize(z, dim=-1, eps=SHORTEST) for z in embeddings]
    losses = [pair_loss(pair.of(u[pair.first]), pair.of(u[pair.second]), pair.same, sharpness) for pair in compared]
    return torch.stack(losses).mean(0)


def pair_loss(
    u: Float[Tensor, "fleet rows width"],
    v: Float[Tensor, "fleet rows width"],
    same: Tensor | None,
    sharpness: Float[Tensor, " fleet"],
) -> Float[Tensor, " fleet"]:
    """Symmetric InfoNCE of one pair of modalities, per member, for any temperature."""
    similarity = torch.bmm(u, v.transpose(1, 2)) * sharpness[:, None, None]  # (fleet, rows, rows)
    if same is not None:
        similarity = similarity.flatten(1).index_fill(1, same, -torch.inf).view(similarity.shape)
    matching = torch.diagonal(similarity, dim1=1, dim2=2)
    both_ways = torch.logsumexp(similarity, 2) + torch.logsumexp(similarity, 1)
    return (both_ways / 2 - matching).mean(1)


class _InfoNCE(torch.autograd.Function):
    """One exponential per entry serves rows and columns, and the gradient is known in closed form: with E the
    exponentials, r and c their sums over rows and columns and n rows, that of the similarities is
    E (1 / r + 1 / c) / 2n - I / n. It is computed in the forward pass, pair by pair, while E is in the cache."""

    @staticmethod
    def forward(ctx: Any, sharpness: Tensor, compared: tuple[Pair, ...], *embeddings: Tensor) -> Tensor:
        lengths = [torch.linalg.vector_norm(z, dim=-1, keepdim=True).clamp_min_(SHORTEST) for z in embeddings]
        units = [z / length for z, length in zip(embeddings, lengths, strict=True)]
        gradients: list[Tensor | None] = [None] * len(units)
        sharp = sharpness.detach()[:, None, None]
        loss, sharper = torch.zeros_like(sharpness), torch.zeros_like(sharpness)
        for pair in compared:
            u, v = pair.of(units[pair.first]), pair.of(units[pair.second])
            part, gu, gv = _pair_gradient(u, v, pair, sharp)
            loss += part
            if ctx.needs_input_grad[0]:
                sharper += (u * gu).sum((1, 2))
            _add(gradients, pair.first, gu, pair.rows, units)
            _add(gradients, pair.second, gv, pair.rows, units)
        ctx.save_for_backward(sharper / len(compared))
        ctx.gradients = [
            None if g is None else _through_length(g, u, length, sharp / len(compared))
            for g, u, length in zip(gradients, units, lengths, strict=True)
        ]
        return loss / len(compared)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (sharper,) = ctx.saved_tensors
        each = [None if part is None else part * g[:, None, None] for part in ctx.gradients]
        return g * sharper if ctx.needs_input_grad[0] else None, None, *each


def _pair_gradient(u: Tensor, v: Tensor, pair: Pair, sharp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The pair's loss per member, and its gradients of u and v but for the factor of sharpness."""
    n = pair.count
    scaled = u * sharp
    raised = torch.bmm(scaled, v.transpose(1, 2)).exp_()  # (fleet, rows, rows)
    if pair.same is not None:
        raised.view(len(u), n * n).index_fill_(1, pair.same, 0.0)
    rows, columns = raised.sum(2), raised.sum(1)
    loss = ((rows.log() + columns.log()) / 2 - (scaled * v).sum(2)).mean(1)
    raised.mul_(rows.reciprocal_()[:, :, None] + columns.reciprocal_()[:, None, :])
    gu = torch.baddbmm(v, raised, v, beta=-1 / n, alpha=0.5 / n)
    gv = torch.baddbmm(u, raised.transpose(1, 2), u, beta=-1 / n, alpha=0.5 / n)
    return loss, gu, gv


def _add(gradients: list[Tensor | None], place: int, part: Tensor, rows: Tensor | None, units: list[Tensor]) -> None:
    kept = gradients[place]
    if kept is None:
        gradients[place] = part if rows is None else torch.zeros_like(units[place]).index_copy_(1, rows, part)
    elif rows is None:
        kept.add_(part)
    else:
        kept.index_add_(1, rows, part)


def _through_length(gradient: Tensor, unit: Tensor, length: Tensor, factor: Tensor) -> Tensor:
    """The gradient of z from that of z / |z|."""
    along = (gradient * unit).sum(-1, keepdim=True)
    return gradient.addcmul_(unit, along, value=-1).mul_(factor / length)
