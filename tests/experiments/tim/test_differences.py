from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from m3h.experiments.tim.differences import differences
from m3h.experiments.tim.observed import Rows

PAIRS = np.array([1.0, 0.0])


def rows(others: list[list[int]], group: list[int], score: list[float]) -> Rows:
    inside = np.array(others, dtype=float)
    size = inside.sum(1).astype(np.int64) + 1
    return Rows(inside, size, np.array(group), np.ones(len(score)), np.array(score))


def test_pairs_by_hand() -> None:
    # single, with b, with c; two replicates. Differences b: 1, 3; c: -1, -2.
    given = rows([[0, 0], [1, 0], [0, 1]] * 2, [0, 0, 0, 1, 1, 1], [1, 2, 0, 5, 8, 3])
    found = differences(given, PAIRS)
    assert found.value.tolist() == [2.0, -1.5]
    assert found.trials.tolist() == [4.0, 4.0]
    # squares about the means 1 + 1 and 0.25 + 0.25, over 2 free ones: 1.25; of a mean of two 1.25 / 2
    assert found.error == pytest.approx(np.sqrt([0.625, 0.625]))
    # two targets with a correlation of 1/2 by their common single: 2 * 2 / (1 + 1 + 1/4 + 1/4) degrees
    assert found.freedom == pytest.approx(1.6)


def test_one_target_is_a_t_test() -> None:
    given = rows([[0], [1]] * 4, [0, 0, 1, 1, 2, 2, 3, 3], [0.5, 0.7, 0.4, 0.9, 0.6, 0.5, 0.2, 0.7])
    found = differences(given, np.array([1.0]))
    test = ttest_1samp([0.2, 0.5, -0.1, 0.5], 0.0)
    assert found.freedom == pytest.approx(3)
    assert found.p()[0] == pytest.approx(test.pvalue)
    low, high = found.interval()
    assert (low[0], high[0]) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_a_lost_single_loses_its_replicate_and_a_lost_pair_its_difference() -> None:
    given = rows([[1, 0], [0, 1], [0, 0], [1, 0]], [0, 0, 1, 1], [2, 0, 5, 8])
    found = differences(given, PAIRS)
    np.testing.assert_array_equal(found.value, [3.0, np.nan])
    assert found.trials.tolist() == [2, 0]
    assert np.isnan(found.error).all()


def test_exact_means_are_weighed_by_size_and_spread_over_sets_alone() -> None:
    # three tasks, one replicate: adding b gives 1 alone and 4 beside c
    given = rows([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 0, 0, 0], [0, 1, 2, 6])
    found = differences(given, np.array([0.75, 0.25]))
    assert found.value == pytest.approx([0.75 * 1 + 0.25 * 4, 0.75 * 2 + 0.25 * 5])
    assert found.trials.tolist() == [4, 4]
    equal = differences(given, np.array([0.5, 0.5]))
    # the standard error of the mean of 1 and 4, and of 2 and 5
    assert equal.error == pytest.approx([1.5, 1.5])
    assert equal.freedom == 1
