"""Orders of columns and amounts: ranks and coefficients of scipy, column by column."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chatterjeexi, rankdata, spearmanr

from m3h.dataset.audit.order import follows, ranks


def test_ranks_are_those_of_scipy() -> None:
    x = np.random.default_rng(1).integers(0, 40, 300).astype(float)
    assert np.array_equal(ranks(x), rankdata(x))


@pytest.mark.parametrize("missing", [0, 60])
def test_the_largest_of_three_coefficients_of_scipy(missing: int) -> None:
    random = np.random.default_rng(missing)
    amounts = random.normal(size=240)
    rising, bent = np.argsort(np.argsort(amounts)), np.argsort(np.argsort(np.sin(4 * amounts)))
    codes = np.stack([rising, rising[::-1], bent, random.permutation(240)]).astype(np.uint8) + np.uint8(1)
    codes[:, random.permutation(240)[:missing]] = 0
    found = follows(codes, amounts)
    for column, score in zip(codes, found, strict=True):
        x, y = column[column > 0].astype(float), amounts[column > 0]
        both = (chatterjeexi(x, y).statistic, chatterjeexi(y, x).statistic)
        assert score == pytest.approx(max(abs(spearmanr(x, y).statistic), *both))
    assert found[0] == 1.0 and found[2] > 0.9 and found[3] < 0.3


def test_ties_are_those_of_scipy_in_ranks() -> None:
    random = np.random.default_rng(3)
    amounts = np.round(random.normal(size=400), 1)
    codes = np.clip(np.digitize(amounts + random.normal(size=400) / 4, np.linspace(-2, 2, 9)) + 1, 1, 10)
    assert follows(codes[None].astype(np.uint8), amounts)[0] >= abs(spearmanr(codes, amounts).statistic) - 1e-12


def test_rows_that_are_not_known_change_nothing_and_columns_do_not_touch() -> None:
    random = np.random.default_rng(4)
    amounts = random.integers(0, 30, 300).astype(float)
    codes = random.integers(0, 6, (600, 300)).astype(np.uint8)
    found = follows(codes, amounts)
    for number in (0, 255, 256, 599):
        known = codes[number] > 0
        assert follows(codes[number][None, known], amounts[known])[0] == found[number]


def test_few_rows_and_amounts_that_do_not_differ_tell_nothing() -> None:
    amounts = np.arange(100.0)
    few = np.where(amounts < 19, amounts + 1, 0).astype(np.uint8)
    rare = np.where(amounts < 9, 2, 1).astype(np.uint8)
    assert follows(np.stack([few, rare]), amounts).tolist() == [0, 0]
    assert follows((np.arange(100)[None] + 1).astype(np.uint8), np.ones(100)).tolist() == [0]
