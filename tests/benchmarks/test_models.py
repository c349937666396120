"""Tuned trees, networks that are kept, and changes of a preset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from comparing import models, trees
from comparing.ablation import changed, differences
from comparing.models import Kept, Network, joint_sets, networks
from comparing.parts import blind, fold_parts
from comparing.session import Board, Session, Wish
from m3h.core.errors import DataError, FolderError, SettingError
from m3h.experiments import baselines
from m3h.study.presets import PRESETS, Protocol
from made import make_dataset

PAPER = Network("paper", PRESETS["paper"], Protocol(epochs=1), "joint")


def test_settings_are_the_same_every_time_and_begin_with_the_baseline() -> None:
    every = trees.settings()
    assert len(set(every)) == 20 and every == trees.settings() and every[:5] == trees.settings(5)
    assert every[0] == trees.BASELINE
    for one in every[1:]:
        assert one.rounds == 0 and 0.02 <= one.learning_rate <= 0.1 and 4 <= one.num_leaves <= 63
        assert (
            5 <= one.min_data_in_leaf <= 100 and 0.05 <= one.feature_fraction <= 1 and 0.5 <= one.bagging_fraction <= 1
        )


def test_the_baselines_setting_gives_the_baseline() -> None:
    data = make_dataset()
    for task in ("death", "unit", "stay"):
        booster = trees.fit(data, task, replace(trees.BASELINE, rounds=baselines.ROUNDS))
        expected = baselines.fit_baseline(data, task, "lightgbm", seed=data.seed, threads=1)
        np.testing.assert_array_equal(trees.predict(booster, data, task), expected)


def test_tuning_keeps_what_was_tried_and_chooses_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = blind(make_dataset())
    said: list[str] = []
    first = trees.tune(data, tmp_path, folds=2, count=2, tasks=("death", "stay"), say=said.append)
    assert set(first.found) == {"death", "stay"} and first.complete(("death", "stay"), 2)
    better = max(first.found["death"].values(), key=lambda one: one.mean)
    assert first.chosen("death").rounds == better.rounds > 0
    assert first.mean(("death",)) == pytest.approx(better.mean)
    assert "2 of 20 settings" in said[-1] and "BROKEN" not in said[-1]

    def never(*given: object) -> trees.Tried:
        raise AssertionError("tried again")

    monkeypatch.setattr(trees, "attempt", never)
    again = trees.tune(data, tmp_path, folds=2, count=2, tasks=("death", "stay"), say=said.append)
    assert again.chosen("stay") == first.chosen("stay")
    assert trees.kept_tuning(data, tmp_path).chosen("death") == first.chosen("death")
    with pytest.raises(DataError, match="not tuned for task"):
        again.chosen("unit")
    with pytest.raises(FolderError, match="tuned for other data"):
        trees.kept_tuning(make_dataset(seed=1), tmp_path)


def test_the_first_of_equal_settings_is_taken_and_nan_never() -> None:
    nothing = float("nan")
    tried = {n: trees.Tried(scores, (1,), 1) for n, scores in enumerate([(nothing,), (0.6, nothing), (0.5, 0.7)])}
    assert trees.best_of(tried) == 1
    assert trees.best_of({0: tried[0]}) == 0


def test_trees_are_scored_with_one_number_for_all_folds() -> None:
    data = blind(make_dataset())
    parts = fold_parts(data, 2)
    setting = trees.settings(2)[1]
    tried = trees.attempt(parts, "death", setting, 1)
    assert tried.rounds == round(np.mean(tried.best)) and max(tried.best) <= trees.MOST_ROUNDS
    for one, score in zip(parts, tried.scores, strict=True):
        alone = trees.fit(one.data, "death", replace(setting, rounds=tried.rounds))
        watched = trees.fit(one.data, "death", setting, watch=one.data.test_rows)
        # stopping early changes which trees are used, not how they are grown
        assert alone.num_trees() <= watched.num_trees()
        assert trees.score(one.data, "death", trees.predict(alone, one.data, "death")) == pytest.approx(score)


def test_networks_are_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_dataset()
    part = fold_parts(data, 1)[0]
    said: list[str] = []
    first = Kept(tmp_path, say=said.append)
    (asked,) = first.networks(part, [(PAPER, 0)])
    assert said == ["fold 0: 1 of 1 networks to train"] and first.seconds["paper joint"] > 0
    assert set(asked) == {""} and set(asked[""]) == set(data.usable())

    monkeypatch.setattr(models, "code_print", lambda: "other")
    second = Kept(tmp_path, say=said.append)
    (again,) = second.networks(part, [(PAPER, 0)])
    assert len(said) == 1 and "1 networks used here were trained by other source code" in second.told()
    for task, prediction in asked[""].items():
        for item in ("values", "clusters", "fixed"):
            np.testing.assert_array_equal(getattr(again[""][task], item), getattr(prediction, item))

    # a source gone was not asked for before; then other code, which a final comparison does not take
    (gone,) = second.networks(part, [(PAPER, 0)], ("labs",))
    assert set(gone) == {"", "labs"} and len(said) == 2
    assert not np.allclose(gone["labs"]["stay"].values, gone[""]["stay"].values)
    np.testing.assert_array_equal(gone[""]["stay"].values, asked[""]["stay"].values)
    monkeypatch.undo()
    Kept(tmp_path, say=said.append, strict=True).networks(part, [(PAPER, 0)])
    Kept(tmp_path, say=said.append, retrain=("paper",)).networks(part, [(PAPER, 0)])
    assert len(said) == 3


def test_joint_networks_hold_the_tasks_that_read_the_same() -> None:
    data = make_dataset()
    labels = dict(data.labels)
    labels["unit"] = replace(labels["unit"], task=replace(labels["unit"].task, exclude_sources=("note",)))
    apart = data.with_labels(labels)
    assert joint_sets(apart, apart.usable()) == [("death", "sepsis", "stay", "group"), ("unit",)]
    assert [one.name for one in networks(True)][:4] == [
        "paper single",
        "paper joint",
        "paper-long single",
        "paper-long joint",
    ]
    assert networks(True)[3].protocol.epochs == 60


def test_a_change_names_fields_of_preset_or_protocol() -> None:
    made = changed(PAPER, "wide and long: decoder_widths=[64, 64], activation=gelu,beta=log, residual = true, epochs=7")
    assert made.name == "m3h/wide and long joint" and made.protocol.epochs == 7
    assert made.preset == replace(PAPER.preset, decoder_widths=(64, 64), activation="gelu", beta="log", residual=True)
    for text, told in [
        ("no colon", "a change has a name"),
        ("x: resdual=true", 'unknown key "resdual"; did you mean "residual"'),
        ("x: dropout=2", "0 or more and below 1"),
        ("x: dropout", "cannot be read"),
        ("x: epochs=0", "epochs: got 0"),
    ]:
        with pytest.raises(SettingError, match=told):
            changed(PAPER, text)


def test_differences_are_paired_by_fold_replicate_and_task() -> None:
    board = Board()
    for task, scores in (("a", (0.5, 0.7)), ("b", (0.1, 0.3))):
        for number, score in enumerate(scores):
            board.add("one", task, np.array([score, score]))
            board.add("two", task, np.array([score - 0.1 * (number + 1), 0.0]))
    assert differences(board, "one", "two", ("a", "b")) == pytest.approx([0.1, 0.2, 0.1, 0.2])
    assert board.mean("one", ("a", "b"))[0] == pytest.approx(0.4) and board.ahead("one", "two", ("a", "b")) == 2


def test_a_final_comparison_is_never_of_some_tasks(tmp_path: Path) -> None:
    for wish in (
        Wish("indiana", tmp_path, final=True, tasks=("normal",)),
        Wish("indiana", tmp_path, True, replicates=2),
    ):
        with pytest.raises(SettingError, match="a final comparison is of all tasks"):
            Session(wish)
