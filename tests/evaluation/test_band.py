"""Bands around calibrated risks: what redrawing the patients gives, how often they hold the truth, and their limits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from m3h.core.errors import DataError
from m3h.evaluation.calibration.band import Band, band
from m3h.evaluation.calibration.logistic import recalibration

ASKED = np.array([0.02, 0.1, 0.3, 0.7])


def drawn(patients=400, of_each=3, seed=0):
    """Outcomes of patients with a tendency of their own, so that rows of one are alike, and risks that are right."""
    random = np.random.default_rng(seed)
    names = np.repeat([f"p{number:04}" for number in range(patients)], of_each)
    own = np.repeat(random.normal(-1.5, 1.2, size=patients), of_each)
    truth = (random.random(len(own)) < expit(own)).astype(float)
    return truth, expit(own), names


def test_it_is_what_redrawing_patients_gives():
    truth, risks, names = drawn()
    low, high = band(truth, risks, names).around(ASKED)
    random = np.random.default_rng(1)
    rows = np.arange(len(truth)).reshape(-1, 3)
    lines = np.array(
        [
            np.ravel(recalibration(truth[one], logit(risks[one])))
            for one in (rows[random.integers(len(rows), size=len(rows))].ravel() for _ in range(600))
        ]
    )
    # the spread of lines from redrawn patients, around the risk itself
    spread = (lines[:, :1] + lines[:, 1:] * logit(ASKED)).std(axis=0)
    np.testing.assert_allclose(logit(high) - logit(ASKED), 1.96 * spread, rtol=0.12)
    np.testing.assert_allclose(logit(ASKED) - logit(low), 1.96 * spread, rtol=0.12)


def test_nineteen_of_twenty_hold_the_share_who_have_it():
    """The calibrated risk of an asked one is off by what was fitted; the truth there is the line that drew it."""
    held = 0
    for seed in range(200):
        truth, risks, names = drawn(patients=300, of_each=1, seed=seed)
        intercept, slope = (float(value[0]) for value in recalibration(truth, logit(risks)))
        said = expit(intercept + slope * logit(0.2))
        mended = expit(intercept + slope * logit(risks))
        low, high = band(truth, mended, names).around(np.array([said]))
        held += bool(low[0] <= 0.2 <= high[0])
    assert 180 <= held <= 199


def test_rows_of_one_patient_do_not_make_it_surer():
    truth, risks, names = drawn(of_each=1)
    once = band(truth, risks, names).around(ASKED)
    often = band(np.repeat(truth, 5), np.repeat(risks, 5), np.repeat(names, 5)).around(ASKED)
    np.testing.assert_allclose(often, once, rtol=1e-6)


def test_it_holds_the_risk_itself_even_at_the_ends():
    asked = np.array([0.0, 1e-12, 0.5, 1 - 1e-12, 1.0])
    low, high = band(*drawn()).around(asked)
    assert (low <= asked).all() and (asked <= high).all() and (low >= 0).all() and (high <= 1).all()


def test_too_few_patients_of_an_outcome_have_none():
    truth, risks, names = drawn(patients=40, of_each=1)
    few = np.where(np.cumsum(truth) > 9, 0.0, truth)
    assert band(few, risks, names) is None and band(np.zeros(40), risks, names) is None
    assert band(np.repeat([0.0, 1.0], 20), np.repeat([0.1, 0.9], 20), names) is None  # separated


def test_it_is_kept_as_json_and_nothing_else_is_read():
    found = band(*drawn())
    assert Band.from_list(json.loads(json.dumps(found.as_list()))) == found
    for wrong in ([1.0, 2.0], [1.0, 0.0, float("nan")], [-1.0, 0.0, 1.0]):
        with pytest.raises(DataError, match="no band"):
            Band.from_list(wrong)
