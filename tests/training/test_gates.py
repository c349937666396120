"""Gates: corrections are believed as far as patients they were kept from bear them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.metrics import r2_score, roc_auc_score

from m3h.dataset.dataset import Dataset
from m3h.study.presets import PRESETS, PROTOCOLS
from m3h.training.fleet import train
from m3h.training.trial import make_trial


def test_gates_close_where_corrections_do_harm(learning_data: Callable[..., Dataset]) -> None:
    """Steps that are far too long learn nonsense by heart: held-out patients tell, and the evidence stays as it is."""
    data = learning_data()
    trial = replace(
        make_trial(data, ["death"], preset=replace(PRESETS["m3h"], schedule="constant"), protocol=PROTOCOLS["m3h"]),
        epochs=40,
        learning_rate=0.3,
    )
    done = next(iter(train(data, [trial])))
    assert not done.failed
    gate = done.state["evidence.gate"]
    assert gate.shape == (4, 1)
    assert len(gate.unique()) == 1
    assert gate[0, 0] < 1
    plain = next(iter(train(data, [replace(trial, epochs=0)])))
    scores = [
        roc_auc_score(data.labels["death"].values[data.test_rows], one.predictions["death"].values)
        for one in (done, plain)
    ]
    assert scores[0] > scores[1] - 0.05


def test_where_a_regression_lies_changes_nothing(learning_data: Callable[..., Dataset]) -> None:
    """Numbers of nine digits, of which float32 keeps seven, learn as well as the same around 0."""
    data = learning_data()
    labels = data.labels["stay"]
    far = replace(data, labels={**data.labels, "stay": replace(labels, values=labels.values + 1e9)})
    trial = make_trial(data, ["stay", "death"], preset=PRESETS["m3h"], protocol=PROTOCOLS["m3h"])
    here, there = (next(iter(train(one, [trial]))).predictions["stay"].values for one in (data, far))
    np.testing.assert_allclose(there - 1e9, here, atol=1e-3 * labels.values[labels.known].std())
    truth = labels.values[data.test_rows]
    assert r2_score(truth[~np.isnan(truth)], here[~np.isnan(truth)]) > 0.2
