"""Codes and standardised columns: those of plain NumPy, a column at a time."""

from __future__ import annotations

import numpy as np
import pytest

from m3h.dataset.audit.questions import Question
from m3h.dataset.audit.table import CODES, Table


@pytest.fixture
def table() -> Table:
    random = np.random.default_rng(0)
    fine = random.normal(size=(900, 70)).astype(np.float32)
    fine[random.random(fine.shape) < 0.1] = np.nan
    coarse = random.integers(-2, 3, (900, 3)).astype(np.float32)
    coarse[:, 1] = np.nan
    coarse[coarse[:, 0] == 0, 0] = -0.0
    skewed = np.where(random.random((900, 1)) < 0.8, 0, random.normal(size=(900, 1))).astype(np.float32)
    parts = (fine, coarse, skewed)
    names = tuple(f"c{number}" for number in range(74))
    return Table(parts, names, ("fine",) * 70 + ("coarse",) * 3 + ("skewed",))


def test_codes_keep_the_order_and_are_those_of_quantiles_where_values_are_many(table: Table) -> None:
    for code, column in zip(table.codes, np.concatenate(table.parts, axis=1).T, strict=True):
        known = ~np.isnan(column)
        assert np.array_equal(code == 0, ~known)
        distinct = np.unique(column[known])
        if len(distinct) > CODES:
            distinct = np.unique(np.quantile(column[known], np.linspace(0, 1, CODES + 1)[1:-1], method="higher"))
        assert np.array_equal(code[known], np.minimum(np.searchsorted(distinct, column[known]) + 1, CODES))


def test_standard_columns_are_those_of_nan_functions_with_one_half_before_the_other(table: Table) -> None:
    random = np.random.default_rng(1)
    rows = np.sort(random.permutation(900)[:400])
    first = random.random(400) < 0.5
    question = Question("t", "amount", random.normal(size=400), rows, first)
    columns = np.array([0, 1, 5, 70, 71, 73])
    found = table.standard(columns, question)
    order = np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)])
    x = np.concatenate(table.parts, axis=1)[rows[order]][:, columns].astype(np.float64)
    assert np.array_equal(found.known, ~np.isnan(x)) and np.array_equal(found.answers, question.answers[order])
    assert np.array_equal(found.values[:, 4], np.zeros(400))
    kept = [0, 1, 2, 3, 5]
    expected = (x[:, kept] - np.nanmean(x[:, kept], axis=0)) / np.nanstd(x[:, kept], axis=0)
    np.testing.assert_allclose(found.values[:, kept], np.nan_to_num(expected), atol=1e-12)
    (fit, other), (back, forth) = found.halves()
    assert (fit, other) == (forth, back) and len(found.answers[fit]) == first.sum()
