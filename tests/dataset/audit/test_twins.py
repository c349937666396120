"""People on both sides: found by rare values and near rows, and never by what many share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from m3h.dataset.audit.twins import Twins, _nearest, _numbered, twins
from m3h.dataset.dataset import Dataset
from m3h.encoders.block import Block


def people(samples: int = 400, seed: int = 0, **blocks: Block) -> Dataset:
    random = np.random.default_rng(seed)
    ages = np.stack([random.integers(20, 90, samples), random.integers(0, 2, samples)], axis=1).astype(np.float32)
    image = random.normal(size=(samples, 40)).astype(np.float32)
    there = np.ones(samples, dtype=bool)
    made = {
        "basics": Block("basics", "tabular", ages, there, ("age", "male"), ("", "")),
        "image": Block("image", "vision", image, there, tuple(f"i{n}" for n in range(40)), ("",) * 40),
    } | blocks
    ids = np.array([f"s{number:04d}" for number in range(samples)])
    split = np.where(np.arange(samples) % 5 == 4, "test", "train")
    return Dataset("d", "d", 0, ids, np.char.replace(ids, "s", "p"), split, made, {})


def copied(dataset: Dataset, source: str, rows: list[int], onto: list[int], blur: float = 0.0) -> Dataset:
    block = dataset.blocks[source]
    values = block.values.copy()
    noise = np.random.default_rng(9).normal(size=values[rows].shape).astype(np.float32)
    values[onto] = values[rows] + blur * noise
    return replace(dataset, blocks={**dataset.blocks, source: replace(block, values=values)})


def test_people_who_share_age_and_sex_are_no_twins() -> None:
    for seed in range(5):
        assert twins(people(seed=seed)) == []


def test_an_image_on_both_sides_is_found_though_it_was_saved_anew() -> None:
    for blur in (0.0, 0.05):
        assert twins(copied(people(), "image", [0, 1], [4, 9], blur)) == [Twins("image", 2)]


def test_the_same_rare_values_are_one_person_the_same_common_ones_are_not() -> None:
    random = np.random.default_rng(1)
    names = tuple(f"lab{number}" for number in range(6))
    fine = random.normal(size=(400, 6)).astype(np.float32)
    there = np.ones(400, dtype=bool)
    rare = people(labs=Block("labs", "tabular", fine, there, names, ("",) * 6))
    assert twins(rare) == []
    assert twins(copied(rare, "labs", [0], [4])) == [Twins("", 1)]
    coarse = replace(rare.blocks["labs"], values=np.round(fine))
    assert twins(people(labs=coarse)) == []


def test_one_patient_beside_the_other_on_one_side_is_nobody_else() -> None:
    assert twins(copied(people(), "image", [0, 1], [2, 3])) == []


def test_texts_that_repeat_a_phrase_are_no_twins() -> None:
    random = np.random.default_rng(2)
    phrases = random.normal(size=(60, 20)).astype(np.float32)
    there = np.ones(400, dtype=bool)
    block = Block(
        "note", "language", phrases[random.integers(0, 60, 400)], there, tuple("abcdefghijklmnopqrst"), ("",) * 20
    )
    assert twins(people(note=block)) == []


@pytest.mark.parametrize("group", [[0], [0, 1]])
def test_values_are_numbered_and_their_patients_counted_as_one_by_one(group: list[int]) -> None:
    random = np.random.default_rng(5)
    values = random.integers(-1, 3, (300, 2)).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    values[values == 0] = np.where(random.random((values == 0).sum()) < 0.5, 0.0, -0.0)
    owner = np.sort(random.integers(0, 120, 300))
    block = Block("s", "tabular", values, np.ones(300, dtype=bool), ("a", "b"), ("", ""))
    number, holders = _numbered(block, group, owner)
    rows = [tuple(row) for row in np.nan_to_num(values[:, group]).tolist()]
    for row, one, count in zip(rows, number, holders, strict=True):
        same = [at for at, other in enumerate(rows) if other == row]
        assert (one == -1) == (not any(row))
        assert count == (len(set(owner[same].tolist())) if any(row) else 0)
        assert not any(row) or set(np.flatnonzero(number == one)) == set(same)


def test_nearest_rows_are_those_of_scipy() -> None:
    random = np.random.default_rng(6)
    rows, others, owner = random.normal(size=(20, 9)), random.normal(size=(60, 9)), np.arange(60) // 3
    others[17] = rows[4]
    first, nearest, other = _nearest(rows, others, owner)
    distances = cdist(rows, others)
    assert np.array_equal(first, distances.argmin(axis=1))
    np.testing.assert_allclose(nearest, distances.min(axis=1), atol=1e-7)
    assert nearest[4] == 0.0
    elsewhere = np.where(owner[first][:, None] == owner, np.inf, distances)
    np.testing.assert_allclose(other, elsewhere.min(axis=1))
