"""Additive models: they find what labels were made of, and never say of a patient what they learned from him."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.dataset.split import folds
from m3h.encoders.block import Block
from m3h.study.presets import PRESETS, PROTOCOLS
from m3h.training.additive import AdditiveModels, Fitted, Ground, evidence_of, fit_additive
from m3h.training.fleet import train
from m3h.training.objective import Objective
from m3h.training.prepared import Materials
from m3h.training.sparse import SparsePath
from m3h.training.stage import AdditiveStage
from m3h.training.trial import Trial, make_trial

M3H = PRESETS["m3h"]


def ground(x: np.ndarray, train: int, modality: str = "tabular") -> Ground:
    names = tuple(f"c{number}" for number in range(x.shape[1]))
    block = Block("labs", modality, x.astype(np.float32), np.ones(len(x), bool), names, ("",) * len(names))
    rows = np.arange(train)
    return Ground.of({"labs": block}, rows, folds(np.array([f"{row:05d}" for row in range(len(x))]), rows, 4, 0))


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, np.random.Generator]:
    random = np.random.default_rng(0)
    return random.normal(size=(1200, 10)), random


def test_it_finds_the_features_and_their_shapes(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = 50 + 10 * (np.abs(x[:, 2]) + np.sign(x[:, 5]) + 0.3 * random.normal(size=len(x)))
    own = ground(x, 800)
    fitted = fit_additive(own, y, "regression", 1)
    said = fitted.outputs[800:, 0] * fitted.model.scale + fitted.model.centre
    assert r2_score(y[800:], said) > 0.85  # |x| and a step, which no straight line knows
    group = np.repeat(own.basis.features(own.blocks), own.basis.counts)
    strength = np.array([np.abs(fitted.model.weight[group == number]).sum() for number in range(10)])
    assert set(np.argsort(-strength)[:2].tolist()) == {2, 5}


def test_it_finds_what_two_features_say_together(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = ((x[:, 1] > 0) ^ (x[:, 4] > 0)).astype(float) * 2 + 0.5 * x[:, 1] + 0.5 * x[:, 4] + random.normal(size=len(x))
    fitted = fit_additive(ground(x, 800), y, "regression", 1)
    assert [1, 4] in fitted.model.pairs.pairs.tolist()
    assert r2_score(y[800:], fitted.outputs[800:, 0] * fitted.model.scale + fitted.model.centre) > 0.3


def test_labels_of_a_patient_do_not_reach_what_is_said_of_him(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = random.integers(0, 2, len(x)).astype(float)  # nothing to learn: whoever saw a label says it back
    own = ground(x, 800)
    said = fit_additive(own, y, "binary", 1).outputs[:, 0]
    assert abs(roc_auc_score(y[:800], said[:800]) - 0.5) < 0.08
    other, part = y.copy(), own.parts[0]
    other[part] = 1 - other[part]
    np.testing.assert_array_equal(of_first_fold(own, y)[part], of_first_fold(own, other)[part])


def of_first_fold(own: Ground, y: np.ndarray) -> np.ndarray:
    """What the model of the first fold says of all rows, at one penalty."""
    of = Objective(y[own.train], "binary", 1, ~np.isin(own.train, own.parts[0]))
    path = SparsePath(own.functions[:, torch.from_numpy(own.train)], torch.from_numpy(own.basis.counts), of)
    path.go(0.3)
    return path.adds(own.functions).numpy()


def test_the_model_says_of_new_rows_what_was_said_of_them(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = np.digitize(x[:, 0] + x[:, 3] * x[:, 1] + random.normal(size=len(x)), (-0.5, 0.5)).astype(float)
    y[random.random(len(y)) < 0.2] = np.nan
    own = ground(x, 800)
    fitted = fit_additive(own, y, "multiclass", 3)
    rows = np.arange(900, 1000)
    functions = torch.from_numpy(own.basis.apply(own.blocks, rows))
    np.testing.assert_allclose(fitted.model.outputs(functions, own.blocks, rows), fitted.outputs[rows], atol=1e-5)
    models = AdditiveModels(own.basis, {"a/b": fitted.model})
    again = AdditiveModels.from_arrays(models.arrays(), ["labs"], ["a/b", "group"])
    torch.testing.assert_close(
        again.evidence(["a/b", "group"], own.blocks, rows), models.evidence(["a/b"], own.blocks, rows), rtol=0, atol=0
    )
    assert again.models["a/b"].chosen == fitted.model.chosen


def test_embeddings_of_which_each_says_a_little_take_the_ridge() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(700, 80))
    y = x @ random.normal(size=80) / 9 + random.normal(size=700)
    fitted = fit_additive(ground(x, 500, "language"), y, "regression", 1)
    assert fitted.model.chosen[3] >= 0.5
    assert r2_score(y[500:], fitted.outputs[500:, 0] * fitted.model.scale + fitted.model.centre) > 0.3


def test_tasks_without_labels_or_with_one_class_say_what_is_usual() -> None:
    x = np.random.default_rng(2).normal(size=(60, 3))
    own = ground(x, 60)
    nothing = fit_additive(own, np.full(60, np.nan), "binary", 1)
    assert (nothing.outputs == 0).all()
    ones = fit_additive(own, np.ones(60), "binary", 1)
    assert np.isfinite(ones.outputs).all()
    assert (ones.outputs > 2).all()


def test_evidence_of_regressions_is_in_units_of_their_scale() -> None:
    x = np.random.default_rng(3).normal(size=(200, 2))
    y = 1000 + 20 * x[:, 0]
    fitted = fit_additive(ground(x, 200), y, "regression", 1)
    said = evidence_of([(fitted.model, fitted.outputs)])[:, 0].numpy() * fitted.model.scale
    np.testing.assert_allclose(said, y, atol=15)


def single(data: Dataset, name: str, **changes: object) -> Trial:
    return make_trial(data, [name], preset=replace(M3H, **changes), protocol=PROTOCOLS["m3h"])  # type: ignore[arg-type]


def test_a_stage_fits_each_task_once_for_all_that_ask(learning_data: Callable[..., Dataset]) -> None:
    data, kept = learning_data(), Materials(2)
    stage = kept.of(data, single(data, "death")).additive
    shares: list[float] = []
    first = stage.fitted(["death", "group", "unit"], lambda: None, shares.append)
    assert sorted(first) == ["death", "unit"]
    assert shares[-1] == 1.0
    again = kept.of(data, single(data, "stay")).additive
    assert again is stage
    assert again.fitted(["death"], lambda: None, shares.append)["death"] is first["death"]


def test_who_stops_listening_stops_the_stage(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    stage = AdditiveStage(data, ("demo", "labs"), data.train_rows, 2)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.fitted(["death", "unit"], stop, lambda share: None)


def test_one_patient_is_too_few(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    stage = AdditiveStage(data, ("demo",), data.train_rows[:2], 1)
    with pytest.raises(TrainingError, match="chosen by cross-validation by patient") as raised:
        _ = stage.ground
    assert "1 patient to train on" in str(raised.value)
    assert 'preset = "paper"' in str(raised.value)


def test_threads_change_no_byte(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    said: list[dict[str, Fitted]] = []
    for threads in (1, 3):
        stage = AdditiveStage(data, ("demo", "labs", "note"), data.train_rows, threads)
        said.append(stage.fitted(["death", "unit", "stay"], lambda: None, lambda share: None))
    for name, one in said[0].items():
        assert one.outputs.tobytes() == said[1][name].outputs.tobytes()


def test_without_steps_the_network_says_what_its_additive_models_say(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    trial = replace(single(data, "stay", head_scale=0.0, copies=1), epochs=0)
    done = next(iter(train(data, [trial])))
    assert done.additive is not None
    model = done.additive.models["stay"]
    rows = data.test_rows
    functions = torch.from_numpy(done.additive.basis.apply(data.blocks, rows))
    said = model.outputs(functions, data.blocks, rows)[:, 0] * model.scale + model.centre
    np.testing.assert_allclose(done.predictions["stay"].values, said, rtol=1e-5, atol=1e-5)


def test_gates_close_where_corrections_do_harm(learning_data: Callable[..., Dataset]) -> None:
    """Steps that are far too long learn nonsense by heart: held-out patients tell, and the evidence stays as it is."""
    data = learning_data()
    trial = replace(single(data, "death", schedule="constant"), epochs=40, learning_rate=0.3)
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
