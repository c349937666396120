from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Labels
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import train
from m3h.training.forming import form_fleets, member_bytes, trial_shape
from m3h.training.trial import Trial, make_trial

PAPER = PRESETS["paper"]
QUICK = Protocol(epochs=2, batch_sizes=(64,), learning_rates=(3e-4,))


def trials(data: Dataset, *sets: str, protocol: Protocol = QUICK, **more: object) -> list[Trial]:
    return [make_trial(data, part.split("+"), preset=PAPER, protocol=protocol, **more) for part in sets]  # type: ignore[arg-type]


def test_learns_what_can_be_learnt(learning_data: Callable[..., Dataset]) -> None:
    """A linear signal in two modalities: all kinds end far above chance, sequential and joint."""
    data = learning_data(samples=700)
    protocol = Protocol(epochs=15, batch_sizes=(64,), learning_rates=(2e-3,))
    for update in ("sequential", "joint"):
        one = make_trial(
            data, ["death", "unit", "stay", "group"], preset=PAPER, protocol=replace(protocol, update=update)
        )
        done = next(train(data, [one]))
        rows = done.evaluated
        assert list(rows) == list(data.test_rows)
        truth = {name: labels.values[rows] for name, labels in data.labels.items()}
        death, stay = done.predictions["death"].values, done.predictions["stay"].values
        known = ~np.isnan(truth["stay"])
        assert roc_auc_score(truth["death"], death) > 0.7
        assert r2_score(truth["stay"][known], stay[known]) > 0.3  # type: ignore[index]
        unit = done.predictions["unit"].values
        assert (unit.argmax(1) == truth["unit"]).mean() > 0.55  # type: ignore[union-attr]
        np.testing.assert_allclose(unit.sum(1), 1)  # type: ignore[union-attr]
        group = done.predictions["group"]
        assert set(group.clusters) <= {0, 1, 2}  # type: ignore[arg-type]
        assert group.latent.shape == (len(rows), 64)  # type: ignore[union-attr]
        assert group.reconstruction.mean() < 1.0  # type: ignore[union-attr]
        assert done.attention.shape == (4, 4)
        np.testing.assert_allclose(done.attention.sum(1), 1, rtol=1e-5)


def test_fleets_are_cut_by_shape_and_memory_and_not_by_order(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = trials(data, "death", "sepsis", "unit", "stay", "death+sepsis") + trials(data, "death", fold=0)
    fleets = form_fleets(data, plan)
    assert sorted(len(fleet) for fleet in fleets) == [1, 1, 1, 1, 2]
    assert form_fleets(data, plan[::-1] + plan) == fleets
    size = member_bytes(trial_shape(data, plan[0]), 64)
    assert max(len(fleet) for fleet in form_fleets(data, plan, memory=size)) == 1
    with pytest.raises(TrainingError, match="another dataset"):
        form_fleets(learning_data(seed=1), plan)


def test_learning_rates_sit_in_one_fleet(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    plan = trials(data, "death", learning_rate=1e-3) + trials(data, "sepsis", learning_rate=1e-4)
    assert [trial.learning_rate for trial in form_fleets(data, plan)[0]] == [1e-4, 1e-3]


def test_a_member_that_goes_nan_is_reported_and_leaves_the_others_untouched(
    learning_data: Callable[..., Dataset],
) -> None:
    data = learning_data()
    good = trials(data, "death")
    bad = trials(data, "sepsis", learning_rate=float("nan"))
    alone = next(train(data, good))
    both = {done.trial.label: done for done in train(data, good + bad)}
    assert "not finite" in both["sepsis"].failed
    assert both["sepsis"].predictions == {}
    assert both["death"].failed == ""
    np.testing.assert_allclose(both["death"].predictions["death"].values, alone.predictions["death"].values, atol=1e-6)


def test_tasks_without_a_label_in_the_training_rows_do_not_break_the_others(
    learning_data: Callable[..., Dataset],
) -> None:
    data = learning_data()
    empty = Labels(data.labels["stay"].task, np.full(data.samples, np.nan))
    data = data.with_labels({**data.labels, "stay": empty})
    for update in ("sequential", "joint"):
        done = next(train(data, trials(data, "death+stay", protocol=replace(QUICK, update=update))))
        assert done.failed == ""
        assert np.isfinite(done.predictions["death"].values).all()  # type: ignore[arg-type]


def test_progress_rises_to_one(learning_data: Callable[..., Dataset]) -> None:
    data, seen = learning_data(), []
    list(train(data, trials(data, "death", "unit"), progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


def test_rows_too_few_to_train_on_are_refused(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data(samples=4)
    split = np.array(["train", "test", "test", "test"])
    data = replace(data, split=split, patients=np.array(["a", "b", "c", "d"]))
    with pytest.raises(TrainingError, match="1 rows to train on"):
        list(train(data, trials(data, "death")))
