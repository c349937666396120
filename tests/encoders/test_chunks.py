"""Chunks of notes and the weights of notes and images, by worked cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.encoders import chunks

LIMIT = 510


def lines(*counts):
    """Lines of so many tokens, all tokens different."""
    numbers = iter(range(sum(counts)))
    return [[next(numbers) for _ in range(count)] for count in counts]


def sizes(found):
    return [len(chunk) for chunk in found]


def test_three_lines_of_300_200_and_100_tokens():
    note = lines(300, 200, 100)
    assert chunks.split_haim(note, LIMIT) == [tuple(range(500))]  # the last line is lost
    assert chunks.split_strict(note, LIMIT) == [tuple(range(500)), tuple(range(500, 600))]


@pytest.mark.parametrize(
    ("counts", "strict", "haim"),
    [
        ((510,), [510], [510]),
        ((200, 310), [510], [510]),
        ((200, 311), [200, 311], [200]),
        ((511,), [510, 1], [0]),  # a first line too long leaves an empty chunk, and is what remains
        ((100, 600, 100), [100, 510, 190], [100, 600]),
        ((), [], [0]),
        ((0, 0), [], [0]),
    ],
)
def test_lengths_of_chunks(counts, strict, haim):
    assert sizes(chunks.split_strict(lines(*counts), LIMIT)) == strict
    assert sizes(chunks.split_haim(lines(*counts), LIMIT)) == haim


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 20))
def test_strict_loses_nothing_and_keeps_the_limit(counts, limit):
    note = lines(*counts)
    found = chunks.split_strict(note, limit)
    assert [token for chunk in found for token in chunk] == [token for line in note for token in line]
    assert all(1 <= len(chunk) <= limit for chunk in found)


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 20))
def test_haim_loses_what_remains_after_the_last_full_chunk(counts, limit):
    note = lines(*counts)
    told = [token for chunk in chunks.split_haim(note, limit) for token in chunk]
    whole = [token for line in note for token in line]
    assert told == whole[: len(told)]
    if len(whole) <= limit:
        assert told == whole
    elif counts[-1] > 0:
        assert len(told) <= len(whole) - counts[-1]  # the last line at the least


def test_notes_weigh_more_the_later_they_are():
    assert chunks.weights_strict([-30.0, -20.0, -5.5]).tolist() == [1.0, 11.0, 25.5]
    assert chunks.weights_strict([-3.0]).tolist() == [1.0]
    assert chunks.weights_strict([float("nan")] * 2).tolist() == [1.0, 1.0]


def test_notes_weigh_the_hours_since_admission_in_profile_haim():
    assert chunks.weights_haim([-87_602.0, -87_600.0, -87_560.0], -87_600.0).tolist() == [-2.0, 0.0, 40.0]


def test_images_of_three_moments():
    expected = [0.0, 510 / 530, 1.0]
    assert chunks.images_haim([-500.0, 10.0, 30.0]) == pytest.approx(expected)
    assert chunks.images_haim([-500.0, 10.0, 30.0])[1] == pytest.approx(0.962264, abs=1e-6)
    assert chunks.images_strict([-500.0, 10.0, 30.0]) == pytest.approx([value + 0.001 for value in expected])


@pytest.mark.parametrize("times", [[3.0, 3.0], [7.0], [float("nan")]])
def test_images_of_one_moment(times):
    rows = np.array([[1.0, 5.0]] * len(times), dtype=np.float32)
    assert chunks.weighted_mean(rows, chunks.images_haim(times)).tolist() == [0.0, 0.0]
    assert chunks.weighted_mean(rows, chunks.images_strict(times)).tolist() == [1.0, 5.0]


def test_the_weighted_mean_is_that_of_numpy():
    random = np.random.default_rng(0)
    rows, weights = random.normal(size=(7, 5)).astype(np.float32), random.uniform(0.5, 40, 7)
    assert chunks.weighted_mean(rows, weights) == pytest.approx(np.average(rows, axis=0, weights=weights), rel=1e-6)
    assert chunks.weighted_mean(rows[:2], np.array([-2.0, 2.0])).tolist() == [0.0] * 5
