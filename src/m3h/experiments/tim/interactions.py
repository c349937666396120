"""The measured interactions, and the table they are written as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.evaluation.compare import COMPARED
from m3h.experiments.tim.ranks import rank_signed
from m3h.experiments.tim.settings import Method

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interactions:
    """What adding target j (column) does to the score of source i (row), in units of the source's metric.

    ``tim``: above 0, the target helps. ``low`` to ``high`` is the 95 % interval, ``q`` the false-discovery rate at
    which the value is told from 0; NaN where nothing says how uncertain a value is. ``trials``: trainings whose
    score went into the value. All are (task, task); the diagonal is NaN, and so is a value without scores.
    """

    tasks: tuple[str, ...]
    method: Method
    tim: Floats
    low: Floats
    high: Floats
    q: Floats
    trials: Floats

    def ranks(self) -> Floats:
        """Signed ranks within each source's row (task, task)."""
        return np.stack([rank_signed(row) for row in self.tim])

    def table(self, kinds: Mapping[str, str]) -> pl.DataFrame:
        """The rows of tim.csv, sources and targets in their order, without the diagonal; no value is null.

        ``kinds`` gives each task's kind, of which the metric follows (m3h.evaluation.compare).
        """
        i, j = np.nonzero(~np.eye(len(self.tasks), dtype=bool))
        names = np.array(self.tasks, dtype=object)
        frame = pl.DataFrame(
            {
                "source": _text(names[i]),
                "target": _text(names[j]),
                "tim": self.tim[i, j],
                "low": self.low[i, j],
                "high": self.high[i, j],
                "q": self.q[i, j],
                "trials": self.trials[i, j],
                "rank": self.ranks()[i, j],
                "method": pl.Series([self.method] * len(i), dtype=pl.String),
                "metric": _text([COMPARED[kinds[name]] for name in names[i]]),
            }
        )
        return frame.fill_nan(None).with_columns(pl.col("trials").cast(pl.Int64))


def _text(values: Sequence[str] | NDArray[np.object_]) -> pl.Series:
    return pl.Series([str(value) for value in values], dtype=pl.String)
