"""Scores of columns and pairs: those of other libraries, and what no chance and no scale may change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from m3h.dataset.audit.questions import Question, questions
from m3h.dataset.audit.screen import auroc, best_pair, single
from m3h.dataset.audit.table import Table
from m3h.dataset.dataset import Dataset
from made import make_dataset


def question(dataset: Dataset, task: str) -> Question:
    return next(one for one in questions(dataset) if one.task == task)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return make_dataset(samples=600)


def with_column(dataset: Dataset, values: np.ndarray) -> Dataset:
    """The first column of the source demo replaced."""
    block = dataset.blocks["demo"]
    changed = block.values.copy()
    changed[:, 0] = values
    return replace(dataset, blocks={**dataset.blocks, "demo": replace(block, values=changed)})


def test_auroc_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    score, yes = random.integers(0, 9, 200).astype(float), random.random(200) < 0.3
    assert auroc(score, yes) == pytest.approx(roc_auc_score(yes, score))


def test_single_scores_of_known_values_agree_with_scikit_learn_and_scipy(dataset: Dataset) -> None:
    table = Table.of(dataset, ("tabular", "timeseries"))
    death, stay = question(dataset, "death"), question(dataset, "stay")
    columns = np.arange(len(table.names))
    for asked in (death, stay):
        found = single(table, columns, asked)
        for column in columns[:3]:
            x = np.concatenate(table.parts, axis=1)[asked.rows, column]
            known = ~np.isnan(x)
            if asked is death:
                area = roc_auc_score(asked.answers[known], x[known])
                assert found.values[column] >= max(area, 1 - area) - 0.005
            else:
                assert found.values[column] >= abs(spearmanr(x[known], asked.answers[known]).statistic) - 0.02
    assert found.values[0] > found.values[1]


def test_scale_and_bend_of_a_column_change_no_score(dataset: Dataset) -> None:
    asked = question(dataset, "death")
    x = dataset.blocks["demo"].values[:, 0]
    scores = []
    for values in (x, x * 40 - 7, np.exp(x), -x):
        table = Table.of(with_column(dataset, values), ("tabular",))
        scores.append(single(table, np.array([0]), asked).values[0])
    assert scores == pytest.approx([scores[0]] * 4, abs=0.02)


def test_a_column_that_is_there_only_with_one_answer_tells_by_being_there(dataset: Dataset) -> None:
    y = dataset.labels["death"].values
    table = Table.of(with_column(dataset, np.where(y == 1, np.arange(len(y)), np.nan)), ("tabular",))
    found = single(table, np.array([0]), question(dataset, "death"))
    assert found.missing[0] == 1.0


def test_two_columns_that_give_the_answer_by_their_sum_are_found(dataset: Dataset) -> None:
    y = dataset.labels["stay"].values
    block = dataset.blocks["labs"]
    changed = block.values.copy()
    noise = np.random.default_rng(2).normal(size=len(y)) * 9
    changed[:, 2], changed[:, 6] = np.nan_to_num(y) + noise, -noise
    table = Table.of(
        replace(dataset, blocks={**dataset.blocks, "labs": replace(block, values=changed)}), ("timeseries",)
    )
    asked = question(dataset, "stay")
    found = best_pair(table.standard(np.arange(len(table.names)), asked), asked.kind)
    assert sorted(table.names[column] for column in found.columns) == ["labs2", "labs6"]
    assert found.score > 0.99


def test_questions_are_of_training_rows_and_a_patient_counts_once_for_each_answer(dataset: Dataset) -> None:
    for one in questions(dataset):
        assert (dataset.split[one.rows] == "train").all()
        who = [*zip(dataset.patients[one.rows], one.answers if one.kind == "binary" else one.rows * 0, strict=True)]
        assert len(set(who)) == len(who)
        halves = [set(dataset.patients[one.rows[side]]) for side in (one.first, ~one.first)]
        assert not halves[0] & halves[1]
