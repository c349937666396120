"""How sure a score is: bootstrap draws by patient, and the draws that the paper makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds

Floats = NDArray[np.float64]
Draws = NDArray[np.uint16]

#: The paper's confidence: the spread of this many draws of this share of the test rows.
PAPER_DRAWS, PAPER_SHARE = 5, 0.9
#: A draw that cannot be scored (it lacks a class) is drawn again, but not for ever.
PAPER_TRIES = 200


def patient_draws(patients: NDArray[np.str_], seed: int, draws: int = 1000) -> Draws:
    """Bootstrap draws by patient: how often each row is in each draw, uint16 (draws, rows).

    As many patients as there are (``patients`` (rows,), one name a row) are drawn with replacement, and every row comes
    as often as its patient: rows of one patient are no independent evidence. All rows that a study scores are drawn
    once; every model and task uses these same draws, so that differences between models are paired. The draws of a
    patient do not depend on the order of the rows.
    """
    names, row_patient = np.unique(patients, return_inverse=True)
    random = seeds.generator(seed, "bootstrap", "patients")
    result = np.empty((draws, len(patients)), dtype=np.uint16)
    for draw in range(draws):
        drawn = random.integers(0, len(names), size=len(names)) if len(names) else np.zeros(0, dtype=np.int64)
        result[draw] = np.bincount(drawn, minlength=len(names))[row_patient]
    return result


def interval(values: Floats) -> tuple[float, float]:
    """The 2.5 and 97.5 percentile of the draws' values (draws,), interpolated linearly: a 95 % interval.

    Draws that could not be scored (NaN) are left out; (NaN, NaN) if they are more than half of all.
    """
    known = values[~np.isnan(values)]
    if len(known) == 0 or 2 * len(known) < len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def paper_sd(
    score: Callable[[Draws], Floats],
    rows: int,
    seed: int,
    *,
    replacement: bool = True,
) -> float:
    """The paper's confidence: the standard deviation (divisor n) of the scores of 5 draws of 90 % of the test rows.

    ``score`` takes draws (draws, rows) and gives a value each, as the functions of m3h.evaluation.metrics do. Rows are
    drawn one by one, whoever their patient, with replacement; silhouettes without, since copies of a row raise them. A
    draw whose score is NaN is drawn again; NaN if that does not help. Score -+ this number is no 95 % interval: it
    understates the uncertainty. Source: Bertsimas & Ma 2024, whose description leaves replacement and divisor open.
    """
    random = seeds.generator(seed, "bootstrap", "paper")
    size = round(PAPER_SHARE * rows)
    values: list[float] = []
    tries = 0
    while rows > 0 and len(values) < PAPER_DRAWS and tries < PAPER_TRIES:
        missing = PAPER_DRAWS - len(values)
        drawn = np.stack([_row_draw(random, rows, size, replacement) for _ in range(missing)])
        found = score(drawn)
        values += found[~np.isnan(found)].tolist()
        tries += missing
    return float(np.std(values)) if len(values) == PAPER_DRAWS else float("nan")


def _row_draw(random: np.random.Generator, rows: int, size: int, replacement: bool) -> Draws:
    drawn = random.integers(0, rows, size=size) if replacement else random.permutation(rows)[:size]
    return np.bincount(drawn, minlength=rows).astype(np.uint16)
