"""Scores of tuned trees: what choosing flatters, and what it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from comparing.trees import Tried, Tuning, crosswise


def tuning(scores: dict[str, list[tuple[float, ...]]], tmp_path: Path) -> Tuning:
    made = Tuning(tmp_path / "none.json", "content", 2)
    for task, rows in scores.items():
        made.found[task] = {number: Tried(row, (10, 10), 10) for number, row in enumerate(rows)}
    return made


def test_crosswise_a_setting_is_scored_where_it_was_not_chosen(tmp_path: Path) -> None:
    made = tuning({"a": [(0.9, 0.5), (0.6, 0.8)]}, tmp_path)
    assert made.mean(["a"]) == pytest.approx(0.7)
    assert crosswise(made, ["a"]) == pytest.approx((0.6 + 0.5) / 2)


def test_crosswise_of_noise_is_what_noise_is_worth(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scores = {f"t{task}": [tuple(0.5 + 0.05 * random.normal(size=2)) for _ in range(20)] for task in range(200)}
    made = tuning(scores, tmp_path)
    assert crosswise(made, list(scores)) == pytest.approx(0.5, abs=0.01)
    assert made.mean(list(scores)) > 0.55


def test_a_fold_without_a_class_is_left_out(tmp_path: Path) -> None:
    made = tuning({"a": [(0.7, float("nan")), (0.8, float("nan"))], "b": [(0.6, 0.6)]}, tmp_path)
    assert crosswise(made, ["b"]) == pytest.approx(0.6)
    assert crosswise(made, ["a", "b"]) == pytest.approx(0.6)
    assert np.isnan(crosswise(made, ["a"]))
