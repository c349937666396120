from __future__ import annotations

import pytest
import torch
from torch import Tensor

from m3h.network.layers import FleetLinear, SlotLinear


def filled(layer: FleetLinear | SlotLinear) -> FleetLinear | SlotLinear:
    for p in layer.parameters():
        p.data.normal_()
    return layer


LAYERS = [
    (lambda: FleetLinear(3, 5, 4), (7, 5)),
    (lambda: FleetLinear(3, 5, 4), (3, 7, 5)),
    (lambda: FleetLinear(3, 5, 4, bias=False), (3, 7, 5)),
    (lambda: SlotLinear(2, 3, 5, 4), (2, 1, 7, 5)),
    (lambda: SlotLinear(3, 2, 5, 4), (3, 1, 7, 5)),
    (lambda: SlotLinear(2, 3, 5, 4), (2, 3, 7, 5)),
    (lambda: SlotLinear(2, 1, 5, 4), (2, 1, 7, 5)),
]


def by_autograd(layer: FleetLinear | SlotLinear, x: Tensor, g: Tensor) -> list[Tensor]:
    """Gradients of x, weight and bias by PyTorch's own rules."""
    weight = layer.weight.detach().clone().requires_grad_()
    x = x.detach().clone().requires_grad_()
    leaves = [x, weight]
    y = torch.einsum("...bi,...oi->...bo", x, weight)
    if layer.bias is not None:
        leaves.append(layer.bias.detach().clone().requires_grad_())
        y = y + leaves[-1].unsqueeze(-2)
    y.backward(g)
    return [leaf.grad for leaf in leaves if leaf.grad is not None]


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("case", range(len(LAYERS)))
def test_gradients_are_autograds(case: int, kept: bool) -> None:
    make, shape = LAYERS[case]
    layer = filled(make())
    if kept:
        layer.train_in(half=False)
    x = torch.randn(shape, requires_grad=True)
    y = layer(x)
    g = torch.randn(y.shape)
    y.backward(g)
    ours = [p.grad for p in (x, layer.weight, layer.bias) if p is not None]
    for a, b in zip(ours, by_autograd(layer, x, g), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [1, 3, 4, 5])
def test_kept_memory_is_written_anew_each_step_and_added_to_within_one(case: int) -> None:
    make, shape = LAYERS[case]
    layer = filled(make())
    layer.train_in(half=False)
    x = torch.randn(shape)
    layer(x).square().sum().backward()
    assert layer.weight.grad is not None
    memory, first = layer.weight.grad.data_ptr(), layer.weight.grad.clone()
    layer(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, 2 * first)
    layer.weight.grad = None
    layer(x).square().sum().backward()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, first)
    assert layer.weight.grad.data_ptr() == memory


@pytest.mark.parametrize("case", range(len(LAYERS)))
def test_bfloat16_products_are_near_and_their_weights_stay_float32(case: int) -> None:
    make, shape = LAYERS[case]
    layer = filled(make())
    x = torch.randn(shape, requires_grad=True)
    exact = layer(x).detach()
    layer.train_in(half=True)
    y = layer(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, exact, rtol=0.05, atol=0.1)
    assert not torch.equal(y, exact)
    g = torch.randn(y.shape)
    y.backward(g)
    for p, expected in zip((x, layer.weight, layer.bias), by_autograd(layer, x, g), strict=False):
        if p is not None:
            assert p.grad is not None
            assert p.grad.dtype == torch.float32
            torch.testing.assert_close(p.grad, expected, rtol=0.05, atol=0.2)
