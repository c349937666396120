from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from m3h.network.between import Dropout, FleetNorm, between
from m3h.study.presets import PRESETS

PAPER = PRESETS["paper"]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def norm(fleet: int, width: int) -> FleetNorm:
    made = FleetNorm(fleet, width)
    made.weight.data.normal_()
    made.bias.data.normal_()
    return made


def test_fleet_norm_is_layer_norm() -> None:
    part, x = norm(2, 6), torch.randn(2, 4, 6)
    for member in range(2):
        expected = nn.functional.layer_norm(x[member], (6,), part.weight[member], part.bias[member])
        torch.testing.assert_close(part(x)[member], expected)


def test_dropout_masks_are_shared_by_the_fleet_and_keep_the_mean() -> None:
    x = torch.ones(3, 400, 100)
    y = Dropout(0.25, generator())(x)
    torch.testing.assert_close(y[0], y[2], rtol=0, atol=0)
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(y.mean().item() - 1) < 0.02
    assert Dropout(0.0, generator())(x) is x


def test_dropout_masks_follow_from_the_stream_and_are_new_within_a_pass() -> None:
    x, dropout, again = torch.ones(1, 30, 7), Dropout(0.5, generator()), Dropout(0.5, generator())
    first, second = dropout(x), dropout(x)
    assert not torch.equal(first, second)
    torch.testing.assert_close(torch.stack([again(x), again(x)]), torch.stack([first, second]), rtol=0, atol=0)
    other = Dropout(0.5, generator(1))
    assert not torch.equal(other(x), first)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_between_and_its_gradients_are_pytorchs_layer_by_layer(activation: str, normed: bool, rate: float) -> None:
    preset = replace(PAPER, activation=activation)  # type: ignore[arg-type]
    part = norm(2, 8) if normed else None
    x, g = torch.randn(2, 5, 8, requires_grad=True), torch.randn(2, 5, 8)
    got = between(x, part, preset, Dropout(rate, generator(3)))
    got.backward(g)
    parameters = [x] if part is None else [x, part.weight, part.bias]
    ours = [p.grad.clone() for p in parameters if p.grad is not None]
    for p in parameters:
        p.grad = None
    mask = Dropout(rate, generator(3))(torch.ones(1, 5, 8))[0]
    members = []
    for k in range(2):
        y = x[k] if part is None else functional.layer_norm(x[k], (8,), part.weight[k], part.bias[k])
        members.append(getattr(functional, activation)(y) * mask)
    expected = torch.stack(members)
    expected.backward(g)
    torch.testing.assert_close(got, expected)
    for ours_one, p in zip(ours, parameters, strict=True):
        torch.testing.assert_close(ours_one, p.grad, rtol=1e-4, atol=1e-5)


def test_no_gradient_reaches_what_dropout_took() -> None:
    x, dropout = torch.ones(1, 50, 4, requires_grad=True), Dropout(0.5, generator())
    y = between(x, None, PAPER, dropout)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach())  # x = 1, so both are the mask
