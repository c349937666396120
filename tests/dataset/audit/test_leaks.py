from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from m3h.dataset.audit.leaks import constant_columns, equal_columns, identical_columns


@pytest.mark.parametrize("seed", range(20))
def test_regression_agrees_with_scipy(seed: int) -> None:
    """Columns that follow the labels, with ties and gaps, or nearly do."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 12, 60).astype(float)
    swapped = labels.copy()
    swapped[rng.integers(0, 60)] += 1
    columns = [labels, labels**3, -np.sqrt(labels), swapped, np.maximum(labels, 2), rng.normal(size=60), 5 - 2 * labels]
    values = np.stack(columns, axis=1).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    expected = []
    for column in range(values.shape[1]):
        known = ~np.isnan(values[:, column])
        x, y = values[known, column].astype(float), labels[known]
        if max(abs(pearsonr(x, y).statistic), abs(spearmanr(x, y).statistic)) >= 1 - 1e-9:
            expected.append(column)
    assert equal_columns(values, labels, "regression") == expected
    assert {0, 1, 6} <= set(expected)
    assert 5 not in expected


def test_rows_without_a_label_do_not_count() -> None:
    labels = np.array([0.0, 1.0] * 15)
    values = labels[:, None].astype(np.float32)
    assert equal_columns(values, labels, "binary") == [0]
    labels[:11] = np.nan
    assert equal_columns(values, labels, "binary") == []


def test_a_constant_column_equals_no_label() -> None:
    values = np.full((30, 1), 0.1, dtype=np.float32)
    assert equal_columns(values, np.full(30, 0.3), "regression") == []
    assert equal_columns(values, np.arange(30.0), "regression") == []
    assert equal_columns(values, np.arange(30) % 2.0, "binary") == []


def test_both_zeros_are_one_value_and_gaps_must_agree() -> None:
    values = np.array([[0.0, -0.0, 0.0], [1.0, 1.0, 1.0], [np.nan, np.nan, 2.0]], dtype=np.float32)
    assert identical_columns(values) == [[0, 1]]


def test_nothing_in_nothing() -> None:
    nothing = np.zeros((0, 3), dtype=np.float32)
    assert constant_columns(nothing) == identical_columns(nothing) == []
    assert equal_columns(nothing, np.zeros(0), "binary") == []
    assert equal_columns(np.zeros((30, 0), dtype=np.float32), np.arange(30.0), "regression") == []


def test_a_column_that_separates_by_few_patients_proves_nothing():
    labels = np.repeat([1.0, 0.0], [4, 56])
    values = np.repeat([7.0, 0.0], [4, 56]).astype(np.float32)[:, None]
    each_its_own = np.arange(60)
    assert equal_columns(values, labels, "binary", each_its_own) == []  # 60 over 4: 487,635 ways
    assert equal_columns(values, labels, "binary", np.repeat(np.arange(15), 4)) == []  # the four are one patient
    more = np.repeat([1.0, 0.0], [6, 54])
    assert equal_columns(more.astype(np.float32)[:, None], more, "binary", each_its_own) == [0]
    assert equal_columns(more.astype(np.float32)[:, None], more, "binary", each_its_own // 6) == []


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_one_row_of_many_that_does_not_fit_is_seen(kind: str) -> None:
    random = np.random.default_rng(1)
    labels = random.normal(size=3000) if kind == "regression" else random.integers(0, 3, 3000) % 3.0
    labels = (labels > 0).astype(float) if kind == "binary" else labels
    broken = labels.copy()
    broken[1234] = labels.max() + 1
    noise = random.normal(size=(3000, 70))
    values = np.column_stack([noise, broken, 5 - 2 * labels, labels == labels.max()]).astype(np.float32)
    expected = {"binary": [71, 72], "multiclass": [71, 72], "regression": [71]}[kind]
    assert equal_columns(values, labels, kind) == expected
