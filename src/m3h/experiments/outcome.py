"""What is kept of a trial that ended: its scores, and of a final training the network too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from m3h.dataset.dataset import Dataset
from m3h.evaluation.scores import measure
from m3h.study.task import METRICS
from m3h.training import checkpoint
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial


@dataclass(frozen=True)
class Outcome:
    """One finished or failed trial.

    ``scores``: task -> metric -> value on the rows the trial is scored on (directions: m3h.study.task), NaN where
    there is nothing to say, {} for a trial that failed; ``failed`` says why ("" if it ended well). ``seconds`` is the
    member's share of its fleet's time. ``network`` holds the trained network with its predictions
    (m3h.training.checkpoint.loads) for trials on the whole training part, which are those that runs and reports use;
    None for folds, and for outcomes read back from a ledger without their network.
    """

    trial: Trial
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    failed: str = ""
    warnings: tuple[str, ...] = ()
    network: bytes | None = field(default=None, repr=False)


def outcome(dataset: Dataset, trained: TrainedNetwork) -> Outcome:
    """Score a trained network on the rows its trial is scored on. R-squared is not clipped."""
    scores: dict[str, dict[str, float]] = {}
    for name, prediction in trained.predictions.items():
        kind = dataset.labels[name].task.kind
        truth = dataset.labels[name].values[trained.evaluated]
        known = ~np.isnan(truth)
        scores[name] = dict.fromkeys(METRICS[kind], float("nan"))
        if known.any():
            measures = measure(kind, truth[known], prediction.at(known))
            scores[name] = {metric: float(one.bootstrap(None)[0]) for metric, one in measures.items()}
    return Outcome(
        trial=trained.trial,
        scores=scores,
        seconds=trained.seconds,
        failed=trained.failed,
        warnings=trained.warnings,
        network=checkpoint.dumps(trained) if trained.trial.fold is None and not trained.failed else None,
    )
