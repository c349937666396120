"""How well the words of a text source answer each question: an image's own report holds the answer in plain words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from m3h.dataset.dataset import Dataset
from m3h.dataset.probes import held_out
from m3h.dataset.questions import Question, questions
from m3h.dataset.screen import auroc
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
        token_pattern=TERM, ngram_range=(1, 2), binary=True, min_df=LEAST_TEXTS, max_features=WORDS, dtype=np.float32
    )
    try:
        there = vectorizer.fit_transform(documents)
    except ValueError:  # its word for no term at all
        return {}
    found: Scores = {}
    for question in asked:
        own = there[np.searchsorted(rows, question.rows)].toarray()
        found.setdefault(question.task, {})[question.of] = round(_score(own, question), 6)
    return found


def _score(there: NDArray[np.float32], question: Question) -> float:
    spread = there.std(axis=0)
    varies = spread > 0
    if not varies.any():
        return 0.0
    standard = (there[:, varies] - there[:, varies].mean(axis=0)) / spread[varies]
    together = held_out(standard.astype(np.float64), question)
    return max(together, _one_word(there, question)) if question.kind == "binary" else together


def _one_word(there: NDArray[np.float32], question: Question) -> float:
    scores = []
    yes = question.answers == 1
    for fit in (question.first, ~question.first):
        gap = there[yes & fit].mean(axis=0) - there[~yes & fit].mean(axis=0)
        word = int(np.argmax(np.abs(gap)))
        scores.append(auroc(np.sign(gap[word]) * there[~fit, word].astype(np.float64), yes[~fit]))
    return float(np.mean(scores))
