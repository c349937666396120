from __future__ import annotations

import math

import torch
from torch.nn import functional

from m3h.network.contrastive import info_nce

SHARP = torch.tensor([10.0])


def test_two_orthogonal_rows_give_the_hand_worked_value() -> None:
    z = torch.eye(2)[None] * torch.tensor([3.0, 0.2])[None, :, None]  # lengths do not count
    loss = info_nce((z, z), torch.ones(2, 2, dtype=torch.bool), torch.tensor([0, 1]), SHARP)
    assert loss is not None
    assert abs(loss.item() - math.log(1 + math.exp(-10))) < 1e-6


def test_equals_cross_entropy_over_all_pairs_of_present_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    z = tuple(torch.randn(2, 9, 4, generator=generator) for _ in range(3))
    present = torch.rand(9, 3, generator=generator) < 0.7
    loss = info_nce(z, present, torch.arange(9), torch.tensor([10.0, 3.0]))
    for member, sharp in enumerate((10.0, 3.0)):
        parts = []
        for a, b in ((0, 1), (0, 2), (1, 2)):
            rows = present[:, a] & present[:, b]
            u, v = (functional.normalize(z[i][member][rows], dim=1) for i in (a, b))
            similarity, target = u @ v.T * sharp, torch.arange(int(rows.sum()))
            parts.append(
                (functional.cross_entropy(similarity, target) + functional.cross_entropy(similarity.T, target)) / 2
            )
        torch.testing.assert_close(loss[member], torch.stack(parts).mean())  # type: ignore[index]


def test_rows_of_one_patient_are_no_negatives() -> None:
    z = torch.ones(1, 2, 3)
    everyone = torch.ones(2, 2, dtype=torch.bool)
    alone = info_nce((z, z), everyone, torch.tensor([4, 4]), SHARP)
    assert alone is not None
    assert alone.item() == 0
    other = info_nce((z, z), everyone, torch.tensor([4, 5]), SHARP)
    assert other is not None
    assert abs(other.item() - math.log(2)) < 1e-6


def test_nothing_to_compare_is_none() -> None:
    z = torch.randn(1, 3, 4)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    assert info_nce((z, z), present, torch.arange(3), SHARP) is None
    assert info_nce((z,), torch.ones(3, 1, dtype=torch.bool), torch.arange(3), SHARP) is None


def test_values_of_absent_rows_change_nothing() -> None:
    z, present = torch.randn(1, 6, 4), torch.rand(6, 2) < 2
    present[2, 1] = False
    poisoned = z.clone()
    poisoned[:, 2] = 1e6
    first = info_nce((z, z), present, torch.arange(6), SHARP)
    torch.testing.assert_close(info_nce((z, poisoned), present, torch.arange(6), SHARP), first)
