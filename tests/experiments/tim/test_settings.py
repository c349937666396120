from __future__ import annotations

import math

import numpy as np
import pytest

from m3h.core.errors import SettingError
from m3h.experiments.tim.design import design
from m3h.experiments.tim.settings import Settings, other_weights, set_weights, size_law

TASKS = tuple("abcdefgh")


def test_the_law_without_a_limit_is_one_coin_per_task() -> None:
    law = size_law(6, Settings(inclusion=0.3))
    coins = np.array([math.comb(6, t) * 0.3**t * 0.7 ** (6 - t) for t in range(1, 7)])
    assert law == pytest.approx(coins / coins.sum())


def test_what_an_others_set_weighs() -> None:
    # 5 tasks, S among 3 others: 1 + 3 + 3 sets of up to two, equally heavy
    assert other_weights(5, Settings(limit=4)) == pytest.approx([1 / 7, 1 / 7, 1 / 7, 0])
    assert other_weights(5, Settings(inclusion=0.25)) == pytest.approx([27 / 64, 9 / 64, 3 / 64, 1 / 64])
    assert other_weights(5, Settings("pairs")) == pytest.approx([1, 0, 0, 0])
    assert set_weights(5, Settings(limit=4)) * 7 == pytest.approx([2, 2, 2, 1, 0])


def test_too_many_tasks_for_exact() -> None:
    tasks = tuple(f"t{k}" for k in range(11))
    with pytest.raises(SettingError) as caught:
        design(tasks, Settings("exact"), 0)
    text = str(caught.value)
    assert "11 tasks, 2,047 sets" in text
    assert "at most 10 tasks" in text
    assert "shared" in text


def test_one_task_has_no_interactions() -> None:
    with pytest.raises(SettingError, match="got: 1 tasks"):
        design(("a",), Settings(), 0)


def test_all_settings_out_of_range_are_named() -> None:
    with pytest.raises(SettingError) as caught:
        design(TASKS, Settings(folds=0, replicates=0, sets=1, inclusion=1.0, limit=1, draws=1), 0)
    for name in ("folds = 0", "replicates = 0", "sets = 1", "inclusion = 1.0", "limit = 1", "draws = 1"):
        assert name in str(caught.value)
