"""Choosing a setting: the scores are those anyone would compute, the best is taken, test rows are not looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from m3h.dataset.dataset import Dataset, Labels
from m3h.evaluation.scores import Prediction
from m3h.experiments.crossval import LOWEST_R2, Setting, final_trials, fold_scores, mean_score
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import make_trial, with_setting
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
#: One learning rate learns, the other stays where it began.
IDLE, LEARNS = 1e-9, 1e-2
SETS = (("death", "stay"), ("unit",))


def protocol(*rates: float, sizes: tuple[int, ...] = (64,), **more) -> Protocol:
    return Protocol(**{"epochs": 2, "batch_sizes": sizes, "learning_rates": rates, "folds": 2, "grid": True} | more)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=200)


@pytest.fixture(scope="module")
def fold(data: Dataset) -> TrainedNetwork:
    """A network of two tasks, trained outside the first of two folds."""
    trial = make_trial(data, SETS[0], preset=PRESET, protocol=protocol(LEARNS, epochs=1), fold=0)
    (done,) = train(data, [trial])
    return done


def test_mean_score_is_the_mean_over_tasks_of_the_mean_over_folds() -> None:
    folds = [{"a": 0.6, "b": 0.2}, {"a": 0.8}, {"b": 0.4}, {}]
    assert mean_score(folds) == pytest.approx(((0.6 + 0.8) / 2 + (0.2 + 0.4) / 2) / 2)
    assert mean_score(folds[::-1]) == mean_score(folds)


def test_scores_that_are_not_known_are_left_out() -> None:
    nan = float("nan")
    assert mean_score([{"a": 0.6, "b": nan}, {"a": nan, "b": nan}]) == 0.6
    assert np.isnan(mean_score([{"a": nan}]))
    assert np.isnan(mean_score([{}, {}])) and np.isnan(mean_score([]))


def test_fold_scores_are_those_of_scikit_learn(data: Dataset, fold: TrainedNetwork) -> None:
    found = fold_scores(data, fold)
    rows = fold.evaluated
    assert len(rows) and set(data.split[rows]) == {"train"}
    death, stay = (data.labels[name].values[rows] for name in SETS[0])
    risk, days = (fold.predictions[name].values for name in SETS[0])
    assert risk is not None and days is not None
    known = ~np.isnan(stay)
    assert 0 < known.sum() < len(rows)
    assert found == {
        "death": pytest.approx(roc_auc_score(death, risk)),
        "stay": pytest.approx(max(r2_score(stay[known], days[known]), LOWEST_R2)),
    }


def test_one_wild_fold_does_not_decide(data: Dataset, fold: TrainedNetwork) -> None:
    wild = Prediction(values=np.full(len(fold.evaluated), 1e9))
    assert fold_scores(data, replace(fold, predictions={"stay": wild})) == {"stay": LOWEST_R2}
    assert fold_scores(data, replace(fold, predictions={}, failed="NaN")) == {}


def test_a_task_without_labels_in_a_fold_has_no_score_there(data: Dataset, fold: TrainedNetwork) -> None:
    values = data.labels["stay"].values.copy()
    values[fold.evaluated] = np.nan
    bare = data.with_labels({**data.labels, "stay": replace(data.labels["stay"], values=values)})
    assert list(fold_scores(bare, fold)) == ["death"]


def test_without_a_grid_the_last_of_each_list_is_taken(data: Dataset) -> None:
    asked = protocol(1e-4, 3e-4, sizes=(512, 256), grid=False)
    trials, settings = final_trials(data, SETS, preset=PRESET, protocol=asked)
    assert settings == []
    assert [(trial.tasks, trial.batch_size, trial.learning_rate, trial.fold) for trial in trials] == [
        (tasks, 256, 3e-4, None) for tasks in SETS
    ]


def test_the_setting_that_learns_is_chosen(data: Dataset) -> None:
    """Neither the first nor the last of the list."""
    rates = (IDLE, LEARNS, 10 * IDLE)
    trials, settings = final_trials(data, SETS, preset=PRESET, protocol=protocol(*rates, epochs=20))
    assert [(trial.tasks, trial.learning_rate, trial.fold) for trial in trials] == [(t, LEARNS, None) for t in SETS]
    assert [(one.tasks, one.batch_size, one.learning_rate) for one in settings] == [
        (tasks, 64, rate) for tasks in SETS for rate in rates
    ]


def test_a_settings_score_is_that_of_its_folds_trained_apart(data: Dataset) -> None:
    asked = protocol(IDLE, LEARNS, sizes=(32, 64))
    _, settings = final_trials(data, SETS[:1], preset=PRESET, protocol=asked)
    assert len(settings) == 4
    for setting in (settings[0], settings[3]):
        base = make_trial(data, setting.tasks, preset=PRESET, protocol=asked)
        rate, size = setting.learning_rate, setting.batch_size
        trials = [with_setting(base, learning_rate=rate, batch_size=size, fold=fold) for fold in range(2)]
        apart = [fold_scores(data, done) for trial in trials for done in train(data, [trial])]
        assert setting.score == pytest.approx(mean_score(apart), abs=1e-3)


def poisoned(data: Dataset) -> Dataset:
    """Other values and labels on every test row."""
    test = data.split == "test"
    labels = {}
    for name, old in data.labels.items():
        values = old.values.copy()
        values[test] = {"binary": 1 - values[test], "regression": 1e6}.get(old.task.kind, 0.0)
        labels[name] = Labels(old.task, values, old.classes)
    blocks = {}
    for name, block in data.blocks.items():
        array = block.values.copy()
        array[test] = 1e4
        blocks[name] = replace(block, values=array, present=block.present | test)
    return replace(data, labels=labels, blocks=blocks)


def test_what_test_rows_hold_changes_no_choice_and_no_score(data: Dataset) -> None:
    asked = protocol(IDLE, LEARNS)
    clean = final_trials(data, SETS, preset=PRESET, protocol=asked)
    assert final_trials(poisoned(data), SETS, preset=PRESET, protocol=asked) == clean
    assert all(np.isfinite(setting.score) for setting in clean[1])


def test_settings_that_could_not_be_scored_are_never_chosen(
    data: Dataset, fold: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds finish in any order; of equal settings the first of the grid is taken; one set twice is tried once."""
    seen = []

    def planted(_, trials, **__):
        seen.extend(trials)
        for trial in reversed(trials):
            right = data.labels["death"].values[fold.evaluated]
            works = trial.learning_rate != 1e-3
            predictions = {"death": Prediction(values=right)} if works else {}
            yield replace(fold, trial=trial, predictions=predictions, failed="" if works else "NaN")

    monkeypatch.setattr("m3h.experiments.crossval.train", planted)
    plan = [("death",), ("death", "stay"), ("death",)]
    trials, settings = final_trials(data, plan, preset=PRESET, protocol=protocol(1e-3, 1e-4, 1e-5))
    assert [(trial.tasks, trial.learning_rate) for trial in trials] == [(tasks, 1e-4) for tasks in plan]
    assert len(seen) == len(set(seen)) == 2 * 3 * 2
    assert {trial.fold for trial in seen} == {0, 1}
    assert [one.score for one in settings if one.tasks == ("death",)][1:] == [1.0, 1.0]
    assert np.isnan(settings[0].score)
    assert settings[1] == Setting(("death",), 64, 1e-4, 1.0)
