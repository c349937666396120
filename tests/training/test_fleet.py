from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset, Labels
from m3h.study.presets import PRESETS, Protocol
from m3h.training.fleet import FleetTraining, train, train_fleet
from m3h.training.prepared import Materials
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


def test_a_fleet_that_does_not_fit_is_trained_in_halves_and_says_so(
    learning_data: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = learning_data()
    plan = trials(data, "death", "sepsis") + trials(data, "death", learning_rate=1e-3)
    whole = train_fleet(data, plan)
    honest, sizes, seen = FleetTraining.update, [], []

    def small(self: FleetTraining, rows: np.ndarray, step: int) -> None:
        if len(self.fleet) > 1 and step > 1:
            sizes.append(len(self.fleet))
            raise torch.OutOfMemoryError("out of memory")
        honest(self, rows, step)

    monkeypatch.setattr(FleetTraining, "update", small)
    halves = train_fleet(data, plan, progress=seen.append)
    assert sizes == [3, 2]
    assert [one.trial for one in halves] == plan
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    for one, other in zip(halves, whole, strict=True):
        assert "3 networks did not fit" in one.warnings[0]
        for name, value in other.state.items():
            torch.testing.assert_close(one.state[name], value, rtol=0, atol=1e-5)


def test_one_network_that_does_not_fit_is_refused_with_a_way_out(
    learning_data: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: FleetTraining, rows: np.ndarray, step: int) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(FleetTraining, "update", never)
    data = learning_data()
    with pytest.raises(TrainingError, match="do not fit into the memory") as told:
        train_fleet(data, trials(data, "death"))
    assert "smaller batch size" in str(told.value)


def test_materials_are_made_once_for_fleets_on_the_same_rows(learning_data: Callable[..., Dataset]) -> None:
    data, kept = learning_data(), Materials()
    first = train_fleet(data, trials(data, "group"), materials=kept)
    made = kept.of(data, trials(data, "death")[0])
    assert kept.of(data, trials(data, "death+stay")[0]) is made
    assert train_fleet(data, trials(data, "group"), materials=kept)[0].space is first[0].space
    assert kept.of(data, trials(data, "death", fold=1)[0]) is not made
    again = train_fleet(data, trials(data, "group"))
    for name, value in again[0].state.items():
        torch.testing.assert_close(first[0].state[name], value, rtol=0, atol=0)


def test_bfloat16_scores_are_those_of_float32(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data(samples=2000)
    protocol = Protocol(epochs=10, batch_sizes=(128,), learning_rates=(1e-4,))
    truth = {name: labels.values[data.test_rows] for name, labels in data.labels.items()}
    known = ~np.isnan(truth["stay"])
    for update, names in (("sequential", ["death", "stay"]), ("joint", ["death", "unit", "stay"])):
        scores = []
        for precision in ("float32", "bfloat16"):
            trial = make_trial(
                data, names, preset=PAPER, protocol=replace(protocol, update=update), precision=precision
            )
            (done,) = train_fleet(data, [trial])
            assert all(value.dtype == torch.float32 for value in done.state.values())
            said = {name: done.predictions[name].values for name in names}
            found = [roc_auc_score(truth["death"], said["death"]), r2_score(truth["stay"][known], said["stay"][known])]
            if "unit" in said:
                found.append(roc_auc_score(truth["unit"], said["unit"], multi_class="ovr"))
            scores.append(found)
        assert scores[0] != scores[1]
        np.testing.assert_allclose(scores[0], scores[1], atol=0.005)
