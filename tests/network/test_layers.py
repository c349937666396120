from __future__ import annotations

import torch
from torch import nn

from m3h.network.layers import FleetLinear, SlotLinear


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_fleet_linear_is_one_linear_layer_per_member() -> None:
    layer = FleetLinear(3, 5, 4)
    layer.start(generator())
    layer.weight.data += torch.randn(3, 4, 5, generator=generator(1))
    shared, own = torch.randn(7, 5), torch.randn(3, 7, 5)
    for member in range(3):
        single = nn.Linear(5, 4)
        single.weight.data, single.bias.data = layer.weight[member], layer.bias[member]  # type: ignore[index]
        torch.testing.assert_close(layer(shared)[member], single(shared))
        torch.testing.assert_close(layer(own)[member], single(own[member]))


def test_slot_linear_is_one_linear_layer_per_member_and_slot() -> None:
    layer = SlotLinear(2, 3, 5, 4)
    layer.weight.data.normal_()
    layer.bias.data.normal_()
    for inputs in (torch.randn(2, 1, 7, 5), torch.randn(2, 3, 7, 5)):
        y = layer(inputs)
        for member in range(2):
            for slot in range(3):
                x = inputs[member, min(slot, inputs.shape[1] - 1)]
                expected = x @ layer.weight[member, slot].T + layer.bias[member, slot]
                torch.testing.assert_close(y[member, slot], expected)


def test_start_is_within_pytorchs_bound_and_equal_for_all_members() -> None:
    layer = FleetLinear(2, 25, 200)
    layer.start(generator())
    assert layer.weight.abs().max() <= 1 / 5
    assert layer.weight.std() > 0.1  # uniform on [-0.2, 0.2] has 0.115
    torch.testing.assert_close(layer.weight[0], layer.weight[1], rtol=0, atol=0)
