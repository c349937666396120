"""A training whose numbers are pinned. If it fails for a good reason, raise NUMERICS in m3h/core/fingerprint.py: then
finished trials of the old numbers are not taken for new ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from m3h.core.fingerprint import NUMERICS
from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trial import make_trial

#: NUMERICS -> (AUROC of death, mean probability of death, mean stay, share of the largest attention weight)
GOLDEN = {2: {"sequential": (0.8998, 0.3266, 4.8252, 0.5929), "joint": (0.9097, 0.2482, 4.7989, 0.5878)}}


@pytest.mark.parametrize("update", ["sequential", "joint"])
def test_the_golden_training_gives_its_pinned_numbers(learning_data: Callable[..., Dataset], update: str) -> None:
    data = learning_data(samples=600)
    protocol = Protocol(epochs=5, batch_sizes=(64,), learning_rates=(1e-3,), update=update)  # type: ignore[arg-type]
    done = next(train(data, [make_trial(data, ["death", "unit", "stay"], preset=PRESETS["paper"], protocol=protocol)]))
    death, stay = done.predictions["death"].values, done.predictions["stay"].values
    assert death is not None
    assert stay is not None
    got = (
        roc_auc_score(data.labels["death"].values[done.evaluated], death),
        death.mean(),
        stay.mean(),
        done.attention.max(),
    )
    np.testing.assert_allclose(got, GOLDEN[NUMERICS][update], atol=0.005)
