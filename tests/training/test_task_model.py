"""Task models: additive models and trees together, saved and read again, in units that networks can read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from m3h.training.additive import side_by_side
from m3h.training.task_model import TaskModels, fit_task
from made import make_ground


@pytest.fixture
def made() -> tuple[np.ndarray, np.random.Generator]:
    random = np.random.default_rng(0)
    return random.normal(size=(1200, 10)), random


def test_the_model_says_of_new_rows_what_was_said_of_them(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = np.digitize(x[:, 0] + x[:, 3] * x[:, 1] + random.normal(size=len(x)), (-0.5, 0.5)).astype(float)
    y[random.random(len(y)) < 0.2] = np.nan
    own = make_ground(x, 800)
    fitted = fit_task(own, y, "multiclass", 3, trees=True)
    rows = np.arange(900, 1000)
    functions = torch.from_numpy(own.basis.apply(own.blocks, rows))
    said = fitted.model.outputs(functions, own.blocks, side_by_side(own.blocks, rows), rows)
    np.testing.assert_allclose(said, fitted.outputs[rows], atol=1e-5)
    models = TaskModels(own.basis, {"a/b": fitted.model})
    again = TaskModels.from_arrays(models.arrays(), ["labs"], ["a/b", "group"])
    torch.testing.assert_close(
        again.evidence(["a/b", "group"], own.blocks, rows), models.evidence(["a/b"], own.blocks, rows), rtol=0, atol=0
    )
    assert again.models["a/b"].additive.chosen == fitted.model.additive.chosen


def test_half_of_each_unless_one_is_better_beyond_doubt(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    own = make_ground(x, 900)
    straight = x[:, 0] * 3 + random.normal(size=len(x))
    assert fit_task(own, straight, "regression", 1, trees=True).model.share < 0.5
    # neither functions of one feature nor of two know where a region in three begins
    region = 4.0 * (np.abs(x[:, :3]).max(1) < 0.9) * (x[:, 3] > 0) + 0.3 * random.normal(size=len(x))
    assert fit_task(own, region, "regression", 1, trees=True).model.share >= 0.5
    noise = random.normal(size=len(x))
    assert fit_task(own, (noise > 0).astype(float), "binary", 1, trees=True).model.share == 0.5
    nothing = fit_task(own, noise, "regression", 1, trees=True)
    assert nothing.model.centre == pytest.approx(np.median(noise[:900]))
    assert not nothing.outputs.any()


def test_both_together_are_better_than_either(made: tuple[np.ndarray, np.random.Generator]) -> None:
    x, random = made
    y = x[:, 0] + np.sign(x[:, 2] * x[:, 3]) * (x[:, 4] > 0) * 2 + random.normal(size=len(x))
    own = make_ground(x, 900)
    both, plain = (fit_task(own, y, "regression", 1, trees=trees) for trees in (True, False))
    assert plain.model.boosted is None
    assert r2_score(y[900:], both.outputs[900:, 0]) > r2_score(y[900:], plain.outputs[900:, 0]) + 0.01


def test_what_two_patients_decide_is_not_believed() -> None:
    """Two far values that a feature tells have the best squared error of all in cross-validation, and prove nothing;
    twenty do."""
    random = np.random.default_rng(3)
    x = random.normal(size=(240, 4))
    for many, believed in ((2, False), (20, True)):
        y = random.normal(size=len(x))
        x[:, 0] = 0.0
        x[:many, 0], y[:many] = 1.0, 50.0
        mixed = random.permutation(len(x))
        fitted = fit_task(make_ground(x[mixed], 240), y[mixed] + 1e3, "regression", 1, trees=True)
        assert (np.ptp(fitted.outputs) > 0.1) == believed
        if not believed:
            assert fitted.model.centre == pytest.approx(np.median(y) + 1e3)
            assert fitted.model.boosted is None


def test_a_patient_seen_often_is_one_patient() -> None:
    """Forty rows of two patients are no more proof than two rows."""
    random = np.random.default_rng(4)
    x = random.normal(size=(280, 4))
    y, patients = random.normal(size=len(x)), np.array([f"{row:05d}" for row in range(len(x))])
    x[:, 0] = 0.0
    x[:40, 0], y[:40] = 1.0, 50.0
    assert np.ptp(fit_task(make_ground(x, 280), y, "regression", 1).outputs) > 0.1
    patients[:20], patients[20:40] = "a", "b"
    assert np.ptp(fit_task(make_ground(x, 280, patients=patients), y, "regression", 1).outputs) == 0
