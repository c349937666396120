"""The functions of each feature that an additive model adds up: value, piecewise-linear bins, missingness.

Every column belongs to one feature; a sparse model takes a feature with all its columns or leaves it. All columns have
mean 0 over the rows fitted on where the value was measured, and are 0 where it was not, so that what is missing adds
what is usual. A source that is absent adds 0 too, but for a column of its own if it is absent in some rows fitted on.
Piecewise-linear bins: Gorishniy 2022, arXiv 2203.05556.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.encoders.block import Block, Floats

#: Bins of a feature, between quantiles; only of features that are numbers someone measured.
BINS = 8
BINNED = ("tabular", "timeseries")
#: Values bend away from straight beyond so many deviations, and never reach twice as many.
BEND = 4.0
#: A missing value says nothing where its indicator's deviation is less than this.
SELDOM = 0.02
#: So many numbers are worked on at once: few enough to stay in a processor's cache.
NUMBERS = 100_000
#: Quartiles of a normal distribution are this many deviations apart.
QUARTILES = 1.349

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class SourceBasis:
    """One source's functions.

    ``middle`` and ``spread`` float64 (width,), spread 0: the feature is constant and has no function; ``edges``
    (width, BINS + 1), ascending, filled up with inf, all inf without bins; ``missing`` the features with an indicator
    of missingness, ``absent`` whether there is one of the source's absence; ``means`` (columns,) are taken off.
    """

    middle: Float64
    spread: Float64
    edges: Float64
    missing: NDArray[np.int64]
    absent: bool
    means: Float64

    @property
    def counts(self) -> NDArray[np.int64]:
        """Columns of each group: those of the features that have any, then one for each indicator."""
        bins = np.isfinite(self.edges).sum(1) - 1
        own = np.where(self.spread > 0, 1 + np.maximum(bins, 0), 0)
        return np.concatenate([own[own > 0], np.ones(len(self.missing) + self.absent, np.int64)]).astype(np.int64)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.counts.sum())

    @property
    def features(self) -> NDArray[np.int64]:
        """The block's column that each group is of; -1: the source's absence."""
        absence = np.full(int(self.absent), -1)
        return np.concatenate([np.flatnonzero(self.spread > 0), self.missing, absence]).astype(np.int64)

    def apply(self, block: Block, rows: NDArray[np.int64] | None = None) -> Floats:
        """The functions of ``rows`` (default: all samples), float32 (columns, row)."""
        values, present = block.values, block.present
        if rows is not None:
            values, present = values[rows], present[rows]
        out = np.empty((self.columns, len(values)), np.float32)
        begin = 0
        # a loop over features for many rows, and none for one: what it costs beside the numbers themselves adds up
        for functions, known in self._functions(values, present, max(1, NUMBERS // max(1, len(values) * BINS))):
            end = begin + len(functions)
            out[begin:end] = np.where(known, functions - self.means[begin:end, None], 0.0)
            begin = end
        return out

    def _functions(
        self, values: Floats, present: NDArray[np.bool_], together: int
    ) -> Iterator[tuple[Float64, NDArray[np.bool_]]]:
        """Groups' functions (columns, row) before means are taken off, and where they are known, (columns, row), so
        many features at a time."""
        for features in _some(np.flatnonzero(self.spread > 0), together):
            middle, spread = self.middle[features, None], self.spread[features, None]
            x = values[:, features].T.astype(np.float64)
            known = ~np.isnan(x) & present
            x = np.where(known, x, middle)
            z = (x - middle) / spread
            # each feature's value, then its bins
            edges = self.edges[features]
            owner, bin_ = np.nonzero(np.isfinite(edges[:, 1:]))
            first = np.arange(len(features)) + np.searchsorted(owner, np.arange(len(features)))
            low = edges[owner, bin_][:, None]
            column = np.full(len(features) + len(owner), -1)
            column[first] = np.arange(len(features))
            place = np.flatnonzero(column < 0)
            column[place] = owner
            functions = np.empty((len(column), len(values)))
            functions[first] = z / np.sqrt(1 + np.square(z / BEND))
            functions[place] = np.clip((x[owner] - low) / (edges[owner, bin_ + 1][:, None] - low), 0, 1)
            yield functions, known[column]
        for features in _some(self.missing, together):
            missing = np.isnan(values[:, features]).T.astype(np.float64)
            yield missing, np.broadcast_to(present, missing.shape)
        if self.absent:
            yield (~present)[None].astype(np.float64), np.ones((1, len(present)), bool)

    @staticmethod
    def fit(block: Block, rows: NDArray[np.int64]) -> SourceBasis:
        """Learn from the given rows (row numbers) and no others."""
        present = block.present[rows]
        values = block.values[rows].astype(np.float64)
        values[~present] = np.nan
        known = ~np.isnan(values)
        middle, spread = np.zeros(block.width), np.zeros(block.width)
        edges = np.full((block.width, BINS + 1), np.inf)
        for feature in range(block.width):
            x = values[known[:, feature], feature]
            if len(x) == 0 or x.min() == x.max():
                continue
            levels = np.quantile(x, np.linspace(0, 1, BINS + 1))
            low, middle[feature], high = np.quantile(x, (0.25, 0.5, 0.75))
            spread[feature] = (high - low) / QUARTILES if high > low else x.std()
            levels = np.unique(levels)
            if block.modality in BINNED and len(np.unique(x)) > 2 and len(levels) > 2:
                edges[feature, : len(levels)] = levels
        fitted = SourceBasis(middle, spread, edges, _telling(~known[present]), bool((~present).any()), np.zeros(0))
        means = []
        for functions, known_ in fitted._functions(block.values[rows], present, 1):
            used = known_[0]
            # rows first: sums of the same numbers in another order would be others in the last digit
            means.append(functions.T[used].mean(0) if used.any() else np.zeros(len(functions)))
        return SourceBasis(
            middle, spread, edges, fitted.missing, fitted.absent, np.concatenate(means) if means else np.zeros(0)
        )


def _some(features: NDArray[np.int64], together: int) -> Iterator[NDArray[np.int64]]:
    for begin in range(0, len(features), together):
        yield features[begin : begin + together]


def _telling(missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The columns (row, width) whose missingness varies, one of those that are always missing together."""
    if len(missing) == 0:
        return np.zeros(0, np.int64)
    varying = np.flatnonzero(missing.std(0) > SELDOM)
    if len(varying) == 0:
        return varying
    _, first = np.unique(np.packbits(missing[:, varying], axis=0), axis=1, return_index=True)
    return varying[np.sort(first)]


@dataclass(frozen=True)
class Basis:
    """The functions of several sources side by side, in their order."""

    sources: Mapping[str, SourceBasis]

    @staticmethod
    def fit(blocks: Mapping[str, Block], rows: NDArray[np.int64]) -> Basis:
        """Learn from the given rows (row numbers) and no others."""
        return Basis({name: SourceBasis.fit(block, rows) for name, block in blocks.items()})

    @property
    def columns(self) -> int:
        """Number of columns of all sources."""
        return sum(part.columns for part in self.sources.values())

    @property
    def counts(self) -> NDArray[np.int64]:
        """Columns of each group, source by source."""
        return np.concatenate([part.counts for part in self.sources.values()])

    def apply(self, blocks: Mapping[str, Block], rows: NDArray[np.int64] | None = None) -> Floats:
        """The functions of ``rows`` (default: all samples), float32 (columns, row)."""
        return np.concatenate([part.apply(blocks[name], rows) for name, part in self.sources.items()])

    def features(self, blocks: Mapping[str, Block]) -> NDArray[np.int64]:
        """The column of the blocks side by side whose value each group is a function of; -1 for indicators."""
        found, first = [], 0
        for name, part in self.sources.items():
            own = part.features
            values = np.arange(len(own)) < (part.spread > 0).sum()
            found.append(np.where(values, own + first, -1))
            first += blocks[name].width
        return np.concatenate(found)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything the basis knows, for a checkpoint."""
        return {
            f"basis/{what}/{name}": np.asarray(getattr(part, what))
            for name, part in self.sources.items()
            for what in ("middle", "spread", "edges", "missing", "absent", "means")
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]], sources: Sequence[str]) -> Basis:
        """The basis that :meth:`arrays` described, of these sources; other arrays of the checkpoint are left alone."""

        def part(name: str) -> SourceBasis:
            found = {what: arrays[f"basis/{what}/{name}"] for what in ("middle", "spread", "edges", "missing", "means")}
            return SourceBasis(**found, absent=bool(arrays[f"basis/absent/{name}"]))

        return Basis({name: part(name) for name in sources})
