"""The causes behind the patients: what the graph says against closed forms and against what is drawn from it."""

from __future__ import annotations

import tomllib
from importlib import resources
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from m3h.core.errors import SettingError
from m3h.hospital.simulate.layout import layout
from m3h.hospital.simulate.model import build_model, read_model
from m3h.hospital.simulate.patients import BLOCK, draw, shared_tasks, top

MODEL = read_model()


def parsed() -> dict[str, Any]:
    text = resources.files("m3h.hospital.simulate").joinpath("patients.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def test_every_liability_has_variance_one() -> None:
    assert np.allclose((MODEL.roads**2).sum(axis=1), 1)


def test_strengths_worked_by_hand() -> None:
    """heart = .5 vascular + .5 kidney, both .6 metabolic: vascular and kidney correlate .36, heart and vascular
    .5 + .5 * .36 = .68; so heart failure (.85 heart) and ischemic disease (.85 vascular) .85 * .85 * .68."""
    assert MODEL.strength("heart_failure", "ischemic_heart_disease") == pytest.approx(0.85 * 0.85 * 0.68)
    assert MODEL.strength("diabetes", "obesity") == pytest.approx(0.85 * 0.8)
    assert MODEL.strength("diabetes", "leukemia") == 0
    # of the classes, the one that is nearest: cardiomegaly is .85 heart
    assert MODEL.strength("heart_failure", "thoracic_testing") == pytest.approx(0.85 * 0.85)
    assert MODEL.origins("diabetes") == {"metabolic"}
    assert MODEL.origins("stroke") == {"metabolic", "vascular"}


def test_a_cause_must_come_first_and_leave_room_for_chance() -> None:
    late = parsed()
    late["latent"]["metabolic"]["causes"] = {"heart": 0.5}
    with pytest.raises(SettingError, match='"metabolic" is caused by "heart", which does not stand before it'):
        build_model(late)
    full = parsed()
    full["task"]["diabetes"]["causes"] = {"metabolic": 1.1}
    with pytest.raises(SettingError, match='the causes of "diabetes" explain more than all of it'):
        build_model(full)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """(3000 patients, task) at the last admission of each."""
    shape = layout("2.2")
    found = []
    for number in range(3000 // BLOCK):
        block = draw(MODEL, shape, 9, number)
        rows = [
            np.flatnonzero((block.admissions.patient == who) & (block.admissions.kind == 0))[-1] for who in range(BLOCK)
        ]
        found.append(block.admissions.has[rows])
    return np.concatenate(found)


def test_every_block_has_the_share_of_each_condition(drawn: np.ndarray) -> None:
    for name, column in zip(shared_tasks(MODEL), drawn.T, strict=True):
        task = MODEL.tasks[name]
        if task.scope == "patient" or name == "mortality_48h":
            counts = column.reshape(-1, BLOCK).sum(axis=1)
            assert set(counts) == {round((task.share or 0) * BLOCK)}, name


def test_related_conditions_meet_as_often_as_their_strength_says(drawn: np.ndarray) -> None:
    """The probability of both, by SciPy's bivariate normal distribution."""
    names = shared_tasks(MODEL)
    checked = 0
    for a, b in combinations(range(len(names)), 2):
        first, second = MODEL.tasks[names[a]], MODEL.tasks[names[b]]
        if first.sex or second.sex or {first.scope, second.scope} != {"patient"}:
            continue
        strength = MODEL.strength(first.name, second.name)
        limits = norm.ppf([first.share or 0, second.share or 0])
        expected = multivariate_normal.cdf(limits, mean=[0, 0], cov=[[1, strength], [strength, 1]])
        spread = np.sqrt(expected * (1 - expected) / len(drawn))
        assert (drawn[:, a] & drawn[:, b]).mean() == pytest.approx(expected, abs=4.5 * spread + 0.004), (first, second)
        checked += 1
    assert checked > 400


def phi(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_planted_pairs_depend_and_unplanted_ones_do_not(drawn: np.ndarray) -> None:
    names = shared_tasks(MODEL)
    strong, none = [], []
    for a, b in combinations(range(len(names)), 2):
        if MODEL.tasks[names[a]].sex and MODEL.tasks[names[b]].sex:
            continue
        value = phi(drawn[:, a], drawn[:, b])
        if not MODEL.origins(names[a]) & MODEL.origins(names[b]):
            none.append(value)
        elif MODEL.strength(names[a], names[b]) > 0.5:
            strong.append(value)
    assert len(strong) > 30 and min(strong) > 0.1
    # independent pairs: phi is about normal with standard deviation 1/sqrt(3000)
    assert len(none) > 600 and np.std(none) * np.sqrt(3000) == pytest.approx(1, abs=0.15)
    assert abs(np.mean(none)) < 0.005


def test_the_highest_are_taken_from_those_who_are_able() -> None:
    values = np.array([5.0, 1.0, 4.0, 3.0, 2.0])
    able = np.array([False, True, True, True, True])
    assert top(values, able, 0.5).tolist() == [False, False, True, True, False]
    assert top(values, able, 0.01).sum() == 1
    assert top(values, np.zeros(5, bool), 0.5).sum() == 0
