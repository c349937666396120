"""Silhouettes: scikit-learn's numbers, a hand-worked case, and what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples, silhouette_score
from threadpoolctl import threadpool_limits

from m3h.core.errors import DataError
from m3h.evaluation import clusters


def groups(rows=250, width=5, count=4, seed=0):
    random = np.random.default_rng(seed)
    found = random.integers(0, count, size=rows)
    return random.normal(size=(rows, width)) + 1.5 * found[:, None] + 100, found


def test_hand_worked_line():
    values = clusters.silhouettes(np.array([[0.0], [1], [5], [6]]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(values, [[4.5 / 5.5, 3.5 / 4.5, 3.5 / 4.5, 4.5 / 5.5]])


@pytest.mark.parametrize("cells", [300, 2_000_000])
def test_rows_as_scikit_learn(cells, monkeypatch):
    monkeypatch.setattr(clusters, "CELLS", cells)  # 300: one row a block
    points, found = groups()
    found[7] = 6  # a cluster of one row, and a number (5) without a row
    np.testing.assert_allclose(clusters.silhouettes(points, found)[0], silhouette_samples(points, found), atol=1e-9)
    assert clusters.silhouettes(points, found)[0, 7] == 0
    assert clusters.silhouette(points, found)[0] == pytest.approx(silhouette_score(points, found), abs=1e-9)


def test_subsets_are_scored_as_if_the_other_rows_were_not_there():
    points, found = groups()
    inside = np.random.default_rng(1).random((3, len(found))) < 0.7
    values = clusters.silhouettes(points, found, inside)
    for draw in range(3):
        kept = inside[draw]
        np.testing.assert_allclose(values[draw, kept], silhouette_samples(points[kept], found[kept]), atol=1e-9)
        assert np.isnan(values[draw, ~kept]).all()


def test_fewer_than_two_clusters_are_no_score():
    points, found = groups()
    assert np.isnan(clusters.silhouette(points, np.zeros_like(found))).tolist() == [True]
    inside = np.stack([found == 2, found >= 2])
    assert np.isnan(clusters.silhouette(points, found, inside)).tolist() == [True, False]
    assert clusters.silhouettes(np.zeros((0, 3)), np.zeros(0, dtype=int)).shape == (1, 0)
    assert np.isnan(clusters.silhouette(np.zeros((0, 3)), np.zeros(0, dtype=int))).tolist() == [True]


def test_a_collapsed_space_scores_zero_and_a_diverged_one_nothing():
    found = np.arange(40) % 3
    assert clusters.silhouette(np.full((40, 3), 0.1), found).tolist() == [0.0]
    points = np.random.default_rng(0).normal(size=(40, 3))
    points[4, 1] = np.nan
    assert np.isnan(clusters.silhouette(points, found)).all()


def test_number_of_threads_changes_no_digit():
    points, found = groups(rows=700, width=40)
    with threadpool_limits(limits=1):
        one = clusters.silhouettes(points, found)
    with threadpool_limits(limits=4):
        np.testing.assert_array_equal(one, clusters.silhouettes(points, found))


def test_sizes_count_empty_clusters_too():
    assert clusters.sizes(np.array([3, 0, 3]), 5).tolist() == [1, 0, 0, 2, 0]
    with pytest.raises(DataError, match="cluster number 3"):
        clusters.sizes(np.array([3]), 3)


def test_clusters_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="numbered from 0"):
        clusters.silhouettes(np.zeros((2, 1)), np.array([-1, 0]))
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        clusters.silhouettes(np.zeros((2, 1)), np.array([0, 1, 1]))
