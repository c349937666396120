"""Whether one model is better than another on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.evaluation.intervals import Draws, interval
from m3h.evaluation.scores import Prediction, measure
from m3h.study.task import HEADLINE, Kind

Floats = NDArray[np.float64]

#: What models are compared by. Learned spaces do not compare, so clusterings meet in the space that none learned.
COMPARED = HEADLINE | {"clustering": "silhouette_fixed"}
#: Metrics at which a model that knows nothing scores about 0, so that a percentage of a weak score explodes.
NEAR_ZERO = frozenset({"r2", "silhouette", "silhouette_fixed"})
#: By these nothing is told in % of a score nearer to 0 than this.
LEAST_REFERENCE = 0.05


@dataclass(frozen=True)
class Difference:
    """Score of a minus score of b by ``metric``; above 0, a is better.

    ``relative`` is the paper's improvement in %, NaN where b scores next to nothing (LEAST_REFERENCE). ``low`` to
    ``high`` is the 95 % interval of ``difference``, NaN where there is none.
    """

    metric: str
    difference: float
    relative: float
    low: float
    high: float


def difference(kind: Kind, truth: Floats, a: Prediction, b: Prediction, *, draws: Draws | None) -> Difference:
    """How much better ``a`` is than ``b`` by the metric that tasks of ``kind`` are compared by; all of them rise.

    ``truth`` (n,), NaN where a row has no label; ``draws`` (draws, n) from m3h.evaluation.intervals.patient_draws, or
    None for no interval. Both models are scored on the same draws, so what is hard about a draw cancels: the interval
    is that of the paired difference, narrower than the two scores' own intervals suggest. relative is
    100 * (a - b) / abs(b), as the paper's (multi - single) / single, but for R-squared and silhouettes NaN where abs(b)
    is below LEAST_REFERENCE. Errors: DataError if lengths differ.
    """
    if draws is not None and draws.shape[1:] != truth.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(truth)}), as the truth has rows")
    known = ~np.isnan(truth)
    metric = COMPARED[kind]
    first, second = (measure(kind, truth[known], model.at(known))[metric].bootstrap for model in (a, b))
    of_a, of_b = float(first(None)[0]), float(second(None)[0])
    gap = of_a - of_b
    low, high = float("nan"), float("nan")
    if draws is not None and not np.isnan(gap):
        low, high = interval(first(draws[:, known]) - second(draws[:, known]))
    least = LEAST_REFERENCE if metric in NEAR_ZERO else 0.0
    relative = 100.0 * gap / abs(of_b) if abs(of_b) >= least and of_b != 0 else float("nan")
    return Difference(metric, gap, relative, low, high)
