from __future__ import annotations

import numpy as np
import pytest

from m3h.core.errors import DataError, SettingError
from m3h.dataset.split import ATTEMPTS, folds, split_patients
from m3h.dataset.usable import reason_unusable
from m3h.hospital.labels import RawLabels
from m3h.study.task import Task

PATIENTS = np.array([f"p{number:03d}" for number in range(50) for _ in range(1 + number % 3)])


def numbers(kind: str, values: np.ndarray, **more: int) -> RawLabels:
    return RawLabels(Task(kind, kind, column="c", **more), values.astype(float), None)


def words(values: list[str | None]) -> RawLabels:
    return RawLabels(Task("outcome", "multiclass", column="c"), None, np.array(values, dtype=object))


def rare(positives: int, seed: int = 0) -> RawLabels:
    """A binary task with labels of few positive patients."""
    chosen = np.random.default_rng(seed).permutation(50)[:positives]
    return numbers("binary", np.isin(PATIENTS, [f"p{number:03d}" for number in chosen]))


def test_a_fifth_of_the_patients_is_tested() -> None:
    sides = split_patients(PATIENTS, [], seed=1).sides
    assert len(set(PATIENTS[sides == "test"])) == 10
    assert len(set(PATIENTS[sides == "train"])) == 40
    assert not set(PATIENTS[sides == "test"]) & set(PATIENTS[sides == "train"])


def test_another_seed_is_another_split_and_another_share_another_number() -> None:
    assert (split_patients(PATIENTS, [], seed=1).sides != split_patients(PATIENTS, [], seed=2).sides).any()
    assert len(set(PATIENTS[split_patients(PATIENTS, [], seed=1, share=0.5).sides == "test"])) == 25


def test_order_of_rows_changes_nobodys_side() -> None:
    tasks = [rare(3), rare(4, seed=1)]
    order = np.random.default_rng(0).permutation(len(PATIENTS))
    shuffled = [RawLabels(raw.task, raw.numbers[order], None) for raw in tasks]
    first = split_patients(PATIENTS, tasks, seed=8)
    second = split_patients(PATIENTS[order], shuffled, seed=8)
    assert (first.sides[order] == second.sides).all()
    assert first.attempts == second.attempts


@pytest.mark.parametrize("seed", range(6))
def test_a_division_that_serves_every_task_is_found(seed: int) -> None:
    tasks = [rare(2, seed=3), rare(3, seed=4)]
    made = split_patients(PATIENTS, tasks, seed=seed)
    assert made.lacking == ()
    for raw in tasks:
        assert reason_unusable(raw.task, raw.numbers, made.sides) == ""


def test_the_first_division_is_taken_when_it_serves() -> None:
    everyone = numbers("clustering", np.zeros(len(PATIENTS)), clusters=3)
    assert split_patients(PATIENTS, [everyone], seed=0).attempts == 1


def test_as_many_tasks_as_possible_are_served() -> None:
    hopeless = rare(1)
    made = split_patients(PATIENTS, [hopeless, rare(2, seed=3)], seed=2)
    assert made.attempts == ATTEMPTS
    assert made.lacking == ("binary",)
    assert reason_unusable(hopeless.task, rare(2, seed=3).numbers, made.sides) == ""


@pytest.mark.parametrize("seed", range(5))
def test_lacking_names_the_tasks_that_are_found_unusable(seed: int) -> None:
    """Two roads: the split's counts by patient, and the labels looked at row by row."""
    rng = np.random.default_rng(seed)
    patients = np.array([f"p{number}" for number in rng.integers(0, 8, 14)])
    texts = [str(text) if text != "-" else None for text in rng.choice(["a", "b", "c", "-"], 14)]
    codes = np.array([np.nan if text is None else "abc".index(text) for text in texts])
    regression = np.where(rng.random(14) < 0.4, rng.normal(size=14), np.nan)
    tasks = [words(texts), numbers("regression", regression), numbers("clustering", np.zeros(14), clusters=4)]
    made = split_patients(patients, tasks, seed=seed)
    train_classes = codes[made.sides == "train"]
    outcome = np.where(np.isin(codes, train_classes[~np.isnan(train_classes)]), codes, np.nan)
    unusable = [
        raw.task.name
        for raw, values in zip(tasks, (outcome, regression, np.zeros(14)), strict=True)
        if reason_unusable(raw.task, values, made.sides)
    ]
    assert list(made.lacking) == unusable


def test_one_patient_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="1 patient cannot be divided") as raised:
        split_patients(np.array(["a", "a"]), [], seed=0)
    assert "at least two patients" in str(raised.value)


def test_two_patients_are_one_and_one() -> None:
    assert sorted(split_patients(np.array(["a", "b", "b"]), [], seed=0).sides.tolist()) in (
        ["test", "test", "train"],
        ["test", "train", "train"],
    )


def test_a_share_outside_0_and_1_is_refused() -> None:
    with pytest.raises(SettingError, match="between 0 and 1") as raised:
        split_patients(PATIENTS, [], seed=0, share=20)
    assert "20" in str(raised.value)


def test_folds_hold_every_row_once_and_each_patient_together() -> None:
    rows = np.arange(3, len(PATIENTS) - 5)
    parts = folds(PATIENTS, rows, 5, seed=1)
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
    seen = [set(PATIENTS[part]) for part in parts]
    assert sum(len(one) for one in seen) == len(set.union(*seen))
    assert all((np.diff(part) > 0).all() for part in parts)


def test_folds_are_balanced_in_rows() -> None:
    sizes = [len(part) for part in folds(PATIENTS, np.arange(len(PATIENTS)), 5, seed=1)]
    assert max(sizes) - min(sizes) <= 1
    heavy = np.array(["heavy"] * 30 + [f"p{number}" for number in range(30)])
    assert sorted(len(part) for part in folds(heavy, np.arange(60), 3, seed=1)) == [15, 15, 30]


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    rows = np.arange(len(PATIENTS))
    order = np.random.default_rng(2).permutation(rows)
    plain, shuffled = folds(PATIENTS, rows, 4, seed=3), folds(PATIENTS[order], rows, 4, seed=3)
    for one, other in zip(plain, shuffled, strict=True):
        assert set(PATIENTS[one]) == set(PATIENTS[order][other])
    again = folds(PATIENTS, rows[::-1], 4, seed=3)
    assert all((one == other).all() for one, other in zip(plain, again, strict=True))


def test_more_folds_than_patients_are_refused() -> None:
    with pytest.raises(SettingError, match="5 folds of 3 patients") as raised:
        folds(np.array(["a", "b", "c", "c"]), np.arange(4), 5, seed=0)
    assert "folds in [protocol]" in str(raised.value)
