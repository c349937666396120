"""The regression of one source's scores on which targets were in the set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.experiments.tim.observed import Rows

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """The regression of one source, its rows scaled by the roots of their weights.

    score = level of fold and replicate + common (size - 1) + random @ coefficients + noise, and what is sought is
    common + wanted @ coefficients. ``fixed`` (row, group and common), ``random`` (row, coefficient), of which the first
    are the targets', ``wanted`` (target, coefficient), ``group`` (row,), ``score`` (row,).
    """

    fixed: Floats
    random: Floats
    wanted: Floats
    group: NDArray[np.int64]
    score: Floats

    @property
    def freedom(self) -> int:
        """Rows above fixed effects."""
        return len(self.score) - int(self.fixed.shape[1])

    @property
    def replicated(self) -> Floats:
        """(row, row): how alike two scores are if effects differ between folds and replicates."""
        targets = self.random[:, : len(self.wanted)]
        return np.asarray(targets @ targets.T * (self.group[:, None] == self.group[None, :]))


def regression(rows: Rows, growth: Floats | None) -> Model | None:
    """The regression of a source, or None where its scores are too few for it, or all of sets of one size.

    With a size limit the value depends on how the game bends with size, so each size gets a coefficient of its own,
    and ``growth`` (size,) says how much of each is in a value; None without a limit.
    """
    root = np.sqrt(rows.weight)[:, None]
    levels = rows.group[:, None] == np.arange(rows.groups)
    fixed = root * np.column_stack([levels, rows.size - 1.0])
    if len(fixed) <= fixed.shape[1] or np.linalg.matrix_rank(fixed) < fixed.shape[1]:
        return None
    random, wanted = rows.others, np.eye(rows.others.shape[1])
    if growth is not None:
        random = np.column_stack([random, rows.size[:, None] == np.arange(1, len(growth) + 1)])
        wanted = np.column_stack([wanted, np.tile(growth, (len(wanted), 1))])
    return Model(fixed, root * random, wanted, rows.group, root[:, 0] * rows.score)
