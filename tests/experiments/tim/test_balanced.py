from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import hadamard

from m3h.experiments.tim.balanced import orthogonal_signs


@pytest.mark.parametrize("least", [1, 2, 3, 8, 9, 20, 28, 36, 40, 44, 50, 52, 76, 90, 100])
def test_columns_and_rows_are_orthogonal_signs(least: int) -> None:
    table = orthogonal_signs(least)
    order = len(table)
    assert set(np.unique(table).tolist()) <= {-1, 1}
    assert (table.T @ table == order * np.eye(order)).all()
    assert (table @ table.T == order * np.eye(order)).all()
    assert least <= order <= max(2, least + 8)


def test_orders_that_are_known_are_met() -> None:
    assert [len(orthogonal_signs(k)) for k in (1, 2, 3, 5, 12, 17, 44, 45)] == [1, 2, 4, 8, 12, 20, 44, 48]


def test_order_two_is_sylvesters() -> None:
    assert (orthogonal_signs(2) == hadamard(2)).all()
