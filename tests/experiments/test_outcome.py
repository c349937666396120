"""What is kept of a training: scores that anyone would compute, and the network where a run needs it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)

from m3h.dataset.dataset import Dataset
from m3h.experiments.outcome import outcome
from m3h.study.presets import PRESETS, Protocol
from m3h.training import checkpoint
from m3h.training.fleet import train
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=2, batch_sizes=(64,), learning_rates=(3e-3,), folds=3)
TASKS = ("death", "stay", "unit", "group")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=200)


def trained(data: Dataset, fold: int | None) -> TrainedNetwork:
    (done,) = train(data, [make_trial(data, TASKS, preset=PRESET, protocol=PROTOCOL, fold=fold)])
    return done


def test_scores_are_those_of_scikit_learn_on_the_fold(data: Dataset) -> None:
    done = trained(data, 1)
    found = outcome(data, done)
    rows = done.evaluated
    assert len(rows) and set(data.split[rows]) == {"train"}
    death, stay = (data.labels[name].values[rows] for name in TASKS[:2])
    risk, days = (done.predictions[name].values for name in TASKS[:2])
    assert risk is not None and days is not None
    known = ~np.isnan(stay)
    assert 0 < known.sum() < len(rows)
    assert found.scores["death"] == {
        "auroc": pytest.approx(roc_auc_score(death, risk)),
        "auprc": pytest.approx(average_precision_score(death, risk)),
        "brier": pytest.approx(brier_score_loss(death, risk)),
    }
    assert found.scores["stay"] == {
        "r2": pytest.approx(r2_score(stay[known], days[known])),
        "mae": pytest.approx(mean_absolute_error(stay[known], days[known])),
    }
    assert set(found.scores["group"]) == {"silhouette", "silhouette_fixed", "reconstruction_mse"}
    assert found.network is None and found.failed == "" and found.seconds > 0


def test_a_task_without_labels_in_a_fold_has_no_score_there(data: Dataset) -> None:
    done = trained(data, 1)
    values = data.labels["stay"].values.copy()
    values[done.evaluated] = np.nan
    bare = data.with_labels({**data.labels, "stay": replace(data.labels["stay"], values=values)})
    assert all(np.isnan(value) for value in outcome(bare, done).scores["stay"].values())


def test_a_failed_training_has_no_scores(data: Dataset) -> None:
    lost = replace(trained(data, 1), predictions={}, failed="the loss was not finite")
    assert outcome(data, lost).scores == {} and outcome(data, lost).failed == "the loss was not finite"


def test_a_final_training_keeps_its_network_and_what_it_said(data: Dataset) -> None:
    done = trained(data, None)
    content = outcome(data, done).network
    assert content is not None
    again = checkpoint.loads(content)
    assert again.trial == done.trial and again.trial.id == done.trial.id and again.shape == done.shape
    np.testing.assert_array_equal(again.evaluated, done.evaluated)
    np.testing.assert_array_equal(again.attention, done.attention)
    assert again.predictions.keys() == done.predictions.keys()
    for name, expected in done.predictions.items():
        for item in ("values", "clusters", "latent", "fixed", "reconstruction"):
            np.testing.assert_array_equal(getattr(again.predictions[name], item), getattr(expected, item))
    for name, value in done.state.items():
        np.testing.assert_array_equal(again.state[name].numpy(), value.numpy())
    assert checkpoint.dumps(again) == content
