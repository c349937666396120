from __future__ import annotations

import numpy as np

from m3h.experiments.tim.ranks import rank_signed


def test_ranks_by_hand() -> None:
    values = np.array([np.nan, 0.3, -0.2, 0.0, 0.1, 0.3, -0.5, -0.2, np.nan])
    # above 0: 0.1 -> 1, the two 0.3 share 2 and 3; below: the two -0.2 share -1 and -2, -0.5 -> -3
    expected = np.array([np.nan, 2.5, -1.5, 0.0, 1.0, 2.5, -3.0, -1.5, np.nan])
    np.testing.assert_array_equal(rank_signed(values), expected)


def test_one_sign_alone_and_nothing_at_all() -> None:
    np.testing.assert_array_equal(rank_signed(np.array([2.0, 1.0])), [2, 1])
    np.testing.assert_array_equal(rank_signed(np.array([-2.0, -1.0])), [-2, -1])
    assert np.isnan(rank_signed(np.array([np.nan, np.nan]))).all()
