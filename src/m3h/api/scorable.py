"""Tasks of a search or TIM that no validation fold in use can score: told before anything is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.dataset.split import folds
from m3h.experiments.pool import Pool

#: What the parts of a run are called.
PARTS = {"search": "the search", "tim": "TIM"}


def unscorable(data: Dataset, pool: Pool, part: str, *, used: int, count: int) -> list[str]:
    """A sentence for each task of the pool whose labels are all equal or missing on the first ``used`` of the ``count``
    validation folds; ``part`` is "search" or "tim"."""
    parts = folds(data.patients, data.train_rows, count, data.seed)[:used]
    which = "the validation fold" if len(parts) == 1 else f"any of the {len(parts)} validation folds"
    return [
        f"{PARTS[part]}: {name} cannot be scored on {which}, where its labels are all equal or missing; "
        "its values stay empty, and more folds may help"
        for name in pool.tasks
        if data.labels[name].task.kind != "clustering"
        and not any(_scores(data.labels[name].values[rows]) for rows in parts)
    ]


def _scores(labels: NDArray[np.float64]) -> bool:
    return len(np.unique(labels[~np.isnan(labels)])) > 1
