"""How well the words of a text source answer each question: an image's own report holds the answer in plain words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from sklearn.feature_extraction.text import CountVectorizer

from m3h.dataset.audit.probes import COLUMNS, answered
from m3h.dataset.audit.questions import Question, questions
from m3h.dataset.audit.screen import auroc
from m3h.dataset.audit.table import Floats, Numbers
from m3h.dataset.dataset import Dataset
from m3h.encoders.language import TERM
from m3h.hospital.sources import Texts

#: Words and pairs of words looked at, the most widespread first.
WORDS = 2000
#: Texts with a word below which it is passed over.
LEAST_TEXTS = 5

#: Task -> class ("" where the task has one question) -> score.
Scores = dict[str, dict[str, float]]


def word_scores(dataset: Dataset, texts: Texts) -> Scores:
    """AUROC, or correlation, of the words that stand in a sample's texts: the better of one word alone and a linear
    model of many, chosen on one half of the training patients and judged on the other.

    {} where no word is in at least 5 texts of training samples.
    """
    asked = list(questions(dataset))
    if not asked:
        return {}
    rows = np.unique(np.concatenate([question.rows for question in asked]))
    documents = ["\n".join(texts.texts[row]) for row in rows]
    vectorizer = CountVectorizer(
        token_pattern=TERM, ngram_range=(1, 2), binary=True, min_df=LEAST_TEXTS, max_features=WORDS, dtype=np.float64
    )
    try:
        there = vectorizer.fit_transform(documents)
    except ValueError:  # its word for no term at all
        return {}
    found: Scores = {}
    for question in asked:
        own = there[np.searchsorted(rows, question.rows)].tocsc()
        found.setdefault(question.task, {})[question.of] = round(_score(own, question), 6)
    return found


def _score(there: csc_matrix, question: Question) -> float:
    """``there`` float64 (row, word) is 1 where a word stands in a row's texts."""
    together, alone = [], []
    for fit in (question.first, ~question.first):
        y = question.answers[fit]
        some = _strongest(there, fit, y)
        if not len(some):
            return 0.0
        x = there[:, some].toarray()
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        together.append(answered(x[fit], y, x[~fit], question.answers[~fit], question.kind))
        if question.kind == "binary":
            alone.append(_one_word(there, question.answers == 1, fit))
    return max(float(np.mean(score)) for score in (together, alone) if score)


def _strongest(there: csc_matrix, fit: NDArray[np.bool_], y: Floats) -> Numbers:
    """The words that correlate most with the answers, of those that some rows have and others have not."""
    total = _sums(there, np.ones(there.shape[0]))
    share = _sums(there, fit.astype(np.float64)) / len(y)
    weights = np.zeros(there.shape[0])
    weights[fit] = y - y.mean()
    spread = np.sqrt(share * (1 - share))
    strength = np.abs(_sums(there, weights)) / np.where(spread > 0, spread, np.inf)
    varies = np.flatnonzero((total > 0) & (total < there.shape[0]))
    return varies[np.argsort(-strength[varies], kind="stable")[:COLUMNS]]


def _one_word(there: csc_matrix, yes: NDArray[np.bool_], fit: NDArray[np.bool_]) -> float:
    """The AUROC of the word whose shares among yes and no differ most in one half, in the other."""
    shares = [_sums(there, side / side.sum()) for side in (yes & fit, ~yes & fit)]
    gap = shares[0] - shares[1]
    word = int(np.argmax(np.abs(gap)))
    column = there[:, [word]].toarray()[:, 0]
    return auroc(np.sign(gap[word]) * column[~fit], yes[~fit])


def _sums(there: csc_matrix, weights: Floats) -> Floats:
    """(word,): the sum of the weights (row,) of the rows that have the word."""
    return np.asarray(there.T @ weights)
