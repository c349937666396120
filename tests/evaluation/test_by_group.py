"""Risk and rate by quantile and subgroup: NumPy's quantiles, SciPy's Wilson intervals, cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from m3h.core.errors import DataError
from m3h.evaluation.calibration.by_group import group_curves


def example(rows: int = 1200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two large groups, for one of which the same risk means twice as much; twelve patients of a third."""
    random = np.random.default_rng(5)
    risk = random.uniform(0.02, 0.4, rows)
    values = np.where(np.arange(rows) < 12, "few", np.where(random.random(rows) < 0.45, "a", "b"))
    truth = (random.random(rows) < risk * np.where(values == "a", 2, 1)).astype(float)
    return truth, risk, values, np.arange(rows).astype(str)


def test_each_group_is_told_in_the_tenths_of_all() -> None:
    truth, risk, values, patients = example(1202)
    truth[7], values[20] = np.nan, ""
    found = {one.value: one for one in group_curves(truth, risk, values, patients)}
    assert list(found) == ["", "a", "b", "few"]
    known = ~np.isnan(truth) & (values != "")
    edges = np.quantile(risk[known], np.arange(1, 10) / 10)
    tenth = np.searchsorted(edges, risk, side="right") + 1
    for name in "ab":
        assert [one.number for one in found[name].quantiles] == list(range(1, 11))
        for one in found[name].quantiles:
            rows = known & (values == name) & (tenth == one.number)
            assert one.n == rows.sum()
            assert (one.predicted, one.observed) == pytest.approx((risk[rows].mean(), truth[rows].mean()))
            wilson = binomtest(int(truth[rows].sum()), int(rows.sum())).proportion_ci(method="wilson")
            assert (one.low, one.high) == pytest.approx((wilson.low, wilson.high))
    assert sum(one.n for one in found[""].quantiles) == known.sum() == found[""].rows
    assert found["a"].quantiles[-1].low > found["b"].quantiles[-1].high


def test_a_group_of_few_patients_is_left_out_and_told_why() -> None:
    truth, risk, values, patients = example()
    few = group_curves(truth, risk, values, patients)[-1]
    assert (few.value, few.quantiles, few.patients, few.rows) == ("few", (), 12, 12)
    assert few.reason == "12 patients, fewer than 30"
    # many rows of few patients are few patients
    patients[values == "b"] = "same"
    assert [one.value for one in group_curves(truth, risk, values, patients) if not one.reason] == ["", "a"]


@pytest.mark.parametrize(("rows", "quantiles"), [(60, 3), (240, 5), (1200, 10)])
def test_small_groups_make_coarse_quantiles(rows: int, quantiles: int) -> None:
    risk = np.linspace(0.01, 0.9, rows)
    values = np.where(np.arange(rows) % 2, "a", "b")
    found = group_curves(np.zeros(rows), risk, values, np.arange(rows).astype(str))
    assert [len(one.quantiles) for one in found] == [quantiles] * 3


def test_no_rate_is_told_of_a_few_rows() -> None:
    risk = np.linspace(0.01, 0.9, 90)
    # b has 4 rows in the lowest third, 26 in the middle one
    values = np.array(["b"] * 4 + ["a"] * 26 + ["b"] * 26 + ["a"] * 34)
    last = group_curves(np.ones(90), risk, values, np.arange(90).astype(str))[-1]
    assert [one.n for one in last.quantiles] == [4, 26, 0]
    assert [np.isnan(one.observed) for one in last.quantiles] == [True, False, True]


def test_nothing_is_told_without_labels_or_risks() -> None:
    truth, risk, values, patients = example(60)
    assert group_curves(np.full(60, np.nan), risk, values, patients) == ()
    assert group_curves(truth, np.full(60, np.nan), values, patients) == ()


def test_what_does_not_fit_is_refused() -> None:
    truth, risk, values, patients = example(60)
    with pytest.raises(DataError, match=r"truth, risks, values and patients of 60, 59, 60, 60 rows"):
        group_curves(truth, risk[1:], values, patients)
    with pytest.raises(DataError, match="neither 0 nor 1"):
        group_curves(truth + 1, risk, values, patients)
    with pytest.raises(DataError, match="no probabilities"):
        group_curves(truth, risk + 1, values, patients)
