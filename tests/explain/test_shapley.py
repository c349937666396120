from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from m3h.core.errors import SettingError
from m3h.explain.gradients import captum
from m3h.explain.shapley import plan, split


def brute_force(values: np.ndarray, players: int) -> np.ndarray:
    """The mean over all orders, from the definition."""
    added = np.zeros((players, *values.shape[1:]))
    orders = list(permutations(range(players)))
    for order in orders:
        before = 0
        for player in order:
            added[player] += values[before | 1 << player] - values[before]
            before |= 1 << player
    return added / len(orders)


def test_adds_up_and_agrees_with_the_definition() -> None:
    values = np.random.default_rng(0).normal(size=(1 << 5, 7, 2))
    found, errors = split(plan(5, seed=0), values)
    np.testing.assert_allclose(found.sum(0), values[-1] - values[0], atol=1e-12)
    np.testing.assert_allclose(found, brute_force(values, 5), atol=1e-12)
    assert not errors.any()


def test_a_worked_example() -> None:
    """Gloves: player 0 has a left one, 1 and 2 a right one each; a pair is worth 1. The left one is worth 2/3."""
    pairs = np.array([float(c & 1 and c >> 1) for c in range(8)]).astype(bool).astype(float)
    found, _ = split(plan(3, seed=0), pairs)
    np.testing.assert_allclose(found, [2 / 3, 1 / 6, 1 / 6])


def test_equal_players_get_the_same_and_a_dummy_nothing() -> None:
    random = np.random.default_rng(1)
    by_size = random.normal(size=3)
    others = random.normal(size=4)
    # players 0 and 1 count, player 2 does nothing, player 3 goes by itself
    values = np.array([by_size[(c & 1) + (c >> 1 & 1)] + others[c >> 3 & 1] for c in range(16)])
    for exact in (4, 2):
        found, _ = split(plan(4, seed=0, orders=400, exact=exact), values)
        assert found[2] == 0
        assert found.sum() == pytest.approx(values[-1] - values[0], abs=1e-12)
        assert found[3] == pytest.approx(others[1] - others[0], abs=1e-12)
        assert found[0] == pytest.approx(found[1], abs=1e-12 if exact == 4 else 0.1)


def test_random_orders_come_near_and_say_how_near() -> None:
    values = np.random.default_rng(2).normal(size=(1 << 7, 40))
    exact, _ = split(plan(7, seed=0), values)
    asked = plan(7, seed=0, orders=300, exact=3)
    found, errors = split(asked, values[list(asked.coalitions)])
    np.testing.assert_allclose(found.sum(0), values[-1] - values[0], atol=1e-12)
    off = np.abs(found - exact) / errors
    assert 0.85 < (off < 2).mean() < 1  # 95 % of them, had they been independent
    orders = plan(7, seed=1, orders=300, exact=3).orders
    assert asked.orders is not None and orders is not None and (asked.orders != orders).any()


def test_many_players_meet_few_coalitions() -> None:
    asked = plan(70, seed=0, orders=10)
    assert len(asked.coalitions) <= 10 * 70 + 1
    assert asked.coalitions[0] == 0 and asked.coalitions[-1] == (1 << 70) - 1
    values = np.array([float(c.bit_count()) for c in asked.coalitions])
    found, errors = split(asked, values)
    np.testing.assert_allclose(found, 1.0)
    assert not errors.any()
    with pytest.raises(SettingError, match="3 orders of 70 sources"):
        plan(70, seed=0, orders=3)


def test_agrees_with_captum() -> None:
    """Four inputs of a network with products between them; Captum takes all 24 orders."""
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))

    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x @ weight).prod(1) + (x @ weight).relu().sum(1)

    row = torch.randn(1, 4, generator=torch.Generator().manual_seed(1))
    expected = captum().ShapleyValues(network).attribute(row)[0].numpy()
    inside = torch.tensor([[c >> k & 1 for k in range(4)] for c in range(16)]).float()
    found, _ = split(plan(4, seed=0), network(row * inside).double().numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)
