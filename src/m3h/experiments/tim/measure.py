"""Measuring interactions: ask for the scores of a design, then estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from m3h.experiments.asking import Answer, Ask, Scores
from m3h.experiments.tim.design import design, weighted
from m3h.experiments.tim.differences import differences
from m3h.experiments.tim.estimates import Estimate, false_discovery
from m3h.experiments.tim.interactions import Interactions
from m3h.experiments.tim.observed import Observed, observed
from m3h.experiments.tim.settings import Settings, other_weights
from m3h.experiments.tim.shared import shared

Floats = NDArray[np.float64]

#: A value or error below this part of the largest score is one of arithmetic, and 0.
ROUNDING = 1e-13


def measure(tasks: Sequence[str], settings: Settings, seed: int, answer: Answer) -> Interactions:
    """The interactions of all pairs of tasks, from the answers to :func:`m3h.experiments.tim.design.design`.

    Errors: SettingError as of the design.
    """
    return estimate(tasks, settings, seed, answer(design(tasks, settings, seed)))


def estimate(
    tasks: Sequence[str],
    settings: Settings,
    seed: int,
    scores: Mapping[Ask, Scores],
    *,
    drawn: Iterable[tuple[Ask, float]] | None = None,
) -> Interactions:
    """The interactions from the scores of a design.

    Scores that are missing, NaN or infinite are left out and not counted in ``trials``; scores of other asks are not
    looked at. Intervals are about trainings, replicates and folds like these; the patients stay those of the dataset.
    ``drawn``: trainings with their weights, in place of those of the settings' own design.
    """
    seen = observed(tasks, weighted(tasks, settings, seed) if drawn is None else drawn, scores)
    estimates = [_one(seen, source, settings, seed) for source in range(len(tasks))]
    intervals = [one.interval() for one in estimates]
    return Interactions(
        tasks=tuple(tasks),
        method=settings.method,
        tim=_square([one.value for one in estimates]),
        low=_square([low for low, _ in intervals]),
        high=_square([high for _, high in intervals]),
        q=false_discovery(_square([one.p() for one in estimates])),
        trials=_square([one.trials for one in estimates]),
    )


def _one(seen: Observed, source: int, settings: Settings, seed: int) -> Estimate:
    rows = seen.of(source)
    if settings.method == "shared":
        found = shared(rows, settings, seed)
    else:
        found = differences(rows, other_weights(seen.member.shape[1], settings))
    return found.rounded(ROUNDING * float(np.abs(rows.score).max(initial=0.0)))


def _square(rows: Sequence[Floats]) -> Floats:
    """(task, task) from the targets of each source, NaN on the diagonal."""
    return np.stack([np.insert(row, source, np.nan) for source, row in enumerate(rows)])
