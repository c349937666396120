"""Signed ranks of the values of one source, as the heat map of the paper's Figure 6 shows them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def rank_signed(values: Floats) -> Floats:
    """Ranks of one row's values (n,): P values above 0 get 1 to P, the largest P; Q values below 0 get -1 to -Q, the
    most negative -Q; exact 0 gets 0; ties their mean rank; NaN stays NaN."""
    ranks = np.where(np.isnan(values), np.nan, 0.0)
    for sign in (1.0, -1.0):
        own = sign * values > 0
        if own.any():
            ranks[own] = sign * rankdata(sign * values[own])
    return ranks
