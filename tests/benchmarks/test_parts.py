"""Who trains and who is scored in a comparison, and what never comes in."""

from __future__ import annotations

import numpy as np
import pytest

from comparing.parts import blind, chosen_patients, fewer, fold_parts, labelled, part, usable_everywhere, without
from m3h.core.errors import SettingError
from m3h.dataset.split import folds
from made import make_dataset


def test_folds_hold_the_training_rows_and_no_other() -> None:
    data = blind(make_dataset())
    for one, scored in zip(fold_parts(data, 2), folds(data.patients, data.train_rows, 5, data.seed), strict=False):
        assert (one.rows == scored).all()
        assert set(one.data.ids) == set(data.ids[data.train_rows])
        assert (one.data.ids[one.data.test_rows] == data.ids[one.rows]).all()
        assert not set(one.data.patients[one.data.train_rows]) & set(one.data.patients[one.data.test_rows])
        assert (one.data.blocks["labs"].values[one.data.test_rows] == data.blocks["labs"].values[scored])[
            ~np.isnan(data.blocks["labs"].values[scored])
        ].all()
        assert (
            one.data.labels["death"].values[one.data.test_rows].tolist() == data.labels["death"].values[scored].tolist()
        )
    with pytest.raises(SettingError, match="folds of a comparison"):
        fold_parts(data, 6)


def test_test_labels_are_gone_unless_asked_for() -> None:
    data = make_dataset()
    hidden = blind(data)
    for name, labels in hidden.labels.items():
        assert np.isnan(labels.values[hidden.test_rows]).all()
        np.testing.assert_array_equal(labels.values[hidden.train_rows], data.labels[name].values[data.train_rows])
    assert hidden.usable() == data.usable()


def test_a_part_is_another_dataset_and_the_same_one_each_time() -> None:
    data = make_dataset()
    first, second = fold_parts(data, 2)
    again = fold_parts(data, 2)[0]
    assert first.data.fingerprint == again.data.fingerprint and first.content == again.content
    assert len({data.fingerprint, first.data.fingerprint, second.data.fingerprint}) == 3
    assert first.content != second.content


def test_smaller_shares_lie_within_larger_ones() -> None:
    names = np.array([f"p{n}" for n in range(100)])
    drawn = [set(chosen_patients(names, share, 7, 0)) for share in (0.1, 0.25, 0.5)]
    assert [len(one) for one in drawn] == [10, 25, 50]
    assert drawn[0] < drawn[1] < drawn[2]
    assert drawn[2] != set(chosen_patients(names, 0.5, 7, 1))
    # neither the order of the rows nor how many a patient has changes who is drawn
    many = np.repeat(names[::-1], 3)
    assert set(chosen_patients(many, 0.25, 7, 0)) == drawn[1]


def test_fewer_patients_train_and_the_same_rows_are_scored() -> None:
    one = fold_parts(make_dataset(), 1)[0]
    half = fewer(one, 0.5, 0)
    assert half.patients == round(one.patients / 2)
    assert (half.rows == one.rows).all()
    assert (half.data.ids[half.data.test_rows] == one.data.ids[one.data.test_rows]).all()
    # all rows of a patient or none
    kept = np.isin(one.data.patients, half.data.patients[half.data.train_rows]) & (one.data.split == "train")
    assert len(half.data.train_rows) == kept.sum()
    assert fewer(one, 1.0, 2) is one


def test_a_task_without_a_class_is_left_out_of_a_part() -> None:
    data = make_dataset()
    ill = data.patients[data.labels["sepsis"].values == 1]
    healthy = data.train_rows[~np.isin(data.patients[data.train_rows], ill)]
    poor = part(data, healthy, np.setdiff1d(data.train_rows, healthy), "poor")
    assert poor.data.labels["sepsis"].unusable == "no patient with a positive label in the training part"
    assert "sepsis" not in labelled(poor.data) and "death" in labelled(poor.data)
    assert "death" in labelled(fold_parts(data, 1)[0].data) and "group" not in labelled(data)
    assert "sepsis" not in usable_everywhere([fold_parts(data, 1)[0], poor])


def test_a_missing_source_is_missing_where_it_is_asked_only() -> None:
    data = make_dataset()
    gone = without(data, "labs")
    test = data.test_rows
    assert np.isnan(gone.blocks["labs"].values[test]).all() and not gone.blocks["labs"].present[test].any()
    np.testing.assert_array_equal(
        gone.blocks["labs"].values[data.train_rows], data.blocks["labs"].values[data.train_rows]
    )
    assert gone.blocks["labs"].present[data.train_rows].all() and gone.blocks["labs"].values.dtype == np.float32
    assert gone.blocks["demo"] is data.blocks["demo"]
