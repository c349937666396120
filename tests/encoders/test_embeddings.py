"""The cache of embeddings: found again, piece by piece, damaged rows made anew."""

import sqlite3

import numpy as np
import pytest

from m3h.core.errors import FolderError
from m3h.encoders.embeddings import FILE, embedded
from m3h.encoders.surroundings import around

KEYS = [bytes([number]) * 32 for number in range(7)]
VALUES = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def computing(asked, *, left_out=(), stop=None):
    def compute(places):
        for place in places:
            if place == stop:
                raise KeyboardInterrupt
            asked.append(place)
            yield [(place, VALUES[place])] if place not in left_out else []

    return compute


def test_what_was_computed_before_a_kill_is_found_again(tmp_path):
    asked = []
    with around(embeddings=tmp_path), pytest.raises(KeyboardInterrupt):
        embedded("model", KEYS, 3, "notes", computing(asked, stop=4))
    with around(embeddings=tmp_path):
        found = embedded("model", KEYS, 3, "notes", computing(asked))
    assert asked == [0, 1, 2, 3, 4, 5, 6]
    assert found.tobytes() == VALUES.tobytes()


def test_another_model_finds_nothing(tmp_path):
    asked = []
    with around(embeddings=tmp_path):
        embedded("model", KEYS[:2], 3, "notes", computing([]))
        embedded("another", KEYS[:2], 3, "notes", computing(asked))
    assert asked == [0, 1]


def test_a_damaged_row_is_made_anew(tmp_path):
    asked = []
    with around(embeddings=tmp_path):
        embedded("model", KEYS, 3, "notes", computing([]))
        with sqlite3.connect(tmp_path / "embeddings" / FILE) as connection:
            connection.execute("UPDATE embeddings SET vector = ? WHERE key = ?", (b"\0" * 12, KEYS[2]))
        connection.close()
        found = embedded("model", KEYS, 3, "notes", computing(asked))
    assert asked == [2]
    assert found.tobytes() == VALUES.tobytes()


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / FILE).write_bytes(b"no database " * 100)
    with around(embeddings=tmp_path), pytest.raises(FolderError, match="cannot be used") as caught:
        embedded("model", KEYS, 3, "notes", computing([]))
    assert FILE in str(caught.value)
    assert "delete that file" in str(caught.value)


def test_what_is_left_out_is_nan_and_asked_again(tmp_path):
    with around(embeddings=tmp_path):
        found = embedded("model", KEYS, 3, "images", computing([], left_out=(1,)))
        asked = []
        embedded("model", KEYS, 3, "images", computing(asked))
    assert np.isnan(found).all(axis=1).tolist() == [False, True] + [False] * 5
    assert asked == [1]


def test_memory_lasts_as_long_as_the_surroundings():
    asked, told = [], []
    with around(memory={}, told=lambda text, share: told.append((text, share))):
        embedded("model", KEYS, 3, "notes", computing(asked))
        embedded("model", KEYS, 3, "notes", computing(asked))
    embedded("model", KEYS[:1], 3, "notes", computing(asked))
    assert asked == [*range(7), 0]
    assert told[-1] == ("encoding notes", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
