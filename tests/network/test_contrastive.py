from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from m3h.network.contrastive import info_nce, pairs

SHARP = torch.tensor([10.0])


def loss_of(
    z: tuple[Tensor, ...], present: Tensor, patients: Tensor, sharpness: Tensor, bounded: bool = True
) -> Tensor:
    return info_nce(z, pairs(present.numpy(), patients.numpy()), sharpness, bounded=bounded)


def test_two_orthogonal_rows_give_the_hand_worked_value() -> None:
    z = torch.eye(2)[None] * torch.tensor([3.0, 0.2])[None, :, None]  # lengths do not count
    loss = loss_of((z, z), torch.ones(2, 2, dtype=torch.bool), torch.tensor([0, 1]), SHARP)
    assert abs(loss.item() - math.log(1 + math.exp(-10))) < 1e-6


def test_equals_cross_entropy_over_all_pairs_of_present_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    z = tuple(torch.randn(2, 9, 4, generator=generator) for _ in range(3))
    present = torch.rand(9, 3, generator=generator) < 0.7
    loss = loss_of(z, present, torch.arange(9), torch.tensor([10.0, 3.0]))
    for member, sharp in enumerate((10.0, 3.0)):
        parts = []
        for a, b in ((0, 1), (0, 2), (1, 2)):
            rows = present[:, a] & present[:, b]
            u, v = (functional.normalize(z[i][member][rows], dim=1) for i in (a, b))
            similarity, target = u @ v.T * sharp, torch.arange(int(rows.sum()))
            parts.append(
                (functional.cross_entropy(similarity, target) + functional.cross_entropy(similarity.T, target)) / 2
            )
        torch.testing.assert_close(loss[member], torch.stack(parts).mean())


def test_rows_of_one_patient_are_no_negatives() -> None:
    z = torch.ones(1, 2, 3)
    everyone = torch.ones(2, 2, dtype=torch.bool)
    alone = loss_of((z, z), everyone, torch.tensor([4, 4]), SHARP)
    assert alone.item() == 0
    other = loss_of((z, z), everyone, torch.tensor([4, 5]), SHARP)
    assert abs(other.item() - math.log(2)) < 1e-6


def test_pairs_that_fewer_than_two_rows_have_are_left_out() -> None:
    present = np.array([[True, True], [True, False], [False, True]])
    assert pairs(present, np.arange(3)) == ()
    assert pairs(np.ones((3, 1), bool), np.arange(3)) == ()
    (pair,) = pairs(np.ones((3, 2), bool), np.array([5, 5, 1]))
    assert (pair.count, pair.rows) == (3, None)
    assert pair.same is not None
    assert pair.same.tolist() == [1, 3]  # places (0, 1) and (1, 0) of three rows


@pytest.mark.parametrize("whole", [True, False])
def test_the_gradient_in_closed_form_is_autograds(whole: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    z = tuple(torch.randn(2, 12, 5, generator=generator, requires_grad=True) for _ in range(3))
    sharp = torch.tensor([10.0, 2.0], requires_grad=True)
    present = torch.rand(12, 3, generator=generator) < (2 if whole else 0.8)
    patients = torch.arange(12) // 2
    found = []
    for bounded in (True, False):
        loss = loss_of(z, present, patients, sharp, bounded)
        (loss * torch.tensor([1.0, 0.3])).sum().backward()
        found.append([loss.detach(), *(p.grad.clone() for p in (*z, sharp) if p.grad is not None)])
        for p in (*z, sharp):
            p.grad = None
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_sharpest_temperature_is_finite() -> None:
    u = torch.eye(4)[None]
    loss = loss_of((u, -u), torch.ones(4, 2, dtype=torch.bool), torch.arange(4), torch.tensor([100.0]), bounded=False)
    assert abs(loss.item() - (100 + math.log(3))) < 1e-3  # own cosine -1, the other three 0


def test_values_of_absent_rows_change_nothing() -> None:
    z, present = torch.randn(1, 6, 4), torch.rand(6, 2) < 2
    present[2, 1] = False
    poisoned = z.clone()
    poisoned[:, 2] = 1e6
    first = loss_of((z, z), present, torch.arange(6), SHARP)
    torch.testing.assert_close(loss_of((z, poisoned), present, torch.arange(6), SHARP), first)
