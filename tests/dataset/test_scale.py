"""Scaling: scikit-learn's numbers, what never enters, what comes out."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from m3h.core.errors import DataError, SettingError
from m3h.dataset.scale import Scaler
from m3h.encoders.block import Block


def block_of(values, present=None, source="labs"):
    values = np.asarray(values, dtype=np.float32)
    present = ~np.isnan(values).all(axis=1) if present is None else np.asarray(present)
    names = tuple(f"c{index}" for index in range(values.shape[1]))
    return Block(source, "tabular", values, present, names, ("",) * len(names))


def gappy(rows=50, width=4, seed=0):
    random = np.random.default_rng(seed)
    values = random.normal(3, 2, (rows, width)) * [1, 100, 0.01, 5]
    values[random.random((rows, width)) < 0.2] = np.nan
    return values


def scaled(block, rows):
    return Scaler.fit({block.source: block}, rows).apply(block)


def test_equals_scikit_learns_scaler_where_there_are_values():
    block = block_of(gappy(9000))  # more rows than are held at once
    rows = np.arange(0, 9000, 2)
    expected = StandardScaler().fit(block.values[rows].astype(np.float64)).transform(block.values.astype(np.float64))
    known = ~np.isnan(block.values)
    result = scaled(block, rows)
    np.testing.assert_allclose(result[known], expected.clip(-10, 10)[known], rtol=1e-6, atol=1e-6)
    assert (result[~known] == 0).all()
    assert result.dtype == np.float32


def test_by_hand():
    values = [[1, 5, np.nan], [3, 5, np.nan], [np.nan, 5, 2], [1000, 7, 4], [np.nan] * 3]
    result = scaled(block_of(values), np.array([0, 1, 2]))
    assert result.tolist() == [[-1, 0, 0], [1, 0, 0], [0, 0, 0], [10, 0, 0], [0, 0, 0]]


def test_other_rows_never_enter():
    values = gappy()
    rows = np.arange(30)
    poisoned = values.copy()
    poisoned[30:] = 1e20
    first, second = (Scaler.fit({"labs": block_of(given)}, rows).arrays() for given in (values, poisoned))
    assert {name: array.tobytes() for name, array in first.items()} == {
        name: array.tobytes() for name, array in second.items()
    }


def test_absent_rows_neither_enter_nor_come_out():
    values = gappy()
    present = np.arange(50) != 4
    other = values.copy()
    other[4] = 1e6
    results = [scaled(block_of(given, present), np.arange(50)) for given in (values, other)]
    assert results[0].tobytes() == results[1].tobytes()
    assert (results[1][4] == 0).all()


def test_the_unit_of_a_column_changes_nothing():
    values = gappy().astype(np.float32)
    plain = scaled(block_of(values), np.arange(40))
    powers = scaled(block_of(values * np.float32([2, 0.5, 1024, 2**-10])), np.arange(40))
    assert plain.tobytes() == powers.tobytes()  # powers of two round nothing
    others = scaled(block_of(values * [18.0, 0.0113, 1e-6, 1e6] + [32, 0, 0, 0]), np.arange(40))
    np.testing.assert_allclose(others, plain, atol=1e-4)


def test_order_of_rows_and_masks_change_nothing():
    block = block_of(gappy())
    mask = np.arange(50) < 30
    results = [scaled(block, rows).tobytes() for rows in (mask, np.arange(30), np.arange(30)[::-1])]
    assert len(set(results)) == 1


@pytest.mark.parametrize("value", [0.1, 1e6, 1e-30, 3e38])
def test_a_constant_column_is_zero_everywhere(value):
    block = block_of([[value]] * 7 + [[0]])
    assert (scaled(block, np.arange(7)) == 0).all()


def test_a_column_or_source_without_values_is_zero():
    block = block_of(np.full((4, 2), np.nan))
    assert (scaled(block, np.arange(4)) == 0).all()


def test_round_trip_through_a_checkpoint():
    blocks = {name: block_of(gappy(seed=seed), source=name) for seed, name in enumerate(("labs", "a/b.c"))}
    scaler = Scaler.fit(blocks, np.arange(30))
    again = Scaler.from_arrays({**scaler.arrays(), "network/weight": np.ones(3)})
    assert set(again.means) == {"labs", "a/b.c"}
    for block in blocks.values():
        assert again.apply(block).tobytes() == scaler.apply(block).tobytes()


def test_a_block_that_was_not_fitted_is_refused():
    scaler = Scaler.fit({"labs": block_of(gappy())}, np.arange(30))
    with pytest.raises(SettingError, match='"lab" was not scaled in training; did you mean "labs"'):
        scaler.apply(block_of(gappy(), source="lab"))
    with pytest.raises(DataError, match=r"(?s)another width.*got: 3.*expected: 4"):
        scaler.apply(block_of(gappy(width=4)[:, :3]))


def test_learning_needs_no_readers():
    program = "import sys, m3h.dataset.scale; print({'duckdb', 'polars', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
