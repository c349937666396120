"""Boosted trees of one task asked of every coalition of sources at once.

A small tree reads few sources, and what it says depends on no other source. Its conditions are looked at once per row;
for every subset of its own sources a table then gives the leaf. Asking LightGBM anew for each of 2^n coalitions would
look at every condition 2^n times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.training.boosted import Boosted

#: A tree of more conditions would need a table of more than 2^16 entries; LightGBM's SETTINGS allow 6.
MOST_CONDITIONS = 16
#: Bits of LightGBM's decision_type (include/LightGBM/tree.h): categorical, default left, and two of missing_type, which
#: is none, zero or NaN.
CATEGORICAL, DEFAULT_LEFT, MISSING_SHIFT = 1, 2, 2
MISSING_NONE, MISSING_ZERO = 0, 1

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """One tree: ``feature`` (conditions,) columns compared with ``threshold``, at most the threshold going left;
    ``missing_left`` where NaN goes; ``zero`` where NaN counts as 0 because training had none; ``children``
    (conditions, left and right), where ~k is leaf k; ``leaves`` what each adds."""

    feature: NDArray[np.int64]
    threshold: Float64
    missing_left: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    children: NDArray[np.int64]
    leaves: Float64

    def left(self, columns: Float64) -> NDArray[np.bool_]:
        """Whether each condition (condition, row) goes left; ``columns`` (columns, row) with NaN."""
        x = columns[self.feature]
        if self.zero.any():
            x = np.where(self.zero[:, None] & np.isnan(x), 0.0, x)
        threshold = self.threshold[:, None]
        return np.where(self.missing_left[:, None], ~(x > threshold), x <= threshold)

    def table(self) -> Float64:
        """What the tree adds for each way its conditions can turn out (2^conditions,); bit k is set where condition k
        goes left."""
        codes = np.arange(1 << len(self.feature))
        node = np.zeros(len(codes), np.int64) if len(self.feature) else np.full(1, -1)
        while (inner := node >= 0).any():
            at = node[inner]
            node[inner] = self.children[at, 1 - (codes[inner] >> at & 1)]
        return np.asarray(self.leaves[~node])


def trees_of(text: str) -> Iterator[Tree]:
    """The trees of a booster as LightGBM writes it. Errors: ValueError for trees that this library does not grow:
    categorical or linear ones, zeros that count as missing, or more than :data:`MOST_CONDITIONS` conditions."""
    for part in text.split("\nTree=")[1:]:
        entries = dict(line.split("=", 1) for line in part.split("\n\n", 1)[0].splitlines()[1:] if "=" in line)
        kinds = np.array(entries.get("decision_type", "").split(), np.int64)
        missing = kinds >> MISSING_SHIFT
        plain = not (kinds & CATEGORICAL).any() and not (missing == MISSING_ZERO).any()
        if not plain or len(kinds) > MOST_CONDITIONS or entries.get("is_linear", "0") != "0":
            raise ValueError("not a tree of numbers with a few conditions")
        children = [np.array(entries.get(f"{side}_child", "").split(), np.int64) for side in ("left", "right")]
        yield Tree(
            feature=np.array(entries.get("split_feature", "").split(), np.int64),
            threshold=np.array(entries.get("threshold", "").split(), np.float64),
            missing_left=(kinds & DEFAULT_LEFT) > 0,
            zero=missing == MISSING_NONE,
            children=np.stack(children, 1),
            leaves=np.array(entries["leaf_value"].split(), np.float64),
        )


def coalition_outputs(
    boosted: Boosted, columns: Float64, owner: NDArray[np.int64], coalitions: Sequence[int]
) -> Float64:
    """What a task's trees say (coalition, row, outputs) when only the sources of a coalition are there.

    ``columns`` float64 (columns, row) as encoded, NaN = not measured or source absent; ``owner`` (columns,) is the
    number of the source that a column belongs to; a coalition is a number whose bit k is set if source k is in it.
    """
    usual = boosted.usual.astype(np.float64)
    filled = np.where(np.isnan(columns), usual[:, None], columns)
    said = _by_own_sources(boosted, filled, usual[:, None], owner)
    total = np.zeros((len(coalitions), boosted.start.shape[1], columns.shape[1]))
    for own, sums in said.items():
        for number, coalition in enumerate(coalitions):
            total[number] += sums[packed(coalition, own)]
    start = boosted.start.astype(np.float64).mean(0)
    return np.asarray((total / len(boosted.start) + start[:, None]).transpose(0, 2, 1))


def _by_own_sources(
    boosted: Boosted, filled: Float64, absent: Float64, owner: NDArray[np.int64]
) -> Mapping[int, Float64]:
    """Sums over trees that read the same sources: these sources as bits -> (subset of them, outputs, row)."""
    found: dict[int, Float64] = {}
    outputs, rows = boosted.start.shape[1], filled.shape[1]
    for text in boosted.texts:
        for number, tree in enumerate(trees_of(text)):
            sources = np.unique(owner[tree.feature]).tolist()
            own = sum(1 << source for source in sources)
            if own not in found:
                found[own] = np.zeros((1 << len(sources), outputs, rows))
            bits = 1 << np.arange(len(tree.feature))
            code, gone = (bits @ tree.left(values) for values in (filled, absent))
            read = [int(bits[owner[tree.feature] == source].sum()) for source in sources]
            seen = np.array(
                [sum(bit for k, bit in enumerate(read) if subset >> k & 1) for subset in range(1 << len(read))]
            )
            codes = np.arange(1 << len(bits))
            turned = (codes & seen[:, None]) | (int(gone[0] if len(bits) else 0) & ~seen[:, None])
            tables = tree.table()[turned]  # (subset, code)
            found[own][:, number % outputs] += tables[:, code] if len(bits) else tables
    return found


def packed(coalition: int, own: int) -> int:
    """The coalition among ``own`` sources alone, numbered without gaps: bits 1 and 3 of 0b1010 own are bits 0 and 1."""
    result = place = 0
    while own:
        if own & 1:
            result |= (coalition & 1) << place
            place += 1
        own, coalition = own >> 1, coalition >> 1
    return result
