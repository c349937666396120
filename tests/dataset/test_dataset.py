from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from m3h.core.errors import DataError, SettingError
from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block
from m3h.study.task import Task

Make = Callable[..., Dataset]


def test_rows_and_usable_tasks(by_hand: Make) -> None:
    dataset = by_hand()
    assert dataset.samples == 40
    assert dataset.train_rows.tolist() == list(range(30))
    assert dataset.test_rows.tolist() == list(range(30, 40))
    assert dataset.usable() == ("died", "outcome", "days")
    assert [labels.width for labels in dataset.labels.values()] == [1, 2, 1, 0]


def test_a_task_set_is_in_the_order_of_the_study(by_hand: Make) -> None:
    assert by_hand().task_set(["days", "died"]) == ("died", "days")


def test_a_task_set_refuses_unknown_and_unusable_names(by_hand: Make) -> None:
    with pytest.raises(SettingError, match='unknown task "dyed"; did you mean "died"'):
        by_hand().task_set(["dyed"])
    with pytest.raises(SettingError, match='"phenotype" cannot be used: 3 samples for 4 clusters'):
        by_hand().task_set(["phenotype"])


def test_sources_of_a_task_set_are_those_nobody_excludes(by_hand: Make) -> None:
    dataset = by_hand()
    assert dataset.sources_for(["outcome"]) == ("labs", "notes")
    assert dataset.sources_for(["died", "outcome"]) == ("labs",)
    alone = Labels(replace(dataset.labels["days"].task, exclude_sources=("labs",)), dataset.labels["days"].values)
    with pytest.raises(SettingError, match="died, days exclude every source together"):
        dataset.with_labels(dict(dataset.labels) | {"days": alone}).sources_for(["died", "days"])


def test_a_patient_on_both_sides_is_refused(by_hand: Make) -> None:
    split = by_hand().split.copy()
    split[1] = "test"
    with pytest.raises(DataError, match="1 patients have samples on both sides of the split") as raised:
        by_hand(split=split)
    assert "p00" not in str(raised.value)
    assert "leave it out of the study to have patients split anew" in str(raised.value)


def test_ids_that_repeat_or_are_not_sorted_are_refused(by_hand: Make) -> None:
    ids = by_hand().ids.copy()
    ids[3] = ids[4]
    with pytest.raises(DataError, match="must be unique and sorted"):
        by_hand(ids=ids)


def test_parts_of_other_lengths_are_refused(by_hand: Make) -> None:
    with pytest.raises(DataError, match="subgroup ward: 39 rows"):
        by_hand(subgroups={"ward": np.array(["a"] * 39)})


@pytest.mark.parametrize("values", [np.full((40, 1), np.inf, np.float32), np.zeros((40, 1))])
def test_blocks_are_finite_float32_or_missing(by_hand: Make, values: np.ndarray) -> None:
    block = Block("x", "tabular", values, np.ones(40, dtype=bool), ("a",), ("",))
    with pytest.raises(DataError, match="block x must be finite or NaN float32"):
        by_hand(blocks={"x": block})


@pytest.mark.parametrize(
    ("kind", "value"), [("binary", 2.0), ("binary", 0.5), ("multiclass", 2.0), ("clustering", 1.0)]
)
def test_labels_fit_their_kind(by_hand: Make, kind: str, value: float) -> None:
    wrong = Labels(Task("x", kind), np.full(40, value), classes=("a", "b"))
    with pytest.raises(DataError, match=f"labels of x do not fit its kind {kind}"):
        by_hand(labels={"x": wrong})


def test_parts_cannot_be_exchanged_afterwards(by_hand: Make) -> None:
    with pytest.raises(TypeError):
        by_hand().blocks["other"] = None  # type: ignore[index]
