"""Which values a design can tell from one another, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from m3h.experiments.tim.design import weighted
from m3h.experiments.tim.model import Model, regression
from m3h.experiments.tim.observed import observed
from m3h.experiments.tim.settings import Settings, binomials, largest, sets_wanted
from m3h.experiments.tim.shared import growth

Floats = NDArray[np.float64]

#: A direction counts as seen if its singular value is above this part of the largest.
SEEN = 1e-9


def unidentified(tasks: Sequence[str], settings: Settings, seed: int) -> list[tuple[str, str]]:
    """The pairs (source, target) whose value does not follow from the scores of a design, whatever they are.

    Of two targets that are always in the source's sets together, or not at all, only what both do is known; the ridge
    regression then gives them equal values, and one whose sets are fewer than its unknowns none. A value follows if the
    weights that define it are a combination of the rows of the regression. ``exact`` and ``pairs`` train all sets
    that their values are means over: [].
    """
    if settings.method != "shared":
        return []
    drawn = [(ask, weight) for ask, weight in weighted(tasks, settings, seed) if weight > 0]
    seen = observed(tasks, drawn, {ask: dict.fromkeys(ask.tasks, 0.0) for ask, _ in drawn})
    found = []
    for source, name in enumerate(tasks):
        model = regression(seen.of(source), growth(len(tasks), settings))
        known = np.zeros(len(tasks) - 1, dtype=bool) if model is None else _follow(model)
        targets = [other for other in tasks if other != name]
        found += [(name, target) for target, sure in zip(targets, known, strict=True) if not sure]
    return found


def sets_enough(tasks: Sequence[str], settings: Settings, seed: int) -> int | None:
    """The smallest even number of sets per fold and replicate with which every value follows; None if no number does.

    Each design holds the smaller ones, so that more sets never tell less.
    """
    every = _even(int(binomials(len(tasks))[1 : largest(len(tasks), settings) + 1].sum()))
    low, high = 0, min(every, _even(sets_wanted(len(tasks), replace(settings, sets=None))))
    while unidentified(tasks, replace(settings, sets=high), seed):
        if high == every:
            return None
        low, high = high, min(every, 2 * high)
    while high - low > 2:
        middle = _even((low + high) // 2)
        if unidentified(tasks, replace(settings, sets=middle), seed):
            low = middle
        else:
            high = middle
    return high


def _even(number: int) -> int:
    return number + number % 2


def _follow(model: Model) -> NDArray[np.bool_]:
    """(target,): whether the weights of its value lie in the space of the regression's rows."""
    levels = model.fixed.shape[1] - 1
    rows = np.column_stack([model.fixed, model.random])
    asked = np.column_stack([np.zeros((len(model.wanted), levels)), np.ones(len(model.wanted)), model.wanted])
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    basis = directions[sizes > SEEN * sizes.max()]
    rest = asked - asked @ basis.T @ basis
    return np.asarray(np.abs(rest).max(1) < 1e-6)
