"""The methods ``exact`` and ``pairs``: means of measured differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3h.experiments.tim.estimates import Estimate, unknown
from m3h.experiments.tim.observed import Rows

Floats = NDArray[np.float64]


def differences(rows: Rows, weights: Floats) -> Estimate:
    """The weighted mean of f(S + i + j) - f(S + i) over the sets S that have both scores, for every target j.

    ``weights`` (others in S,) is what an S weighs by its size. The mean is taken within each fold and replicate, whose
    networks share initial weights, batches and masks, and then over those. Its standard error is the spread of those
    means over folds and replicates, which holds all noise. The spread is pooled over the targets of the source: three
    replicates of one value have 2 degrees of freedom, those of seven have up to 14; fewer where targets share
    trainings, as all pairs of a source share its single training (Satterthwaite 1946). With one fold and one replicate
    the error is the spread of the differences over sets S, which is wide as it holds what differs between sets; one
    difference alone has no error.
    """
    targets = rows.others.shape[1]
    contrasts = [_contrasts(rows, group, weights) for group in range(rows.groups)]
    if not contrasts:
        return unknown(targets)
    means = np.stack([np.where(own.any(1), own @ rows.score, np.nan) for own in contrasts])  # (group, target)
    counts = (~np.isnan(means)).sum(0)
    known = counts > 0
    value = np.full(targets, np.nan)
    value[known] = np.nansum(means[:, known], 0) / counts[known]
    trials = np.sum([(own != 0).sum(1) for own in contrasts], 0).astype(np.float64)
    if (counts > 1).any():
        spare = int((counts[known] - 1).sum())
        variance = float(np.nansum((means - value) ** 2)) / spare
        error = np.sqrt(variance / np.maximum(counts, 1))
        freedom = spare * _independence(max(contrasts, key=lambda own: int(own.any(1).sum())))
    else:
        error, freedom = _over_sets(rows, weights, contrasts)
    return Estimate(value, np.where(known, error, np.nan), trials, freedom)


def _contrasts(rows: Rows, group: int, weights: Floats) -> Floats:
    """(target, row): what to multiply scores with to get a group's means; zeros for a target without differences."""
    here = np.flatnonzero((rows.group == group) & (rows.size <= len(weights) + 1))
    sets = {tuple(np.flatnonzero(rows.others[row]).tolist()): int(row) for row in here}
    found = np.zeros((rows.others.shape[1], len(rows.score)))
    for others, row in sets.items():
        heavy = weights[len(others)] if len(others) < len(weights) else 0.0
        if not heavy:
            continue
        for target in set(range(len(found))).difference(others):
            if (with_target := sets.get(tuple(sorted((*others, target))))) is not None:
                found[target, row], found[target, with_target] = -heavy, heavy
    total = np.maximum(found, 0).sum(1, keepdims=True)
    return found / np.where(total > 0, total, 1.0)


def _independence(contrasts: Floats) -> float:
    """How many degrees of freedom a target adds, were the noise of all trainings alike: 1 for independent means."""
    used = contrasts[contrasts.any(1)]
    scaled = used / np.linalg.norm(used, axis=1, keepdims=True)
    return len(used) / float(((scaled @ scaled.T) ** 2).sum())


def _over_sets(rows: Rows, weights: Floats, contrasts: list[Floats]) -> tuple[Floats, float]:
    """Standard errors from the spread of the differences over sets S, and their degrees of freedom."""
    targets = rows.others.shape[1]
    error, counts = np.full(targets, np.nan), np.zeros(targets)
    for own in contrasts:
        for target in range(targets):
            above = np.flatnonzero(own[target] > 0)
            if len(above) < 2:
                continue
            share = own[target, above]
            lower = rows.others[above].copy()
            lower[:, target] = 0
            place = {tuple(rows.others[row]): row for row in np.flatnonzero(own[target] < 0)}
            steps = rows.score[above] - rows.score[[place[tuple(one)] for one in lower]]
            center = share @ steps
            spread = share @ (steps - center) ** 2 / (1 - share @ share)
            error[target], counts[target] = np.sqrt(spread * (share @ share)), len(above)
    return error, float(counts[counts > 0].min() - 1) if (counts > 0).any() else 0.0
