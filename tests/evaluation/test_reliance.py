"""What is kept with a model of how far its answers can be relied on: its parts, fitted to what was held out alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, softmax

from m3h.core.errors import DataError
from m3h.evaluation.calibration import calibrator
from m3h.evaluation.conformal import conformal
from m3h.evaluation.reliance import Reliance, reliance

ROWS = 600
RANDOM = np.random.default_rng(5)
PATIENTS = np.array([f"p{row // 2:04}" for row in range(ROWS)])


def given(kind):
    """Truth with unlabelled rows, and what was held out, with rows for which nothing was."""
    if kind == "multiclass":
        held = softmax(RANDOM.normal(size=(ROWS, 3)), axis=1)
        truth = (RANDOM.random((ROWS, 1)) > held.cumsum(axis=1)).sum(axis=1).astype(float)
    elif kind == "binary":
        held = expit(RANDOM.normal(-1, 1, size=ROWS))
        truth = (RANDOM.random(ROWS) < held).astype(float)
    else:
        held = RANDOM.normal(5, 2, size=ROWS)
        truth = held + RANDOM.normal(size=ROWS)
    truth[::7], held[3::11] = np.nan, np.nan
    return truth, held


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_its_parts_are_those_fitted_one_by_one(kind):
    truth, held = given(kind)
    found = reliance(kind, truth, held, PATIENTS)
    rows = ~np.isnan(truth) & ~np.isnan(held.reshape(ROWS, -1)).any(axis=1)
    alone = calibrator(kind, truth[rows], held[rows], PATIENTS[rows])
    assert found.calibrator == alone
    calibrated = alone.apply(held[rows])
    sides = kind == "regression"
    limits = [
        conformal(kind, truth[rows], calibrated, PATIENTS[rows], level=level, two_sided=sides) for level in (0.8, 0.9)
    ]
    assert list(found.limits) == limits and found.level == 0.9
    assert len(found.bands) == {"binary": 1, "multiclass": 3, "regression": 0}[kind]
    low, high = found.interval(calibrated)
    assert low.shape == high.shape == calibrated.shape
    if kind == "regression":
        np.testing.assert_array_equal((low, high), np.maximum(limits[1].intervals(calibrated), truth[rows].min()))
    else:
        assert (low <= calibrated).all() and (calibrated <= high).all()
        np.testing.assert_array_equal(found.possible(calibrated), limits[1].sets(calibrated))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_it_comes_back_from_json_to_the_last_digit(kind):
    found = reliance(kind, *given(kind), PATIENTS)
    assert Reliance.from_dict(json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_of_few_patients_nothing_is_said(kind):
    """No limit has an end, no band is known; and JSON holds that too."""
    truth, held = given(kind)
    few = slice(4, 7)
    found = Reliance.from_dict(json.loads(json.dumps(reliance(kind, truth[few], held[few], PATIENTS[few]).as_dict())))
    assert found.calibrator.fitted == "nothing"
    assert all(np.isnan(bound).all() for bound in found.interval(held[few]))
    if kind != "regression":
        assert found.possible(held[few]).all()


def test_anything_else_is_refused():
    with pytest.raises(DataError, match="relied on"):
        Reliance.from_dict({"calibrator": {}})
