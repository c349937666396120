"""The functions of two features together: what a pair adds beyond what each of them adds alone.

Each feature is cut at its median into two linear pieces; a pair's four functions are the products of their pieces.
They have mean 0 over the rows fitted on, and are 0 where one of the two was not measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.encoders.block import Block, Floats

#: Quantiles that a feature is cut at, and functions of a pair.
CUTS = (0.0, 0.5, 1.0)
COLUMNS = 4


@dataclass(frozen=True)
class Pairs:
    """``pairs`` int64 (pair, 2) are columns of the blocks side by side; ``edges`` (pair, 2, 3) where they are cut,
    ``middles`` (pair, 2, 2) the means of their pieces, ``means`` (pair, 4) those of the products."""

    pairs: NDArray[np.int64]
    edges: NDArray[np.float64]
    middles: NDArray[np.float64]
    means: NDArray[np.float64]

    @staticmethod
    def fit(blocks: Mapping[str, Block], pairs: Sequence[tuple[int, int]], rows: NDArray[np.int64]) -> Pairs:
        """Learn from the given rows (row numbers) and no others. A feature of one value has pieces of 0."""
        wanted = np.array(pairs, np.int64).reshape(-1, 2)
        columns = side_by_side(blocks, np.unique(wanted), rows)
        edges, middles = np.zeros((len(wanted), 2, 3)), np.zeros((len(wanted), 2, 2))
        for number, pair in enumerate(wanted):
            for place, feature in enumerate(pair):
                x = columns[feature]
                if not np.isnan(x).all():
                    edges[number, place] = np.quantile(x[~np.isnan(x)], CUTS)
                    middles[number, place] = _pieces(x[~np.isnan(x)], edges[number, place]).mean(0)
        plain = Pairs(wanted, edges, middles, np.zeros((len(wanted), COLUMNS)))
        means = np.zeros((len(wanted), COLUMNS))
        for number, (products, known) in enumerate(plain._products(columns)):
            if known.any():
                means[number] = products[known].mean(0)
        return Pairs(wanted, edges, middles, means)

    def apply(self, blocks: Mapping[str, Block], rows: NDArray[np.int64] | None = None) -> Floats:
        """The functions of ``rows`` (default: all samples), float32 (4 per pair, row)."""
        columns = side_by_side(blocks, np.unique(self.pairs), rows)
        count = len(next(iter(blocks.values())).present) if rows is None else len(rows)
        out = np.zeros((COLUMNS * len(self.pairs), count), np.float32)
        for number, (products, known) in enumerate(self._products(columns)):
            place = slice(COLUMNS * number, COLUMNS * (number + 1))
            out[place] = np.where(known, (products - self.means[number]).T, 0.0)
        return out

    def _products(
        self, columns: Mapping[int, NDArray[np.float64]]
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """Each pair's functions (row, 4) before means are taken off, and where both are known (row,)."""
        for (one, other), edges, middles in zip(self.pairs.tolist(), self.edges, self.middles, strict=True):
            known = ~np.isnan(columns[one]) & ~np.isnan(columns[other])
            a = 2 * (_pieces(np.where(known, columns[one], edges[0, 0]), edges[0]) - middles[0])
            b = 2 * (_pieces(np.where(known, columns[other], edges[1, 0]), edges[1]) - middles[1])
            yield (a[:, :, None] * b[:, None, :]).reshape(len(a), COLUMNS), known


def _pieces(x: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far x (row,) has come in each piece, 0 to 1 (row, 2)."""
    width = np.diff(edges)
    return np.asarray(np.clip((x[:, None] - edges[:-1]) / np.where(width > 0, width, np.inf), 0, 1))


def side_by_side(
    blocks: Mapping[str, Block], wanted: NDArray[np.int64], rows: NDArray[np.int64] | None = None
) -> dict[int, NDArray[np.float64]]:
    """Columns of the blocks side by side, by their number: float64 (row,), NaN where the source is absent."""
    found: dict[int, NDArray[np.float64]] = {}
    first = 0
    for block in blocks.values():
        for number in wanted[(wanted >= first) & (wanted < first + block.width)].tolist():
            column = np.where(block.present, block.values[:, number - first], np.nan).astype(np.float64)
            found[number] = column if rows is None else column[rows]
        first += block.width
    return found
