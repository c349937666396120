"""Functions of features: worked by hand, and what is missing adds nothing."""

from __future__ import annotations

import numpy as np
import pytest

from m3h.dataset.basis import BINS, Basis, SourceBasis
from m3h.encoders.block import Block


def block(values: np.ndarray, modality: str = "tabular", present: np.ndarray | None = None) -> Block:
    array = np.asarray(values, np.float32)
    there = np.ones(len(array), bool) if present is None else present
    names = tuple(f"c{number}" for number in range(array.shape[1]))
    return Block("labs", modality, array, there, names, ("",) * array.shape[1])


def test_bins_are_how_far_a_value_has_come() -> None:
    x = np.arange(9.0)[:, None]  # the quantiles are the values: eight bins of width 1
    basis = SourceBasis.fit(block(x), np.arange(9))
    assert basis.counts.tolist() == [1 + BINS]
    functions = basis.apply(block(x))
    expected = np.clip(x - np.arange(8.0), 0, 1)
    np.testing.assert_allclose(functions[1:].T, expected - expected.mean(0), atol=1e-6)
    # quartiles 2 and 6: one deviation is 4 / 1.349; the bend is sqrt(1 + (z / 4)^2)
    z = (x[:, 0] - 4) / (4 / 1.349)
    bent = z / np.sqrt(1 + (z / 4) ** 2)
    np.testing.assert_allclose(functions[0], bent - bent.mean(), atol=1e-6)


def test_columns_have_mean_zero_where_measured_and_are_zero_elsewhere() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3)) * 50
    x[random.random(x.shape) < 0.2] = np.nan
    basis = SourceBasis.fit(block(x), np.arange(150))
    functions = basis.apply(block(x))
    own = np.repeat(np.arange(len(basis.counts)), basis.counts)
    for feature in range(3):
        rows = functions[own == feature]
        assert (rows[:, np.isnan(x[:, feature])] == 0).all()
        known = ~np.isnan(x[:150, feature])
        np.testing.assert_allclose(rows[:, :150][:, known].mean(1), 0, atol=1e-6)


def test_indicators_say_what_is_missing_once() -> None:
    x = np.random.default_rng(1).normal(size=(100, 4))
    x[:30, 0] = x[:30, 1] = np.nan  # always together
    x[50:60, 2] = np.nan
    basis = SourceBasis.fit(block(x), np.arange(100))
    assert basis.missing.tolist() == [0, 2]
    told = basis.apply(block(x))[-2:]
    np.testing.assert_allclose(told[0], np.isnan(x[:, 0]) - 0.3, atol=1e-6)
    np.testing.assert_allclose(told[1], np.isnan(x[:, 2]) - 0.1, atol=1e-6)


def test_an_absent_source_adds_nothing_unless_training_knew_it() -> None:
    x = np.random.default_rng(2).normal(size=(40, 2))
    whole = SourceBasis.fit(block(x), np.arange(40))
    assert not whole.absent
    gone = block(np.full((3, 2), np.nan), present=np.zeros(3, bool))
    assert (whole.apply(gone) == 0).all()
    present = np.arange(40) >= 10
    some = SourceBasis.fit(block(np.where(present[:, None], x, np.nan), present=present), np.arange(40))
    assert some.absent
    functions = some.apply(gone)
    assert (functions[:-1] == 0).all()
    np.testing.assert_allclose(functions[-1], 0.75)  # absent in a quarter of the rows: 1 - 0.25


def test_values_behind_an_absent_source_are_not_looked_at() -> None:
    x = np.random.default_rng(3).normal(size=(40, 2))
    present = np.arange(40) >= 10
    x[~present] = 1e6
    poisoned = SourceBasis.fit(block(x, present=present), np.arange(40))
    clean = SourceBasis.fit(block(np.where(present[:, None], x, np.nan), present=present), np.arange(40))
    expected = Basis({"labs": clean}).arrays()
    for key, value in Basis({"labs": poisoned}).arrays().items():
        np.testing.assert_array_equal(value, expected[key])


@pytest.mark.parametrize("modality", ["language", "vision"])
def test_embeddings_have_no_bins(modality: str) -> None:
    x = np.random.default_rng(4).normal(size=(50, 3))
    assert SourceBasis.fit(block(x, modality), np.arange(50)).counts.tolist() == [1, 1, 1]


def test_constant_and_empty_features_have_no_function() -> None:
    x = np.column_stack([np.ones(30), np.full(30, np.nan), np.arange(30.0), np.arange(30) % 2])
    basis = SourceBasis.fit(block(x), np.arange(30))
    assert basis.features[:2].tolist() == [2, 3]
    assert basis.counts[:2].tolist() == [1 + BINS, 1]  # two values have no bins between them


def test_rows_not_fitted_on_have_no_say_and_order_none() -> None:
    x = np.random.default_rng(5).normal(size=(60, 3))
    first = Basis.fit({"labs": block(x)}, np.arange(40))
    x[40:] = 1e9
    second = Basis.fit({"labs": block(x)}, np.arange(40)[::-1].copy())
    for key, value in first.arrays().items():
        np.testing.assert_allclose(second.arrays()[key], value, rtol=1e-12)


def test_a_basis_comes_back_from_its_arrays() -> None:
    x = np.random.default_rng(6).normal(size=(60, 3))
    blocks = {"labs": block(x), "b/c": block(x[:, :1], "vision")}
    basis = Basis.fit(blocks, np.arange(60))
    again = Basis.from_arrays(basis.arrays(), ["labs", "b/c"])
    np.testing.assert_array_equal(again.apply(blocks), basis.apply(blocks))
    assert basis.features(blocks).tolist() == [0, 1, 2, 3]
    assert again.columns == len(basis.apply(blocks)) == basis.counts.sum()
    np.testing.assert_array_equal(basis.apply(blocks, np.array([5, 2])), basis.apply(blocks)[:, [5, 2]])
