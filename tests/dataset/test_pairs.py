"""Functions of pairs: products of pieces, worked by hand."""

from __future__ import annotations

import numpy as np

from m3h.dataset.pairs import COLUMNS, Pairs
from m3h.encoders.block import Block


def blocks(one: np.ndarray, other: np.ndarray, present: np.ndarray | None = None) -> dict[str, Block]:
    made = {}
    for name, values in (("a", one), ("b", other)):
        there = np.ones(len(values), bool) if present is None or name == "a" else present
        columns = tuple(str(number) for number in range(values.shape[1]))
        made[name] = Block(name, "tabular", values.astype(np.float32), there, columns, columns)
    return made


def test_products_of_pieces_by_hand() -> None:
    x = np.array([[0.0], [1.0], [2.0], [4.0], [6.0]])  # lowest 0, median 2, highest 6
    y = np.array([[8.0], [4.0], [2.0], [1.0], [0.0]])  # 0, 2, 8
    made = Pairs.fit(blocks(x, y), [(0, 1)], np.arange(5))
    assert made.edges.tolist() == [[[0, 2, 6], [0, 2, 8]]]
    px = np.array([[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]])
    py = np.array([[1, 1], [1, 1 / 3], [1, 0], [0.5, 0], [0, 0]])
    px, py = 2 * (px - px.mean(0)), 2 * (py - py.mean(0))
    products = np.stack([px[:, i] * py[:, j] for i in (0, 1) for j in (0, 1)])
    expected = products - products.mean(1, keepdims=True)
    np.testing.assert_allclose(made.apply(blocks(x, y)), expected, atol=1e-6)


def test_a_pair_says_nothing_where_one_of_the_two_is_missing() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 2)), random.normal(size=(60, 1))
    x[:10, 1] = np.nan
    present = np.arange(60) < 50
    y[~present] = 1e9  # behind an absent source
    made = Pairs.fit(blocks(x, y, present), [(0, 2), (1, 2)], np.arange(60))
    functions = made.apply(blocks(x, y, present))
    assert functions.shape == (2 * COLUMNS, 60)
    assert (functions[:, ~present] == 0).all()
    assert (functions[COLUMNS:, :10] == 0).all()
    assert (functions[:COLUMNS, :10] != 0).any()
    known = present & ~np.isnan(x[:, 1])
    np.testing.assert_allclose(functions[COLUMNS:, known].mean(1), 0, atol=1e-6)


def test_constant_and_empty_features_make_functions_of_zero() -> None:
    x = np.column_stack([np.ones(20), np.full(20, np.nan)])
    y = np.arange(20.0)[:, None]
    made = Pairs.fit(blocks(x, y), [(0, 2), (1, 2)], np.arange(20))
    assert (made.apply(blocks(x, y)) == 0).all()


def test_rows_and_no_pairs() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(30, 1)), random.normal(size=(30, 1))
    made = Pairs.fit(blocks(x, y), [(0, 1)], np.arange(20))
    whole = made.apply(blocks(x, y))
    np.testing.assert_array_equal(made.apply(blocks(x, y), np.array([3, 1])), whole[:, [3, 1]])
    assert Pairs.fit(blocks(x, y), [], np.arange(20)).apply(blocks(x, y)).shape == (0, 30)
