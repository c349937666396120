"""How well groups of rows are apart: silhouettes and sizes of clusters.

For two rows or 20,000: distances are made a block of rows at a time, never all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from m3h.core.errors import DataError

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: A block of distances holds at most this many numbers (16 MB).
CELLS = 2_000_000
#: Squared distances below this share of the two rows' squared lengths are what rounding makes of equal rows.
EQUAL = 64 * np.finfo(np.float64).eps


def silhouettes(points: Floats, clusters: Whole, subsets: NDArray[np.bool_] | None = None) -> Floats:
    """Silhouette of each row, from -1 to 1: higher is better, 0 lies between two clusters.

    ``points`` (n, width), ``clusters`` (n,) whole numbers from 0. With a the mean Euclidean distance to the other rows
    of its cluster and b that to the rows of the nearest other cluster, (b - a) / max(a, b); 0 for a row alone in its
    cluster or where both are 0. ``subsets`` (draws, n) tells which rows take part in each draw: the answer is
    (draws, n), NaN for rows outside; without subsets it is (1, n). All NaN for a draw with fewer than two clusters,
    and throughout if a point is not finite. Equal to scikit-learn's silhouette_samples. Source: Rousseeuw 1987.

    Points 0, 1 and 5, 6 in clusters 0 0 1 1: the first has a = 1, b = 5.5, silhouette 4.5 / 5.5.
    """
    _check(points, clusters)
    inside = np.ones((1, len(clusters)), dtype=np.bool_) if subsets is None else subsets
    result = np.full(inside.shape, np.nan)
    if not len(clusters) or not np.isfinite(points).all():
        return result
    count = int(clusters.max()) + 1
    members = inside[:, :, None] & (clusters[:, None] == np.arange(count))  # (draws, n, clusters)
    rows_in = members.sum(axis=1)
    columns = np.ascontiguousarray(np.moveaxis(members, 0, 1).reshape(len(clusters), -1), dtype=np.float64)
    # one thread: the order of a sum depends on the number of threads
    with threadpool_limits(limits=1, user_api="blas"):
        for start, distances in _distances(points):
            rows = slice(start, start + len(distances))
            totals = (distances @ columns).reshape(len(distances), len(inside), count)
            for draw in range(len(inside)):
                result[draw, rows] = _block(totals[:, draw], clusters[rows], rows_in[draw])
    result[~inside] = np.nan
    result[(rows_in > 0).sum(axis=1) < 2] = np.nan
    return result


def silhouette(points: Floats, clusters: Whole, subsets: NDArray[np.bool_] | None = None) -> Floats:
    """Mean of the :func:`silhouettes` of the rows that take part, one number a draw (draws,); higher is better.

    NaN for a draw with fewer than two clusters. A space that a network learned can raise it by collapsing: read it
    beside the sizes of the clusters and the silhouette in a space that does not depend on the network.
    """
    each = silhouettes(points, clusters, subsets)
    inside = ~np.isnan(each)
    total = np.where(inside, each, 0.0).sum(axis=1)
    rows = inside.sum(axis=1)
    average: Floats = np.divide(total, rows, out=np.full(len(each), np.nan), where=rows > 0)
    return average


def sizes(clusters: Whole, count: int) -> Whole:
    """Rows in each of ``count`` clusters (count,), those without a row included. ``clusters`` (n,) from 0."""
    found = np.bincount(clusters, minlength=count)
    if len(found) > count:
        raise DataError(f"cluster number {len(found) - 1}", expected=f"numbers below {count}")
    return found.astype(np.int64)


def _distances(points: Floats) -> Iterator[tuple[int, Floats]]:
    """Euclidean distances of each block of rows to all rows, with the number of the block's first row."""
    # about their mean, so that a common offset takes no digits from the differences
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    lengths = np.einsum("nf,nf->n", centred, centred)
    step = max(1, CELLS // len(centred))
    for start in range(0, len(centred), step):
        own = slice(start, start + step)
        scale = lengths[own, None] + lengths
        squared = scale - 2.0 * (centred[own] @ centred.T)
        squared[squared <= EQUAL * scale] = 0.0
        here = np.arange(len(squared))
        squared[here, start + here] = 0.0
        yield start, np.sqrt(squared)


def _block(totals: Floats, clusters: Whole, sizes: Whole) -> Floats:
    """Silhouettes of some rows from their summed distances to each cluster (rows, clusters)."""
    here = np.arange(len(clusters))
    own_size = sizes[clusters]
    within = totals[here, clusters] / np.maximum(own_size - 1, 1)
    others = np.where(sizes > 0, totals / np.maximum(sizes, 1), np.inf)
    others[here, clusters] = np.inf
    between = others.min(axis=1)
    larger = np.maximum(within, between)
    defined = (own_size > 1) & (larger > 0) & np.isfinite(larger)
    result: Floats = np.divide(between - within, larger, out=np.zeros(len(clusters)), where=defined)
    return result


def _check(points: Floats, clusters: Whole) -> None:
    if points.ndim != 2 or clusters.shape != points.shape[:1]:
        raise DataError(
            f"points of shape {points.shape} with clusters of shape {clusters.shape}",
            expected="points (rows, width) and clusters (rows,)",
        )
    if not np.issubdtype(clusters.dtype, np.integer) or (len(clusters) and clusters.min() < 0):
        raise DataError("clusters are not numbered from 0", expected="whole numbers, 0 or above")
