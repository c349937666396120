"""Phenotypes: scikit-learn's Rand index, hand-worked tables, order of what distinguishes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from m3h.core.errors import DataError
from m3h.evaluation.phenotypes import LEAST_ROWS, profiles, stability, standardised_difference

RANDOM = np.random.default_rng(3)


def example(rows=300):
    """Three clusters: the first is old, the second has a rare operation, the third is like all."""
    clusters = RANDOM.permutation(np.arange(rows) % 3)
    age = RANDOM.normal(60, 10, size=rows) + 20 * (clusters == 0)
    operation = ((clusters == 1) & (RANDOM.random(rows) < 0.5)).astype(float)
    stay = RANDOM.lognormal(1, 1, size=rows)
    stay[RANDOM.random(rows) < 0.2] = np.nan
    return np.column_stack([stay, operation, age]), ("stay", "operation", "age"), clusters


# --- stability


def test_pairs_are_compared_on_the_rows_that_both_have():
    labels = RANDOM.integers(0, 4, size=(5, 200))
    labels[RANDOM.random((5, 200)) < 0.3] = -1
    theirs = []
    for first in range(5):
        for second in range(first):
            kept = (labels[first] >= 0) & (labels[second] >= 0)
            theirs.append(adjusted_rand_score(labels[first][kept], labels[second][kept]))
    found = stability(labels)
    assert found.pairs == 10 and found.mean == pytest.approx(np.mean(theirs)) and abs(found.mean) < 0.05
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(theirs, (2.5, 97.5))))


def test_numbers_of_clusters_mean_nothing_and_a_published_example():
    labels = RANDOM.integers(0, 5, size=100)
    renamed = np.array([3, 0, 4, 1, 2])[labels]
    assert stability(np.stack([labels, renamed, labels])).mean == pytest.approx(1)
    # scikit-learn's guide: 0.242...
    found = stability(np.array([[0, 0, 1, 1, 2, 2]]), np.array([0, 0, 0, 1, 1, 1]))
    assert found.mean == pytest.approx(0.242424, abs=1e-6) and found.pairs == 1


def test_pairs_without_common_rows_are_left_out():
    labels = np.array([[0, 1, 1, -1, -1, -1], [-1, -1, -1, 0, 0, 1], [0, 1, 1, 0, 0, 1]])
    assert stability(labels).pairs == 2
    nothing = stability(labels[:2])
    assert nothing.pairs == 0 and np.isnan([nothing.mean, nothing.low, nothing.high]).all()
    assert np.isnan(stability(labels[:1]).mean)


# --- profiles


def test_what_distinguishes_a_cluster_comes_first():
    columns, names, clusters = example()
    first, second, third = profiles(columns, names, clusters)
    assert first.columns[0].name == "age" and first.columns[0].smd > 1
    assert second.columns[0].name == "operation" and second.columns[0].smd > 0.5
    assert [one.cluster for one in (first, second, third)] == [0, 1, 2]
    for one in (first, second, third):
        sizes = [abs(column.smd) for column in one.columns]
        assert sizes == sorted(sizes, reverse=True) and one.n == 100 and one.share == pytest.approx(1 / 3)


def test_numbers_are_those_of_the_values_that_were_measured():
    columns, names, clusters = example()
    found = {column.name: column for column in profiles(columns, names, clusters)[2].columns}["stay"]
    known = ~np.isnan(columns[:, 0])
    inside, outside = columns[known & (clusters == 2), 0], columns[known & (clusters != 2), 0]
    described = stats.describe(inside)
    assert (found.mean, found.sd) == pytest.approx((described.mean, np.sqrt(described.variance)))
    assert (found.q1, found.median, found.q3) == pytest.approx(tuple(np.quantile(inside, (0.25, 0.5, 0.75))))
    assert found.measured == pytest.approx(known[clusters == 2].mean())
    assert found.measured_others == pytest.approx(known[clusters != 2].mean())
    # with equal numbers on both sides Austin's difference is Student's t times the root of 2 / n
    n = min(len(inside), len(outside))
    t = stats.ttest_ind(inside[:n], outside[:n]).statistic
    assert standardised_difference(inside[:n], outside[:n]) == pytest.approx(t * np.sqrt(2 / n))


def test_hand_worked_difference_and_its_sign():
    values = np.array([1.0, 2, 3, 5, 6, 7])
    low, high = profiles(values[:, None], ["a"], np.array([0, 0, 0, 1, 1, 1]))
    assert low.columns[0].smd == pytest.approx(-4) and high.columns[0].smd == pytest.approx(4)


def test_long_tails_are_told_by_their_median():
    columns, names, clusters = example()
    skewed = {column.name: column.skewed for column in profiles(columns, names, clusters)[0].columns}
    assert skewed["stay"] and not skewed["age"]


def test_columns_without_spread_or_values():
    clusters = np.repeat([0, 1], 40)
    only = (clusters == 0).astype(float)  # all of one cluster, none of the other
    same, empty = np.full(80, 0.1), np.full(80, np.nan)
    single = np.where(np.arange(80) == 3, 7.0, np.nan)
    found, _ = profiles(np.column_stack([empty, same, single, only]), ["empty", "same", "single", "only"], clusters)
    told = {column.name: column for column in found.columns}
    assert told["only"].smd == pytest.approx(2) and told["same"].smd == 0
    assert np.isnan([told["empty"].smd, told["empty"].mean, told["single"].smd, told["single"].sd]).all()
    assert told["single"].mean == 7 and told["single"].measured == 1 / 40 and told["empty"].measured == 0
    assert [column.name for column in found.columns] == ["only", "same", "empty", "single"]


def test_small_clusters_are_marked_and_rows_in_none_left_out():
    columns, names, clusters = example()
    clusters = np.where(np.arange(300) < LEAST_ROWS - 1, 7, np.where(clusters == 1, -1, 0))
    large, small = profiles(columns, names, clusters)
    assert (large.cluster, large.small) == (0, False) and (small.cluster, small.n, small.small) == (7, 29, True)
    assert large.share + small.share == pytest.approx(1)
    kept = clusters >= 0
    assert profiles(columns[kept], names, clusters[kept]) == (large, small)


def test_one_cluster_has_nothing_to_differ_from_and_none_no_profile():
    columns, names, _ = example()
    (only,) = profiles(columns, names, np.zeros(300, dtype=int))
    assert np.isnan([[column.smd, column.measured_others] for column in only.columns]).all()
    assert profiles(columns, names, np.full(300, -1)) == ()


def test_order_of_rows_changes_nothing():
    columns, names, clusters = example()
    order = RANDOM.permutation(300)
    for one, other in zip(
        profiles(columns, names, clusters), profiles(columns[order], names, clusters[order]), strict=True
    ):
        assert [column.name for column in one.columns] == [column.name for column in other.columns]
        assert [column.smd for column in one.columns] == pytest.approx([column.smd for column in other.columns])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stability(np.zeros(3, dtype=int)), r"labels of shape \(3,\) .* none\n  expected: \(resamples, rows\)"),
        (lambda: stability(np.zeros((2, 3), dtype=int), np.zeros(2, dtype=int)), r"a reference of shape \(2,\)"),
        (lambda: stability(np.full((2, 3), -2)), "not numbered from 0"),
        (lambda: stability(np.zeros((2, 3))), "not numbered from 0"),
        (lambda: profiles(np.zeros((3, 2)), ["a"], np.zeros(3, dtype=int)), r"shape \(3, 2\), 1 names"),
        (lambda: profiles(np.full((3, 1), np.inf), ["age"], np.zeros(3, dtype=int)), "infinite values in age"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()
