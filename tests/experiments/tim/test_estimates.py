from __future__ import annotations

import numpy as np
import pytest

from m3h.experiments.tim.estimates import Estimate, false_discovery, unknown


def test_interval_and_p_are_students() -> None:
    # t of 0.975 at 2 degrees of freedom is 4.303; t = 4.303 has p = 0.05
    one = Estimate(np.array([4.302653, 0.0]), np.array([1.0, 2.0]), np.array([6.0, 6.0]), 2)
    low, high = one.interval()
    assert low == pytest.approx([0.0, -8.605306], abs=1e-5)
    assert high == pytest.approx([8.605306, 8.605306], abs=1e-5)
    assert one.p() == pytest.approx([0.05, 1.0], abs=1e-7)


def test_without_error_only_zero_is_in_doubt() -> None:
    assert Estimate(np.array([0.0, 1e-9]), np.zeros(2), np.ones(2), 3).p().tolist() == [1.0, 0.0]


def test_the_unknown_has_no_interval() -> None:
    one = unknown(3, 2)
    assert np.isnan([one.value, *one.interval(), one.p()]).all()
    assert one.trials.tolist() == [2, 2, 2]


def test_false_discovery_rates_by_hand_and_missing_ones_left_out() -> None:
    p = np.array([[np.nan, 0.01, 0.04], [0.03, np.nan, np.nan]])
    # sorted 0.01, 0.03, 0.04 times 3/1, 3/2, 3/3, each no larger than the next
    q = false_discovery(p)
    np.testing.assert_allclose(q, [[np.nan, 0.03, 0.04], [0.04, np.nan, np.nan]])
    assert np.isnan(false_discovery(np.full((2, 2), np.nan))).all()
