"""Many dimensions on a sheet of paper: rows of a learned space as points of a plane."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from m3h.core import seeds
from m3h.core.errors import DataError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Method = Literal["UMAP", "PCA"]

#: UMAP's neighbours: its authors' default, fewer where there are fewer rows.
NEIGHBOURS = 15
#: Of fewer rows a map shows nothing.
LEAST_ROWS = 4


@dataclass(frozen=True)
class Plane:
    """``places`` (n, 2) without a unit, and the ``method`` that put the rows there."""

    places: Floats
    method: Method


def method() -> Method:
    """UMAP where umap-learn is installed, else principal components."""
    return "UMAP" if importlib.util.find_spec("umap") is not None else "PCA"


def plane(points: Floats, seed: int) -> Plane:
    """``points`` (n, width) in the plane, by UMAP (McInnes et al. 2018) with a fixed seed, or where the library is not
    installed by their first two principal components; the answer says which.

    UMAP keeps neighbours together; distances between its islands, and their sizes, mean little. Principal components
    keep distances as far as two dimensions can. Equal rows stand in one place. Both look at the points alone, never at
    groups. Errors: DataError for fewer than LEAST_ROWS rows or a point that is not finite.
    """
    if points.ndim != 2 or len(points) < LEAST_ROWS or not np.isfinite(points).all():
        raise DataError(f"points of shape {points.shape}", expected=f"finite, (rows, width), {LEAST_ROWS} rows or more")
    chosen = method()
    if not np.ptp(points, axis=0).any():
        # UMAP would divide by the spread
        return Plane(np.zeros((len(points), 2)), chosen)
    return Plane(_umap(points, seed) if chosen == "UMAP" else _components(points), chosen)


def _umap(points: Floats, seed: int) -> Floats:
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        # of libraries beneath it: which others are missing, what they would rather be called with
        warnings.simplefilter("ignore")
        import umap

        neighbours = min(NEIGHBOURS, len(points) - 1)
        # principal components as a start: the spectral one fails on few or equal rows
        fitted = umap.UMAP(n_neighbors=neighbours, random_state=seeds.small(seed, "umap"), n_jobs=1, init="pca")
        return np.asarray(fitted.fit_transform(points.astype(np.float32)), dtype=np.float64)


def _components(points: Floats) -> Floats:
    """The first two principal components; 0 where there is no second."""
    # one thread: the order of a sum depends on the number of threads
    with threadpool_limits(limits=1):
        found = PCA(min(2, points.shape[1]), svd_solver="full").fit_transform(points)
    result = np.zeros((len(points), 2))
    result[:, : found.shape[1]] = found
    return result


def matched(clusters: Whole, reference: Whole) -> Whole:
    """For each row (n,) the number under which its cluster of ``clusters`` (n,) stands beside those of ``reference``
    (n,): one to one, so that as many rows as possible have equal numbers (Kuhn 1955).

    Clusters 0 0 1 beside 1 1 0 become 1 1 0. Errors: DataError if lengths differ.
    """
    if clusters.shape != reference.shape:
        raise DataError(f"clusters of {len(clusters)} and {len(reference)} rows", expected="the same rows")
    count = int(max(clusters.max(initial=-1), reference.max(initial=-1))) + 1
    shared = np.zeros((count, count), dtype=np.int64)
    np.add.at(shared, (clusters, reference), 1)
    number: Whole = linear_sum_assignment(shared, maximize=True)[1].astype(np.int64)
    return number[clusters]
