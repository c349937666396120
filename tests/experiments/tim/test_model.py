from __future__ import annotations

import numpy as np
import pytest

from m3h.experiments.tim.model import regression
from m3h.experiments.tim.observed import Rows


def rows(others: list[list[int]], group: list[int], weight: list[float]) -> Rows:
    inside = np.array(others, dtype=float)
    score = np.arange(len(group), dtype=float)
    return Rows(inside, inside.sum(1).astype(np.int64) + 1, np.array(group), np.array(weight), score)


def test_columns_by_hand() -> None:
    given = rows([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 1, 1], [1, 1, 4, 1])
    model = regression(given, None)
    assert model is not None
    np.testing.assert_array_equal(model.fixed, [[1, 0, 0], [1, 0, 1], [0, 2, 2], [0, 1, 2]])
    np.testing.assert_array_equal(model.random, [[0, 0], [1, 0], [0, 2], [1, 1]])
    assert model.score.tolist() == [0, 1, 4, 3]
    assert model.freedom == 1
    np.testing.assert_array_equal(model.replicated, [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 2], [0, 0, 2, 2]])


def test_sizes_have_columns_with_a_limit() -> None:
    growth = np.array([-0.25, -0.5, 0.75])
    model = regression(rows([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, 0], [1, 1, 1, 1]), growth)
    assert model is not None
    np.testing.assert_array_equal(model.random[:, 2:], [[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert model.wanted == pytest.approx(np.array([[1, 0, -0.25, -0.5, 0.75], [0, 1, -0.25, -0.5, 0.75]]))


def test_too_few_scores_or_sets_of_one_size() -> None:
    assert regression(rows([[0, 0], [1, 0], [0, 1]], [0, 1, 1], [1, 1, 1]), None) is None
    assert regression(rows([[0, 1], [1, 0]] * 3, [0, 0, 1, 1, 1, 1], [1.0] * 6), None) is None
