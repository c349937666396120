"""Models of whole sources: the answers of scikit-learn's, and rules of columns that mean yes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from m3h.dataset.probes import COLUMNS, PENALTY, any_of, held_out
from m3h.dataset.questions import Question
from m3h.dataset.screen import Table

ROWS = 400


@pytest.fixture
def asked() -> tuple[np.ndarray, Question]:
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, 6))
    y = (x[:, 0] - x[:, 1] + random.normal(size=ROWS) > 0.5).astype(float)
    return x, Question("t", "binary", y, np.arange(ROWS), random.random(ROWS) < 0.5)


def test_a_yes_or_no_question_is_answered_as_by_logistic_regression(asked: tuple[np.ndarray, Question]) -> None:
    x, question = asked
    scores = []
    for fit in (question.first, ~question.first):
        y = question.answers
        model = LogisticRegression(C=1 / (PENALTY * fit.sum()), tol=1e-10, max_iter=1000).fit(x[fit], y[fit])
        scores.append(roc_auc_score(y[~fit], model.decision_function(x[~fit])))
    assert x.shape[1] <= COLUMNS
    assert held_out(x, question) == pytest.approx(np.mean(scores), abs=1e-4)


def test_an_amount_is_answered_as_by_ridge_regression(asked: tuple[np.ndarray, Question]) -> None:
    x, question = asked
    y = 2 * x[:, 2] + np.random.default_rng(4).normal(size=ROWS)
    question = replace(question, kind="amount", answers=y)
    scores = []
    for fit in (question.first, ~question.first):
        model = Ridge(alpha=PENALTY * fit.sum()).fit(x[fit], y[fit])
        scores.append(np.corrcoef(model.predict(x[~fit]), y[~fit])[0, 1])
    assert held_out(x, question) == pytest.approx(np.mean(scores), abs=1e-6)


def test_columns_that_know_nothing_answer_nothing(asked: tuple[np.ndarray, Question]) -> None:
    x, question = asked
    shuffled = replace(question, answers=np.random.default_rng(5).permutation(question.answers))
    assert abs(held_out(x, shuffled) - 0.5) < 0.1


def test_a_rule_of_codes_is_found_and_what_measures_is_none(asked: tuple[np.ndarray, Question]) -> None:
    x, question = asked
    random = np.random.default_rng(6)
    which = random.integers(0, 8, ROWS)
    codes = np.stack([(which == number) & (question.answers == 1) for number in range(8)]).astype(np.float32)
    values = np.concatenate([codes, x.T.astype(np.float32)])
    names = tuple(f"c{number}" for number in range(len(values)))
    table = Table(values, names, ("s",) * len(values))
    found = any_of(table, np.arange(len(values)), question)
    assert (set(found.columns), found.precision, found.coverage) == (set(range(8)), 1.0, 1.0)
    assert any_of(table, np.arange(8, len(values)), question).rows == 0
