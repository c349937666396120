"""Choosing a setting: the scores are those anyone would compute, the best is taken, test rows are not looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m3h.dataset.dataset import Dataset, Labels
from m3h.experiments.crossval import LOWEST_R2, Setting, choose, headline, mean_score
from m3h.experiments.engine import Engine
from m3h.experiments.ledger import Ledger
from m3h.experiments.local import Local
from m3h.experiments.outcome import Outcome, outcome
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.trial import Trial, make_trial, with_setting
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


@pytest.fixture
def engine(data: Dataset, tmp_path: Path) -> Iterator[Engine]:
    yield from opened(data, tmp_path)


def opened(data: Dataset, folder: Path) -> Iterator[Engine]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        yield Engine(data, ledger, Local(data, 1 << 30), memory=1 << 30)


def plain(data: Dataset, sets: Sequence[tuple[str, ...]], asked: Protocol) -> list[Trial]:
    return [make_trial(data, tasks, preset=PRESET, protocol=asked) for tasks in sets]


def test_mean_score_is_the_mean_over_tasks_of_the_mean_over_folds() -> None:
    folds = [{"a": 0.6, "b": 0.2}, {"a": 0.8}, {"b": 0.4}, {}]
    assert mean_score(folds) == pytest.approx(((0.6 + 0.8) / 2 + (0.2 + 0.4) / 2) / 2)
    assert mean_score(folds[::-1]) == mean_score(folds)


def test_scores_that_are_not_known_are_left_out() -> None:
    nan = float("nan")
    assert mean_score([{"a": 0.6, "b": nan}, {"a": nan, "b": nan}]) == 0.6
    assert np.isnan(mean_score([{"a": nan}]))
    assert np.isnan(mean_score([{}, {}])) and np.isnan(mean_score([]))


def test_settings_are_chosen_by_headlines_and_one_wild_fold_does_not_decide(data: Dataset, engine: Engine) -> None:
    scores = {
        "death": {"auroc": 0.7, "auprc": 0.1, "brier": 0.2},
        "stay": {"r2": -1e9, "mae": 3.0},
        "unit": {"macro_auroc": 0.6},
        "group": {"silhouette": 0.2, "silhouette_fixed": 0.9, "reconstruction_mse": 1.0},
    }
    assert headline(engine, scores) == {"death": 0.7, "stay": LOWEST_R2, "unit": 0.6, "group": 0.2}
    assert headline(engine, {}) == {}


def test_without_a_grid_the_last_of_each_list_is_taken(data: Dataset, engine: Engine) -> None:
    asked = protocol(1e-4, 3e-4, sizes=(512, 256), grid=False)
    trials, settings = choose(engine, plain(data, SETS, asked), asked)
    assert settings == [] and engine.trained == 0
    assert [(trial.tasks, trial.batch_size, trial.learning_rate, trial.fold) for trial in trials] == [
        (tasks, 256, 3e-4, None) for tasks in SETS
    ]


def test_the_setting_that_learns_is_chosen(data: Dataset, engine: Engine) -> None:
    """Neither the first nor the last of the list."""
    rates = (IDLE, LEARNS, 10 * IDLE)
    asked = protocol(*rates, epochs=20)
    trials, settings = choose(engine, plain(data, SETS, asked), asked)
    assert [(trial.tasks, trial.learning_rate, trial.fold) for trial in trials] == [(t, LEARNS, None) for t in SETS]
    assert [(one.tasks, one.batch_size, one.learning_rate) for one in settings] == [
        (tasks, 64, rate) for tasks in SETS for rate in rates
    ]


def test_a_settings_score_is_that_of_its_folds_trained_apart(data: Dataset, engine: Engine) -> None:
    asked = protocol(IDLE, LEARNS, sizes=(32, 64))
    base = plain(data, SETS[:1], asked)
    _, settings = choose(engine, base, asked)
    assert len(settings) == 4
    for setting in (settings[0], settings[3]):
        rate, size = setting.learning_rate, setting.batch_size
        trials = [with_setting(base[0], learning_rate=rate, batch_size=size, fold=fold) for fold in range(2)]
        apart = [headline(engine, outcome(data, done).scores) for trial in trials for done in train(data, [trial])]
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


def test_what_test_rows_hold_changes_no_choice_and_no_score(data: Dataset, engine: Engine, tmp_path: Path) -> None:
    asked = protocol(IDLE, LEARNS)
    clean = choose(engine, plain(data, SETS, asked), asked)
    (tmp_path / "other").mkdir()
    other = poisoned(data)
    for second in opened(other, tmp_path / "other"):
        assert choose(second, plain(other, SETS, asked), asked) == clean
        assert second.trained == engine.trained > 0
    assert all(np.isfinite(setting.score) for setting in clean[1])


def test_settings_that_could_not_be_scored_are_never_chosen(data: Dataset, tmp_path: Path) -> None:
    """Fleets finish in any order; of equal settings the first of the grid is taken; one set twice is tried once."""
    seen: list[Trial] = []

    class Planted:
        def run(
            self, fleets: Iterator[tuple[Trial, ...]], share: Callable[[float], None]
        ) -> Iterator[Sequence[Outcome]]:
            for fleet in reversed(list(fleets)):
                seen.extend(fleet)
                yield [
                    Outcome(trial, failed="NaN")
                    if trial.learning_rate == 1e-3
                    else Outcome(trial, {"death": {"auroc": 1.0, "auprc": 1.0, "brier": 0.0}})
                    for trial in fleet
                ]

    asked = protocol(1e-3, 1e-4, 1e-5)
    plan = [("death",), ("death", "stay"), ("death",)]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        engine = Engine(data, ledger, Planted(), memory=1 << 30)
        trials, settings = choose(engine, plain(data, plan, asked), asked)
    assert [(trial.tasks, trial.learning_rate) for trial in trials] == [(tasks, 1e-4) for tasks in plan]
    assert len(seen) == len(set(seen)) == 2 * 3 * 2
    assert {trial.fold for trial in seen} == {0, 1}
    assert [one.score for one in settings if one.tasks == ("death",)][1:] == [1.0, 1.0]
    assert np.isnan(settings[0].score)
    assert settings[1] == Setting(("death",), 64, 1e-4, 1.0)
