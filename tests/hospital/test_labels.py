"""Labels: empty is unlabelled; what does not fit its kind is named by row and value."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital.labels import encode, read_labels
from m3h.hospital.samples import SampleTable
from m3h.study.task import Task


def _table(values) -> SampleTable:
    ids = np.array([f"{number:02d}" for number in range(len(values))])
    frame = pl.DataFrame({"y": values}, strict=False)
    return SampleTable(ids, ids, None, "none", None, {}, frame)


def _labels(values, kind, train=None, **options):
    raw = read_labels(_table(values), Task("t", kind, column="y", **options))
    return encode(raw, np.ones(len(values), dtype=bool) if train is None else np.array(train))


def _message(values, kind, **options):
    with pytest.raises(DataError) as caught:
        _labels(values, kind, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, None, 1],
        [0.0, 1.0, float("nan"), 1.0],
        [False, True, None, True],
        ["0", "1", "", "1.0"],
        ["FALSE", "true", None, "True"],
    ],
)
def test_binary_in_every_spelling(values):
    np.testing.assert_array_equal(_labels(values, "binary").values, [0, 1, np.nan, 1])


def test_declared_classes_of_a_binary_task_are_negative_then_positive():
    found = _labels(["yes", "no", None], "binary", classes=("no", "yes"))
    np.testing.assert_array_equal(found.values, [1, 0, np.nan])
    assert found.classes == ("no", "yes")
    turned = _labels([0, 1], "binary", classes=("1", "0"))
    assert turned.values.tolist() == [1.0, 0.0]


def test_two_words_without_declaration_tell_how_to_declare():
    message = _message(["home", "died", "home"], "binary")
    assert 'task "t": y: 3 labels do not fit kind binary (rows 1, 2, 3)' in message
    assert 'declare the negative, then the positive: classes = ["died", "home"]' in message


@pytest.mark.parametrize(
    ("values", "kind", "options", "parts"),
    [
        ([0, 1, 2, 2], "binary", {}, ["2 labels do not fit kind binary (rows 3, 4)", '"2"', "choose kind multiclass"]),
        (["yes", "no", "n"], "binary", {"classes": ("no", "yes")}, ["(row 3)", 'got: "n"', 'classes "no", "yes"']),
        (["a", "b", "c"], "multiclass", {"classes": ("a", "b")}, ["labels do not fit kind multiclass (row 3)", '"c"']),
        ([1.0, 2.5, 3.0], "multiclass", {}, ["(row 2)", 'got: "2.5"', "choose kind regression"]),
        (["1", "2.5", ""], "multiclass", {}, ["(row 2)", 'got: "2.5"', "choose kind regression"]),
        (["1", "high", "low"], "regression", {}, ["2 labels do not fit kind regression (rows 2, 3)", '"high", "low"']),
        ([1.0, float("inf")], "regression", {}, ['task "t", y: 1 infinite values in row 2']),
        (["1", "-inf"], "regression", {}, ["1 infinite values in row 2"]),
        ([[1], [2]], "regression", {}, ["y holds neither numbers nor texts"]),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit(values, kind, options, parts):
    message = _message(values, kind, **options)
    for part in parts:
        assert part in message


def test_at_most_three_values_and_no_long_text_are_shown():
    message = _message(["a", "b", "c", "d", "e", "f" * 200], "regression")
    assert '"a", "b", "c", ...' in message and '"d"' not in message
    assert "f" * 31 not in _message(["f" * 200, "1"], "regression")


def test_classes_of_the_training_part_and_unknown_ones():
    found = _labels(["b", "a", "z", None, "a"], "multiclass", train=[True, True, False, True, False])
    assert (found.classes, found.unknown_class) == (("a", "b"), 1)
    np.testing.assert_array_equal(found.values, [1, 0, np.nan, np.nan, 0])
    assert _labels([3, 10, 3], "multiclass").classes == ("10", "3")
    declared = _labels(["b", "a"], "multiclass", train=[True, False], classes=("b", "a", "never"))
    assert (declared.classes, declared.values.tolist()) == (("b", "a", "never"), [0.0, 1.0])


def test_regression_and_clustering():
    np.testing.assert_array_equal(_labels(["1.5", None, " 2 ", "nan"], "regression").values, [1.5, np.nan, 2.0, np.nan])
    clustering = read_labels(_table([1, 2]), Task("groups", "clustering"))
    assert encode(clustering, np.array([True, False])).values.tolist() == [0.0, 0.0]


def test_an_empty_column_is_unlabelled_for_every_kind():
    for kind in ("binary", "multiclass", "regression"):
        for values in ([None, None], ["", " "]):
            assert np.isnan(_labels(values, kind).values).all()


def test_a_missing_column_names_the_nearest():
    with pytest.raises(DataError, match=r'task "t": no column "dyed" in the samples table; did you mean "died"'):
        read_labels(
            SampleTable(np.array(["1"]), np.array(["1"]), None, "none", None, {}, pl.DataFrame({"died": [1]})),
            Task("t", "binary", column="dyed"),
        )
