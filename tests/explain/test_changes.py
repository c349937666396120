from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from m3h.core.errors import SettingError
from m3h.dataset.dataset import Dataset
from m3h.explain.changes import (
    Absent,
    Change,
    Factor,
    Holes,
    Noise,
    Offset,
    Unit,
    continuous,
    signal_of,
    usual_changes,
    without,
)

CHANGES: list[Change] = [
    Absent("labs"),
    Noise(0.5),
    Factor("labs", "labs2", 18.0),
    Offset("demo", "demo1", 1.0),
    Holes(0.5),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_only_the_rows_asked_for_change_and_no_label(change: Change, data: Dataset) -> None:
    rows = data.test_rows[::2]
    others = np.setdiff1d(np.arange(data.samples), rows)
    changed = change.apply(data, rows)
    different = False
    for name, block in data.blocks.items():
        after = changed.blocks[name]
        np.testing.assert_array_equal(after.values[others], block.values[others])
        np.testing.assert_array_equal(after.present[others], block.present[others])
        different |= not np.array_equal(after.values[rows], block.values[rows], equal_nan=True)
        assert np.isnan(after.values[~after.present]).all()
        assert (np.isnan(after.values) >= np.isnan(block.values)).all()  # nothing is filled
    assert different
    assert changed.labels == data.labels
    again = change.apply(data, rows)
    for name in data.blocks:
        np.testing.assert_array_equal(again.blocks[name].values, changed.blocks[name].values)


def test_noise_is_in_training_deviations(data: Dataset) -> None:
    small, large = (Noise(amount).apply(data, data.test_rows).blocks["labs"].values for amount in (0.25, 0.5))
    before = data.blocks["labs"].values
    spread = np.nanstd(before[data.train_rows], axis=0)
    moved = (large - before)[data.test_rows] / spread
    assert np.nanstd(moved) == pytest.approx(0.5, rel=0.1)
    np.testing.assert_allclose(large - before, 2 * (small - before), atol=1e-4)  # the same noise, louder
    np.testing.assert_array_equal(
        Noise(1.0).apply(data, data.test_rows).blocks["note"].values, data.blocks["note"].values
    )


def test_holes_grow(data: Dataset) -> None:
    rows, before = data.test_rows, data.blocks["labs"].values
    few, many, all_of_it = (Holes(share).apply(data, rows).blocks["labs"] for share in (0.1, 0.5, 1.0))
    gone_few, gone_many = np.isnan(few.values), np.isnan(many.values)
    assert (gone_many | ~gone_few).all()
    measured = ~np.isnan(before[rows])
    assert gone_many[rows][measured].mean() == pytest.approx(0.5, abs=0.08)
    assert not all_of_it.present[rows].any()


def test_units_and_offsets(data: Dataset) -> None:
    rows, before = data.test_rows, data.blocks["labs"].values
    after = Factor("labs", "labs2", 18.0).apply(data, rows).blocks["labs"].values
    np.testing.assert_allclose(after[rows, 2], before[rows, 2] * 18, rtol=1e-6)
    np.testing.assert_array_equal(after[:, [0, 1, 3]], before[:, [0, 1, 3]])
    after = Offset("labs", "labs2", -1.0).apply(data, rows).blocks["labs"].values
    np.testing.assert_allclose(after[rows, 2], before[rows, 2] - np.nanstd(before[data.train_rows, 2]), rtol=1e-4)
    assert np.isfinite(Factor("labs", "labs2", 1e300).apply(data, rows).blocks["labs"].values[rows, 2]).any()


def test_absences_are_those_of_encoders(data: Dataset) -> None:
    block = data.blocks["demo"]
    gone = np.zeros(block.values.shape, bool)
    gone[0] = True
    gone[1, :3] = True
    left = without(block, gone)
    assert not left.present[0] and left.present[1] and np.isnan(left.values[:2, :3]).all()


def test_flags_are_not_continuous(data: Dataset) -> None:
    values = data.blocks["demo"].values.copy()
    values[:, 1] = values[:, 1] > 0
    flagged = data.blocks["demo"].__class__(**{**vars(data.blocks["demo"]), "values": values})
    changed = data.__class__(**{**vars(data), "blocks": {**data.blocks, "demo": flagged}})
    assert continuous(changed, "demo").tolist() == [True, False, True, True, True]
    after = Noise(1.0).apply(changed, data.test_rows).blocks["demo"].values
    np.testing.assert_array_equal(after[:, 1], values[:, 1])


def test_usual_changes_and_mistakes(data: Dataset) -> None:
    found = usual_changes(data, ["demo", "labs"], [("labs", "labs0")])
    assert [(one.name, one.amount) for one in found[:3]] == [
        ("demo absent", 1.0),
        ("labs absent", 1.0),
        ("noise", 0.1),
    ]
    assert ("labs: labs0 times", 18.0) in [(one.name, one.amount) for one in found]
    assert len(found) == 2 + 4 + 5 + 2 + 2
    with pytest.raises(SettingError, match='unknown source "lab"; did you mean "labs"'):
        usual_changes(data, ["lab"])
    with pytest.raises(SettingError, match='source "labs" has no column "labs9"'):
        Factor("labs", "labs9", 10.0).apply(data, data.test_rows)
    new = data.__class__(**{**vars(data), "split": np.full(data.samples, "test")})
    with pytest.raises(SettingError, match="deviations are those of training rows"):
        Noise(0.1).apply(new, np.arange(3))


def test_a_signal_in_another_unit_has_all_its_statistics_in_it(data: Dataset) -> None:
    labs = data.blocks["labs"]
    names = ("HR.max", "HR.variance", "HR.npeaks", "HR.count", "HR.time_since_last", "HR.trend", "BUN.max", "BUN.mean")
    own = replace(data, blocks={**data.blocks, "labs": replace(labs, names=names)})
    rows = data.test_rows
    after = Unit("labs", "HR", 10.0).apply(own, rows).blocks["labs"].values
    factors = np.array([10, 100, 1, 1, 1, 10, 1, 1], np.float32)
    np.testing.assert_allclose(after[rows], labs.values[rows] * factors, rtol=1e-6)
    np.testing.assert_array_equal(after[data.train_rows], labs.values[data.train_rows])
    assert (Unit("labs", "HR", 10.0).name, Unit("labs", "HR", 10.0).amount) == ("labs: HR times", 10.0)
    with pytest.raises(SettingError, match='no signal "HB"'):
        Unit("labs", "HB", 10.0).apply(own, rows)
    assert signal_of(own.blocks["labs"], "HR.max") == "HR"
    assert signal_of(own.blocks["demo"], "a.b") == "a.b"
