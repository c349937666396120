"""Rows in the plane: scikit-learn's components, a stand-in for UMAP, matching by hand and by trying all."""

from __future__ import annotations

import itertools
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
from sklearn.decomposition import PCA

from m3h.core.errors import DataError
from m3h.evaluation import projection

POINTS = np.random.default_rng(3).normal(size=(60, 5)) * (5, 3, 1, 1, 1)


@pytest.fixture
def without_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.fixture
def with_umap(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """A stand-in for the library, which keeps what it was asked."""
    asked: list[dict[str, object]] = []

    class Stand:
        def __init__(self, **settings: object) -> None:
            asked.append(settings)

        def fit_transform(self, points: np.ndarray) -> np.ndarray:
            return points[:, :2] + 1

    module = ModuleType("umap")
    module.UMAP = Stand  # type: ignore[attr-defined]
    module.__spec__ = ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", module)
    return asked


@pytest.mark.usefixtures("without_umap")
def test_without_the_library_rows_stand_by_their_components_and_it_is_said() -> None:
    made = projection.plane(POINTS, 7)
    assert made.method == projection.method() == "PCA"
    np.testing.assert_allclose(np.abs(made.places), np.abs(PCA(2).fit_transform(POINTS)), atol=1e-9)
    assert (projection.plane(POINTS[:, :1], 7).places[:, 1] == 0).all()


def test_with_the_library_rows_stand_by_umap_from_the_studys_seed(with_umap: list[dict[str, object]]) -> None:
    made = projection.plane(POINTS, 7)
    assert made.method == projection.method() == "UMAP"
    np.testing.assert_allclose(made.places, POINTS[:, :2] + 1, rtol=1e-6, atol=1e-6)
    projection.plane(POINTS[:6], 7)
    projection.plane(POINTS, 8)
    assert [one["n_neighbors"] for one in with_umap] == [15, 5, 15]
    first, second, other = (one["random_state"] for one in with_umap)
    assert first == second != other


def test_equal_points_stand_in_one_place(with_umap: list[dict[str, object]]) -> None:
    # of a network that collapsed; the library itself would answer with no numbers
    assert (projection.plane(np.ones((9, 3)), 7).places == 0).all() and with_umap == []


def test_points_that_cannot_be_placed_are_refused() -> None:
    for points in (POINTS[:3], POINTS[0], np.full((9, 2), np.nan)):
        with pytest.raises(DataError, match="points of shape"):
            projection.plane(points, 7)


def test_groups_are_matched_one_to_one_with_those_that_share_most_rows() -> None:
    one, other = np.array([0, 0, 1]), np.array([1, 1, 0])
    assert projection.matched(one, other).tolist() == [1, 1, 0]
    random = np.random.default_rng(1)
    one, other = random.integers(0, 4, (2, 50))
    best = max(
        sum(order[a] == b for a, b in zip(one, other, strict=True)) for order in itertools.permutations(range(4))
    )
    found = projection.matched(one, other)
    assert (found == other).sum() == best
    assert len({(a, b) for a, b in zip(one.tolist(), found.tolist(), strict=True)}) == 4


def test_more_groups_on_one_side_keep_numbers_apart() -> None:
    found = projection.matched(np.array([0, 1, 2, 2]), np.array([0, 0, 0, 0]))
    assert found[2] == found[3] == 0 and len(set(found.tolist())) == 3
    with pytest.raises(DataError, match="clusters of 2 and 3 rows"):
        projection.matched(np.array([0, 1]), np.array([0, 1, 1]))
