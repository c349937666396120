"""People on both sides: found by rare values and near rows, and never by what many share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from m3h.dataset.dataset import Dataset
from m3h.dataset.twins import Twins, twins
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
