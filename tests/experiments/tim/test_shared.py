from __future__ import annotations

import numpy as np
import pytest

from m3h.core import seeds
from m3h.experiments.tim.model import regression
from m3h.experiments.tim.observed import Rows
from m3h.experiments.tim.ridge import fit
from m3h.experiments.tim.settings import Settings
from m3h.experiments.tim.shared import shared


def made(each: int = 12, targets: int = 4) -> Rows:
    rng = seeds.generator(3, "rows", each)
    others = rng.integers(0, 2, (3 * each, targets)).astype(float)
    score = others @ np.arange(targets) + rng.standard_normal(len(others))
    return Rows(others, others.sum(1).astype(np.int64) + 1, np.repeat([0, 1, 2], each), np.ones(3 * each), score)


def test_many_draws_come_to_the_closed_form() -> None:
    # the variance of a linear estimator under residuals drawn with replacement is their mean square times its squares
    rows = made()
    model = regression(rows, None)
    assert model is not None
    ridge = fit(model)
    squares = (ridge.estimator**2).sum(1)
    noise = squares * (ridge.residual**2).mean()
    between = np.zeros(4)
    for group in range(3):
        here = rows.group == group
        between += ridge.replicates * ((ridge.estimator[:, here] @ rows.others[here]) ** 2).sum(1)
    unseen = np.maximum(between - ridge.seen * squares, 0)
    shrinkage = ridge.spread * ((ridge.estimator @ rows.others - np.eye(4)) ** 2).sum(1)
    found = shared(rows, Settings(draws=40000), 0)
    np.testing.assert_allclose(found.error**2, noise + unseen + shrinkage, rtol=0.03)
    np.testing.assert_allclose(found.value, ridge.estimator @ rows.score, atol=1e-12)
    assert (found.freedom, found.trials.tolist()) == (36 - 4, [36.0] * 4)


def test_in_minus_out_is_the_slope_on_one_target_within_replicates() -> None:
    rows = made()
    found = shared(rows, Settings(estimator="means"), 0)
    levels = np.column_stack([rows.group == group for group in range(3)]).astype(float)
    for target in range(4):
        beta = np.linalg.lstsq(np.column_stack([levels, rows.others[:, target]]), rows.score, rcond=None)[0]
        assert found.value[target] == pytest.approx(beta[-1])


def test_a_target_that_is_always_there_has_no_value() -> None:
    rows = made()
    rows.others[:, 2] = 1.0
    for settings in (Settings(), Settings(estimator="means")):
        found = shared(
            Rows(rows.others, rows.others.sum(1).astype(np.int64) + 1, rows.group, rows.weight, rows.score), settings, 0
        )
        np.testing.assert_array_equal(np.isnan(found.value), [False, False, True, False])
        np.testing.assert_array_equal(np.isnan(found.error), [False, False, True, False])
