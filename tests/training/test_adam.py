from __future__ import annotations

import numpy as np
import torch
from torch import nn

from m3h.training.adam import FleetAdam


def test_equals_torch_adam_with_clipping_member_by_member() -> None:
    """Three members with two learning rates; member 1 misses steps; one parameter misses gradients."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(3, 4, 2, generator=generator), torch.randn(3, 5, generator=generator)]
    rates = [1e-2, 1e-2, 3e-2]
    fleet = [nn.Parameter(value.clone()) for value in start]
    ours = FleetAdam(fleet, rates, clip=1.0)
    singles = [[nn.Parameter(value[k].clone()) for value in start] for k in range(3)]
    theirs = [torch.optim.Adam(own, lr=rate) for own, rate in zip(singles, rates, strict=True)]
    for step in range(30):
        gradients = [torch.randn(p.shape, generator=generator) * (0.1 if step % 2 else 3) for p in fleet]
        active = np.array([True, step % 3 != 0, True])
        ours.zero()
        for number, (p, g) in enumerate(zip(fleet, gradients, strict=True)):
            if not (number == 1 and step % 5 == 0):
                p.grad = g.clone()
        assert ours.step(active).all()
        for k in range(3):
            if not active[k]:
                continue
            theirs[k].zero_grad(set_to_none=True)
            for number, p in enumerate(singles[k]):
                if not (number == 1 and step % 5 == 0):
                    p.grad = gradients[number][k].clone()
            nn.utils.clip_grad_norm_([p for p in singles[k] if p.grad is not None], 1.0)
            theirs[k].step()
    for k in range(3):
        for number, p in enumerate(singles[k]):
            torch.testing.assert_close(fleet[number][k], p, rtol=1e-5, atol=1e-6)


def test_a_member_without_a_finite_gradient_stays_and_the_others_move() -> None:
    p = nn.Parameter(torch.ones(3, 2))
    optimiser = FleetAdam([p], [0.1] * 3, clip=1.0)
    p.grad = torch.tensor([[1.0, 2.0], [float("nan"), 0.0], [float("inf"), 0.0]])
    assert optimiser.step(np.ones(3, bool)).tolist() == [True, False, False]
    assert (p[0] != 1).all()
    assert (p[1:] == 1).all()


def test_parameters_that_are_not_learned_are_left_alone() -> None:
    p = nn.Parameter(torch.ones(1, 2), requires_grad=False)
    assert FleetAdam([p], [0.1], clip=0.0).parameters == []
