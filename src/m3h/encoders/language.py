"""Language: words and word pairs weighted by rarity, narrowed to a few numbers a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from m3h.core import seeds
from m3h.core.errors import DataError
from m3h.encoders.block import Block, Bools, EncoderState
from m3h.encoders.options import require_at_least
from m3h.hospital.sources import Texts

#: Two letters or more. What holds a digit or an underscore is no term: identifiers, dates and telephone numbers must
#: not travel with the vocabulary.
TERM = r"(?u)\b[^\W\d_]{2,}\b"

#: Directions whose singular value is below this share of the largest are rounding, not language.
RANK_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Tfidf:
    """TF-IDF of words and runs of up to ``ngrams`` words, then a truncated singular value decomposition.

    The texts of a sample are joined by newlines. Terms are lower-case words of letters only; a word that holds a
    digit is dropped before runs are formed. Of the terms in at least ``min_documents`` training texts the
    ``max_features`` most widespread are kept. Counts enter as 1 + log, rarity as log((1 + n) / (1 + df)) + 1, texts
    have length 1. The block has ``width`` columns "svd1", "svd2" ..., strongest direction first, or fewer where the
    training texts have fewer directions. A sample with text but no known term is present, its row 0.

    The state holds the kept terms themselves: words of the training texts, and so possibly names of people that occur
    in several of them. Whoever shares a model shares that list. Errors: DataError if there is no text or no term.
    """

    version: ClassVar[int] = 1

    width: int = 128
    max_features: int = 20_000
    min_documents: int = 2
    ngrams: int = 2

    def __post_init__(self) -> None:
        require_at_least(
            1,
            width=self.width,
            max_features=self.max_features,
            min_documents=self.min_documents,
            ngrams=self.ngrams,
        )

    def fit(self, data: Texts, rows: Bools) -> EncoderState:
        """Learn terms, rarity and directions from the texts of the samples where ``rows`` is True."""
        documents = [text for text, row in zip(_joined(data), rows, strict=True) if row and text]
        if not documents:
            raise DataError(
                "no training sample has a text",
                next_step="compare the source's key, time and column with the samples, or leave the source out",
            )
        counts, terms = self._count(documents)
        documents_with = np.bincount(counts.indices, minlength=len(terms))
        kept = self._choose(documents_with)
        if not len(kept):
            raise self._no_terms(len(documents))
        idf = np.log((1 + len(documents)) / (1 + documents_with[kept])) + 1
        components = self._directions(_weighted(counts[:, kept], idf))
        facts = {"terms": [str(term) for term in terms[kept]]}
        return EncoderState(facts, {"idf": idf, "components": components.astype(np.float32)})

    def transform(self, source: str, data: Texts, state: EncoderState) -> Block:
        """Encode all samples; a sample is present if it has a text that is not blank."""
        documents = _joined(data)
        present = np.array([bool(text) for text in documents], dtype=bool)
        components = state.arrays["components"].astype(np.float64)  # (width, term)
        values = np.full((len(documents), len(components)), np.nan, dtype=np.float32)
        if present.any():
            vectorizer = self._vectorizer(vocabulary=state.facts["terms"])
            counts = vectorizer.transform([text for text in documents if text])
            # sparse times dense runs in one thread and row by row: a text's numbers do not depend on its neighbours
            values[present] = _weighted(counts, state.arrays["idf"]) @ np.ascontiguousarray(components.T)
        names = tuple(f"svd{index + 1}" for index in range(len(components)))
        return Block(source, "language", values, present, names, ("",) * len(names))

    def _vectorizer(self, vocabulary: list[str] | None = None) -> CountVectorizer:
        return CountVectorizer(
            token_pattern=TERM, ngram_range=(1, self.ngrams), vocabulary=vocabulary, dtype=np.float64
        )

    def _count(self, documents: list[str]) -> tuple[Any, NDArray[Any]]:
        """Counts (document, term) as a sparse matrix, and the terms, sorted."""
        vectorizer = self._vectorizer()
        try:
            counts = vectorizer.fit_transform(documents)
        except ValueError as error:  # its word for an empty vocabulary
            raise self._no_terms(len(documents)) from error
        return counts, vectorizer.get_feature_names_out()

    def _choose(self, documents_with: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices of the terms that are kept, ascending; of equally widespread ones the first in the alphabet."""
        by_spread = np.argsort(-documents_with, kind="stable")
        enough = by_spread[documents_with[by_spread] >= self.min_documents]
        return np.sort(enough[: self.max_features])

    def _directions(self, matrix: Any) -> NDArray[np.float64]:
        """The strongest directions, (direction, term), each with its largest entry positive."""
        with threadpool_limits(limits=1):  # sums in another number of threads round otherwise
            if min(matrix.shape) > self.width:
                start = seeds.generator(0, "tfidf").normal(size=min(matrix.shape))
                _, strengths, directions = svds(matrix, k=self.width, v0=start, return_singular_vectors="vh")
            else:
                _, strengths, directions = np.linalg.svd(matrix.toarray(), full_matrices=False)
        order = np.argsort(-strengths, kind="stable")
        strengths, directions = strengths[order], directions[order]
        directions = directions[strengths > RANK_TOLERANCE * strengths[0]]
        largest = np.abs(directions).argmax(axis=1)
        signs = np.sign(directions[np.arange(len(directions)), largest])
        return np.asarray(directions * signs[:, None], dtype=np.float64)

    def _no_terms(self, documents: int) -> DataError:
        return DataError(
            f"no word occurs in at least {self.min_documents} of the {documents} training texts",
            expected="words of two letters or more, without digits",
            next_step="lower options.min_documents, or leave the source out",
        )


def _joined(data: Texts) -> list[str]:
    """Each sample's texts as one; empty if it has none or only blanks."""
    return ["\n".join(texts).strip() for texts in data.texts]


def _weighted(counts: Any, idf: NDArray[np.float64]) -> Any:
    """Counts (document, term) as TF-IDF rows of length 1, sparse."""
    matrix = sparse.csr_matrix(counts, copy=True)
    matrix.sort_indices()
    matrix.data = (1 + np.log(matrix.data)) * idf[matrix.indices]
    return normalize(matrix, norm="l2", copy=False)
