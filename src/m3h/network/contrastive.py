"""The contrastive loss: embeddings of the same sample's modalities should find each other.

Symmetric InfoNCE over every pair of modalities (van den Oord 2018, arXiv 1807.03748; CLIP, Radford 2021,
arXiv 2103.00020; all pairs as in CMC, Tian 2020, arXiv 1906.05849).
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def info_nce(
    embeddings: tuple[Float[Tensor, "fleet batch width"], ...],
    present: Bool[Tensor, "batch modalities"],
    patients: Int[Tensor, " batch"],
    inverse_temperature: Float[Tensor, " fleet"],
) -> Float[Tensor, " fleet"] | None:
    """Mean over the pairs of modalities of the symmetric InfoNCE loss, per member; lower is better.

    A pair counts the rows that have both modalities and is skipped with fewer than two; other rows of the same
    patient are not negatives. None if every pair was skipped (or there is one modality).
    """
    losses = []
    for first, second in itertools.combinations(range(len(embeddings)), 2):
        rows = torch.nonzero(present[:, first] & present[:, second])[:, 0]
        if len(rows) >= 2:
            losses.append(
                pair_loss(embeddings[first][:, rows], embeddings[second][:, rows], patients[rows], inverse_temperature)
            )
    return torch.stack(losses).mean(0) if losses else None


def pair_loss(
    first: Float[Tensor, "fleet rows width"],
    second: Float[Tensor, "fleet rows width"],
    patients: Int[Tensor, " rows"],
    inverse_temperature: Float[Tensor, " fleet"],
) -> Float[Tensor, " fleet"]:
    """Symmetric InfoNCE of one pair of modalities, per member."""
    u = functional.normalize(first, dim=-1, eps=1e-8)
    v = functional.normalize(second, dim=-1, eps=1e-8)
    similarity = torch.bmm(u, v.transpose(1, 2)) * inverse_temperature[:, None, None]  # (fleet, rows, rows)
    same = patients[:, None] == patients[None, :]
    same.fill_diagonal_(False)
    similarity = similarity.masked_fill(same, -torch.inf)
    matching = torch.diagonal(similarity, dim1=1, dim2=2)
    both_ways = torch.logsumexp(similarity, 2) + torch.logsumexp(similarity, 1)
    return (both_ways / 2 - matching).mean(1)
