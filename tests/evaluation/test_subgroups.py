"""Subgroups: scikit-learn's scores on each side, SciPy's corrections, tests that keep their promise, the small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score

from m3h.core.errors import DataError, SettingError
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction, score
from m3h.evaluation.subgroups import age_bands, corrected, holm, subgroups

ROWS = 900
PATIENTS = np.array([f"p{row // 2:03}" for row in range(ROWS)])
DRAWS = patient_draws(PATIENTS, 5, 100)
RANDOM = np.random.default_rng(8)
TRUTH = (RANDOM.random(ROWS) < 0.4).astype(float)
WARD = np.array(["cardiac", "medical", "surgical", ""])[RANDOM.integers(0, 4, size=ROWS)]
# surgical patients are predicted worse
NOISE = np.where(WARD == "surgical", 4.0, 0.7) * RANDOM.normal(size=ROWS)
PREDICTED = Prediction(values=1 / (1 + np.exp(-2 * TRUTH + 1 - NOISE)))


def found(kind="binary", truth=TRUTH, prediction=PREDICTED, values=WARD, **options):
    return subgroups(kind, truth, prediction, values, PATIENTS, draws=DRAWS, **options)


def test_scores_and_differences_are_scikit_learns():
    told = found()
    assert [one.value for one in told] == ["cardiac", "medical", "surgical"]
    for one in told:
        rows, others = one.value == WARD, (one.value != WARD) & (WARD != "")
        own = roc_auc_score(TRUTH[rows], PREDICTED.values[rows])
        rest = roc_auc_score(TRUTH[others], PREDICTED.values[others])
        assert (one.score, one.difference) == pytest.approx((own, own - rest))
        assert one.metric == "auroc" and one.n == rows.sum() and one.patients == len(np.unique(PATIENTS[rows]))
        assert one.low < one.score < one.high and one.difference_low < one.difference < one.difference_high
    assert told[2].p < 1e-3 and told[2].difference_high < 0


def test_score_and_interval_are_those_of_the_package():
    rows = WARD == "medical"
    whole = score("binary", TRUTH[rows], PREDICTED.at(rows), draws=DRAWS[:, rows], seed=0)[0]
    one = found()[1]
    assert (one.score, one.low, one.high) == (whole.value, whole.low, whole.high)


def test_difference_is_of_the_same_draws_on_both_sides():
    one = found()[0]
    rows, others = WARD == "cardiac", (WARD != "cardiac") & (WARD != "")
    gaps = np.array(
        [
            roc_auc_score(TRUTH[rows], PREDICTED.values[rows], sample_weight=draw[rows])
            - roc_auc_score(TRUTH[others], PREDICTED.values[others], sample_weight=draw[others])
            for draw in DRAWS
        ]
    )
    assert (one.difference_low, one.difference_high) == pytest.approx(tuple(np.percentile(gaps, (2.5, 97.5))))
    assert one.p == pytest.approx(2 * stats.norm.sf(abs(one.difference) / gaps.std(ddof=1)))


def test_other_kinds_and_metrics():
    truth = RANDOM.normal(size=ROWS)
    prediction = Prediction(values=truth + 0.5 * NOISE)
    rows = WARD == "surgical"
    assert found("regression", truth, prediction)[2].score == pytest.approx(
        r2_score(truth[rows], prediction.values[rows])
    )
    worse = found("regression", truth, prediction, metric="mae")[2]
    assert worse.score == pytest.approx(mean_absolute_error(truth[rows], prediction.values[rows]))
    assert worse.difference_low > 0
    labels = RANDOM.integers(0, 3, size=ROWS).astype(float)
    raw = RANDOM.random((ROWS, 3)) + np.eye(3)[labels.astype(int)]
    told = found("multiclass", labels, Prediction(values=raw / raw.sum(axis=1, keepdims=True)))
    assert [one.metric for one in told] == ["macro_auroc"] * 3 and all(0 < one.p <= 1 for one in told)


def test_p_keeps_its_promise_where_there_is_no_difference():
    """Of 200 comparisons without a difference about 5 % are below 0.05, with two rows a patient."""
    random = np.random.default_rng(2)
    p = []
    for _ in range(200):
        error = np.repeat(random.normal(size=200), 2) + 0.5 * random.normal(size=400)
        side = np.repeat(np.where(random.random(200) < 0.4, "a", "b"), 2)
        told = subgroups(
            "regression",
            error,
            Prediction(values=np.zeros(400)),
            side,
            PATIENTS[:400],
            draws=DRAWS[:, :400],
            metric="mae",
        )
        assert told[0].p == pytest.approx(told[1].p) and told[0].difference == pytest.approx(-told[1].difference)
        p.append(told[0].p)
    assert 2 <= sum(one < 0.05 for one in p) <= 22
    assert stats.kstest(p, "uniform").pvalue > 0.01


# --- corrections


def test_holms_correction_is_hand_worked():
    p = np.array([0.01, 0.04, 0.03])
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06])
    many = RANDOM.random(60) ** 2
    order = RANDOM.permutation(60)
    np.testing.assert_allclose(holm(many[order]), holm(many)[order])
    # Holm's definition: the largest of the factors up to each rank
    ranked = np.sort(many)
    steps = [max((60 - j) * ranked[j] for j in range(place + 1)) for place in range(60)]
    np.testing.assert_allclose(np.sort(holm(many)), np.minimum(steps, 1))
    assert holm(np.zeros(0)).shape == (0,) and corrected(()) == ()


def test_all_comparisons_that_are_given_are_corrected_together():
    few = np.where(np.arange(ROWS) < 40, "few", "many")
    told = [*found(), *found(values=few)]
    mended = corrected(told)
    assert [one.value for one in mended] == [one.value for one in told]
    tested = [one for one in mended if not np.isnan(one.p)]
    assert len(tested) == 3
    np.testing.assert_allclose([one.holm for one in tested], holm(np.array([one.p for one in tested])))
    assert all(one.p <= one.q <= one.holm for one in tested)
    assert np.isnan([one.holm for one in mended if np.isnan(one.p)]).all()
    assert corrected(()) == ()


# --- the small and the unscorable


def test_small_subgroups_are_marked_and_not_tested():
    few = np.where(np.arange(ROWS) < 58, "few", "many")
    small, large = found(values=few)
    assert small.reason == "29 patients, fewer than 30" and small.patients == 29 and np.isfinite(small.score)
    assert large.reason == "others: 29 patients, fewer than 30"
    assert np.isnan([small.difference, small.p, large.difference, large.p]).all()
    enough, _ = found(values=np.where(np.arange(ROWS) < 60, "few", "many"))
    assert enough.reason == "" and enough.p > 0


def test_a_subgroup_of_one_class_cannot_be_scored():
    truth = np.where(WARD == "medical", 0.0, TRUTH)
    cardiac, medical, _ = found(truth=truth)
    assert np.isnan([medical.score, medical.low, medical.p]).all()
    assert medical.reason == "0 patients of class 1, fewer than 5"
    assert cardiac.reason == "" and cardiac.p > 0
    truth = np.where(WARD == "medical", 3.0, RANDOM.normal(size=ROWS))
    constant = found("regression", truth, Prediction(values=RANDOM.normal(size=ROWS)))[1]
    assert constant.reason == "its rows have no r2" and np.isnan(constant.score)


def test_a_handful_of_events_is_no_test():
    """One positive row gives every draw that has it nearly the same AUROC: the spread would be far too small."""
    truth = np.where(WARD == "medical", 0.0, TRUTH)
    truth[np.flatnonzero(WARD == "medical")[:3]] = 1
    medical = found(truth=truth)[1]
    assert "patients of class 1, fewer than 5" in medical.reason and np.isnan(medical.p) and np.isfinite(medical.score)


def test_a_value_that_all_have_has_no_others():
    (only,) = found(values=np.full(ROWS, "ward"))
    assert only.reason == "others: 0 patients, fewer than 30" and np.isfinite(only.score)
    assert found(values=np.full(ROWS, "")) == ()


def test_a_diverged_network_has_no_scores():
    told = found(prediction=Prediction(values=np.full(ROWS, np.nan)))
    assert all(np.isnan(one.score) and one.reason == "its rows have no auroc" for one in told)


# --- laws


def test_unlabelled_and_unknown_rows_count_nowhere():
    known = (WARD != "") & (np.arange(ROWS) % 3 > 0)
    holes = found(truth=np.where(np.arange(ROWS) % 3 > 0, TRUTH, np.nan))
    kept = subgroups("binary", TRUTH[known], PREDICTED.at(known), WARD[known], PATIENTS[known], draws=DRAWS[:, known])
    assert holes == kept


def test_order_of_rows_changes_nothing():
    order = RANDOM.permutation(ROWS)
    shuffled = subgroups(
        "binary",
        TRUTH[order],
        Prediction(values=PREDICTED.values[order]),
        WARD[order],
        PATIENTS[order],
        draws=DRAWS[:, order],
    )
    assert shuffled == found()


def test_age_bands():
    ages = np.array([0, 39.9, 40, 59.99, 60, 74, 75, 101, np.nan])
    assert age_bands(ages).tolist() == ["<40", "<40", "40-59", "40-59", "60-74", "60-74", "75+", "75+", ""]
    with pytest.raises(DataError, match="1 ages are below 0"):
        age_bands(np.array([4.0, -1.0]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: found(metric="r2"), SettingError, "metric r2 of a binary task\n  expected: auroc, auprc, brier"),
        (lambda: found(values=WARD[1:]), DataError, r"values of shape \(899,\)\n  expected: \(900,\)"),
        (
            lambda: subgroups("binary", TRUTH, PREDICTED, WARD, PATIENTS[1:], draws=DRAWS),
            DataError,
            r"patients of shape \(899,\)",
        ),
        (
            lambda: subgroups("binary", TRUTH, PREDICTED, WARD, PATIENTS, draws=DRAWS[:, 1:]),
            DataError,
            r"draws of shape \(100, 899\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
