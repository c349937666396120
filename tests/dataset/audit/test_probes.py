"""Models of whole sources: the answers of scikit-learn's, and rules of columns that mean yes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from m3h.dataset.audit.probes import COLUMNS, PENALTY, any_of, held_out, source_scores
from m3h.dataset.audit.questions import Question
from m3h.dataset.audit.table import Table

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
    names = tuple(f"c{number}" for number in range(14))
    table = Table((codes.T, x.astype(np.float32)), names, ("s",) * 14)
    found = any_of(table, np.arange(14), question)
    assert (set(found.columns), found.precision, found.coverage) == (set(range(8)), 1.0, 1.0)
    assert any_of(table, np.arange(8, 14), question).rows == 0


def test_a_source_scores_as_its_columns_and_gaps_do_by_themselves(asked: tuple[np.ndarray, Question]) -> None:
    x, question = asked
    gaps = np.random.default_rng(7).random(ROWS) < np.where(question.answers == 1, 0.5, 0.2)
    part = x[:, :3].astype(np.float32)
    part[gaps, 2] = np.nan
    table = Table((part, x[:, 3:].astype(np.float32)), tuple("abcdef"), ("one",) * 3 + ("two",) * 3)
    found = source_scores(table, table.standard(np.arange(6), question), "binary")
    known = part[~gaps, 2].astype(np.float64)
    filled = np.where(gaps, 0, (part[:, 2] - known.mean()) / known.std())
    plain = (part[:, :2] - part[:, :2].mean(axis=0)) / part[:, :2].std(axis=0)
    apart = (~gaps - (~gaps).mean()) / (~gaps).std()
    assert found["one"] == pytest.approx(held_out(np.column_stack([plain, filled, apart]), question), abs=1e-4)
    assert abs(found["two"] - 0.5) < 0.15 < found["one"] - 0.5
