"""What the clusters of a model are: whether they come again, and what distinguishes the rows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import skew
from sklearn.metrics import adjusted_rand_score

from m3h.core.errors import DataError
from m3h.evaluation.intervals import interval

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Clusters with fewer rows are marked: what distinguishes them may be chance.
LEAST_ROWS = 30
#: Columns more skewed than this, either way, are told by their median.
SKEWED = 1.0


@dataclass(frozen=True)
class Stability:
    """How alike clusterings of ``pairs`` pairs are: the ``mean`` adjusted Rand index and the middle 95 % of them.

    1: the same clusters; 0: as alike as chance. Higher is better; NaN where no pair can be compared.
    """

    mean: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Column:
    """A numeric column in the rows of one cluster, in the column's unit.

    ``measured`` and ``measured_others``: share of the cluster's rows, and of all others, with a value. Of those with
    one the ``mean`` and ``sd`` (divisor n - 1), ``median`` and quartiles ``q1`` and ``q3``; ``skewed`` says that the
    latter tell more. ``smd``: standardised mean difference to all other rows, above 0 where the cluster's are higher.
    """

    name: str
    measured: float
    measured_others: float
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    skewed: bool
    smd: float


@dataclass(frozen=True)
class Profile:
    """A ``cluster`` of ``n`` rows, ``share`` of all; its ``columns``, what distinguishes it most first; ``small`` where
    that may be chance."""

    cluster: int
    n: int
    share: float
    small: bool
    columns: tuple[Column, ...]


def stability(labels: Whole, reference: Whole | None = None) -> Stability:
    """Adjusted Rand index of every two of the resamples, or of each with a ``reference`` (n,) where one is given.

    ``labels`` (resamples, n) cluster numbers, -1 where a row is not in a resample; two clusterings are compared on the
    rows that both have, and not at all where those are fewer than two. The numbers of clusters mean nothing. ``low``
    and ``high`` are percentiles of the pairs, no interval of the mean: pairs share resamples. Source: Hubert & Arabie
    1985. Errors: DataError for numbers below -1 or shapes that differ.
    """
    if labels.ndim != 2 or (reference is not None and reference.shape != labels.shape[1:]):
        shape = "none" if reference is None else str(reference.shape)
        raise DataError(
            f"labels of shape {labels.shape} with a reference of shape {shape}",
            expected="(resamples, rows) and (rows,)",
        )
    for given in (labels, labels if reference is None else reference):
        _check_numbers(given)
    pairs = combinations(labels, 2) if reference is None else ((reference, one) for one in labels)
    both = ((a, b, (a >= 0) & (b >= 0)) for a, b in pairs)
    found = np.array([adjusted_rand_score(a[kept], b[kept]) for a, b, kept in both if kept.sum() >= 2])
    mean = float(found.mean()) if len(found) else float("nan")
    return Stability(mean, *interval(found), len(found))


def profiles(columns: Floats, names: Sequence[str], clusters: Whole) -> tuple[Profile, ...]:
    """Each cluster that has rows, by number, with its columns in falling order of the absolute ``smd``.

    ``columns`` (n, k) numbers with NaN where not measured, ``names`` (k,), ``clusters`` (n,) from 0, -1 for rows in
    none (left out). The standardised mean difference is (mean of the cluster - mean of all other rows) over the root of
    the mean of the two variances (Austin 2009; divisor n - 1); over the standard deviation of all rows where both
    variances are 0, as of a column that the cluster alone has, and 0 where all values are equal. NaN, and last, with
    fewer than two values on a side. About 0.2 is small, 0.5 medium, 0.8 large (Cohen 1988). These are no tests: the
    clusters were made from such columns. Errors: DataError for infinite values or lengths that differ.

    Values 1 2 3 in a cluster, 5 6 7 elsewhere: both variances 1, smd -4.
    """
    if columns.ndim != 2 or columns.shape[1] != len(names) or clusters.shape != columns.shape[:1]:
        raise DataError(
            f"columns of shape {columns.shape}, {len(names)} names, clusters of shape {clusters.shape}",
            expected="columns (rows, width), a name for each, clusters (rows,)",
        )
    _check_numbers(clusters)
    if np.isinf(columns).any():
        wrong = [names[place] for place in np.unique(np.nonzero(np.isinf(columns))[1])[:3]]
        raise DataError(f"infinite values in {', '.join(wrong)}", expected="numbers, NaN where not measured")
    columns, clusters = columns[clusters >= 0].astype(np.float64), clusters[clusters >= 0]
    skewed = [_skewed(column[~np.isnan(column)]) for column in columns.T]
    found = []
    for number in np.unique(clusters).tolist():
        rows = clusters == number
        told = [_column(name, column, rows, tail) for name, column, tail in zip(names, columns.T, skewed, strict=True)]
        # sorted is stable: equal ones keep the order of the columns
        ranked = sorted(told, key=lambda one: -1.0 if np.isnan(one.smd) else abs(one.smd), reverse=True)
        count = int(rows.sum())
        found.append(Profile(number, count, count / len(rows), count < LEAST_ROWS, tuple(ranked)))
    return tuple(found)


def standardised_difference(inside: Floats, outside: Floats) -> float:
    """Standardised mean difference of two sets of values (a,) and (b,), as :func:`profiles` says."""
    if len(inside) < 2 or len(outside) < 2:
        return float("nan")
    gap = float(inside.mean() - outside.mean())
    spread = float(np.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2))
    if spread == 0:
        spread = float(np.concatenate([inside, outside]).std())
    return gap / spread if spread > 0 else 0.0


def _column(name: str, values: Floats, rows: Flags, skewed: bool) -> Column:
    measured = ~np.isnan(values)
    inside, outside = values[rows & measured], values[~rows & measured]
    nan = float("nan")
    q1, median, q3 = np.percentile(inside, (25, 50, 75)).tolist() if len(inside) else (nan, nan, nan)
    return Column(
        name=name,
        measured=float(measured[rows].mean()),
        measured_others=float(measured[~rows].mean()) if not rows.all() else nan,
        mean=float(inside.mean()) if len(inside) else nan,
        sd=float(inside.std(ddof=1)) if len(inside) > 1 else nan,
        median=median,
        q1=q1,
        q3=q3,
        skewed=skewed,
        smd=standardised_difference(inside, outside),
    )


def _skewed(values: Floats) -> bool:
    # of nearly equal values the skewness is rounding, and SciPy warns
    if len(values) < 3 or values.std() <= 1e-12 * np.abs(values).max():
        return False
    return bool(abs(float(skew(values))) > SKEWED)


def _check_numbers(clusters: Whole) -> None:
    if not np.issubdtype(clusters.dtype, np.integer) or (clusters.size and clusters.min() < -1):
        raise DataError("clusters are not numbered from 0", expected="whole numbers, -1 for rows in none")
