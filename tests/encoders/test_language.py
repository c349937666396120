"""TF-IDF and directions: scikit-learn's pipeline by another road, determinism, and what never enters the vocabulary."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from m3h.core.errors import DataError
from m3h.encoders.language import Tfidf
from m3h.hospital.sources import Texts

WORDS = ["lungs", "clear", "heart", "normal", "size", "effusion", "left", "right", "opacity", "nodule", "stable", "no"]


def notes(count, seed=0, words=12):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, words)) for _ in range(count)]


def texts_of(documents):
    return Texts(
        tuple((text,) if text else () for text in documents), tuple((0.0,) if text else () for text in documents)
    )


def encode(encoder, documents, rows=None):
    data = texts_of(documents)
    state = encoder.fit(data, np.ones(len(documents), bool) if rows is None else rows)
    return encoder.transform("note", data, state), state


def test_equals_scikit_learns_pipeline():
    documents = notes(40)
    block, _ = encode(Tfidf(width=8, min_documents=1), documents)
    matrix = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(documents)
    other = TruncatedSVD(8, algorithm="arpack", random_state=3).fit_transform(matrix)
    signs = np.sign((other * block.values).sum(axis=0))  # the sign of a direction is free
    np.testing.assert_allclose(block.values, other * signs, atol=1e-6)


def test_all_directions_keep_all_angles():
    documents = notes(12)
    block, _ = encode(Tfidf(width=50, min_documents=1, ngrams=1), documents)
    matrix = TfidfVectorizer(sublinear_tf=True).fit_transform(documents)
    np.testing.assert_allclose(block.values @ block.values.T, (matrix @ matrix.T).toarray(), atol=1e-5)


def test_fewer_directions_than_asked_are_fewer_columns():
    block, _ = encode(Tfidf(width=50, min_documents=1), [*notes(5), *notes(5)])
    assert block.names == ("svd1", "svd2", "svd3", "svd4", "svd5")
    few = encode(Tfidf(width=20, min_documents=1), notes(5) * 10)[0]  # more texts than columns, but five kinds
    assert few.names == block.names


def test_one_text_or_one_term_has_one_direction():
    assert encode(Tfidf(min_documents=1), ["lungs clear"])[0].values.tolist() == [[1]]
    block, _ = encode(Tfidf(ngrams=1), ["cough", "cough cough", "fever"])
    assert block.values.tolist() == [[1], [1], [0]]


def test_absent_blank_and_unknown_texts():
    block, _ = encode(Tfidf(min_documents=1), ["clear lungs", "", "  \n", "xyz"], np.array([True, True, True, False]))
    assert block.present.tolist() == [True, False, False, True]
    assert np.isnan(block.values[1:3]).all()
    assert block.values[3].tolist() == [0]


def test_texts_of_a_sample_are_joined():
    split = Texts((("clear lungs", "large heart"), ("clear",)), ((0.0, 1.0), (0.0,)))
    whole = Texts((("clear lungs\nlarge heart",), ("clear",)), ((0.0,), (0.0,)))
    encoder = Tfidf(min_documents=1)
    blocks = [
        encoder.transform("n", data, encoder.fit(data, np.ones(2, bool))).values.tobytes() for data in (split, whole)
    ]
    assert blocks[0] == blocks[1]


def test_terms_hold_no_digits():
    secrets = "mrn 4711 id A12b 2019-03-04 tel 030-555 room7 x_1 cough"
    _, state = encode(Tfidf(min_documents=2), [secrets, secrets, "cough mrn"])
    terms = set(" ".join(state.facts["terms"]).split())
    assert terms == {"mrn", "id", "tel", "cough"}


def test_min_documents_and_max_features_keep_the_most_widespread():
    documents = ["cough fever", "cough fever pain", "cough rash"]
    _, state = encode(Tfidf(ngrams=1), documents)
    assert state.facts["terms"] == ["cough", "fever"]
    _, state = encode(Tfidf(ngrams=1, max_features=3, min_documents=1), documents)
    assert state.facts["terms"] == ["cough", "fever", "pain"]


def test_a_text_has_the_same_bytes_alone_and_among_others():
    documents = notes(30)
    block, state = encode(Tfidf(width=8), documents)
    alone = Tfidf(width=8).transform("note", texts_of([documents[7]]), state)
    assert alone.values.tobytes() == block.values[7].tobytes()


def test_no_text_and_no_term_are_refused():
    with pytest.raises(DataError, match="no training sample has a text"):
        encode(Tfidf(), ["", "text"], np.array([True, False]))
    with pytest.raises(DataError, match=r"(?s)at least 2 of the 2 training texts.*min_documents"):
        encode(Tfidf(), ["alpha", "beta"])
    with pytest.raises(DataError, match="no word occurs"):
        encode(Tfidf(min_documents=1), ["12 34", "5 6"])


PROGRAM = """
import hashlib, numpy as np
from m3h.encoders.language import Tfidf
from m3h.hospital.sources import Texts
random = np.random.default_rng(1)
words = ["".join(random.choice(list("abcdefghij"), 3)) for _ in range(900)]
data = Texts(tuple((" ".join(random.choice(words, 60)),) for _ in range(700)), ((0.0,),) * 700)
state = Tfidf(width=64).fit(data, np.ones(700, bool))
print(hashlib.sha256(Tfidf(width=64).transform("n", data, state).values.tobytes()).hexdigest())
"""


def test_same_bytes_at_any_number_of_threads():
    digests = set()
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {"PATH": "/usr/bin:/bin", **dict.fromkeys(names, threads)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == len(hashlib.sha256().hexdigest())
