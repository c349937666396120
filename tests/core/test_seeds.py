from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.core import seeds


def test_the_number_is_the_head_of_a_sha256() -> None:
    digest = hashlib.sha256(b"7\x1fstr:split\x1fint:3").hexdigest()
    assert seeds.number(7, "split", 3) == int(digest[:16], 16) // 2


def test_the_same_stream_on_every_machine() -> None:
    assert seeds.number(0) == 3456079177858693020
    assert seeds.generator(2012, "split", 0).integers(0, 1000, 4).tolist() == [342, 465, 903, 336]


def test_names_are_told_apart() -> None:
    spelled = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("1",), (1,), ("a", 1), ("a", "1")]
    assert len({seeds.number(0, *names) for names in spelled}) == len(spelled)
    assert seeds.number(0, "a") != seeds.number(1, "a")


@settings(deadline=None, derandomize=True)
@given(st.integers(-(2**70), 2**70), st.lists(st.text() | st.integers()))
def test_numbers_fit_where_they_go(seed: int, names: list[str | int]) -> None:
    assert 0 <= seeds.number(seed, *names) < 2**63
    assert 0 <= seeds.small(seed, *names) < 2**31


def test_generators_are_independent_of_each_other() -> None:
    first, second = seeds.generator(1, "a"), seeds.generator(1, "b")
    correlation = np.corrcoef(first.normal(size=10_000), second.normal(size=10_000))[0, 1]
    assert abs(correlation) < 0.05
    alone = seeds.generator(1, "b").normal(size=3)
    beside = seeds.generator(1, "b")
    first.normal(size=5)
    np.testing.assert_array_equal(beside.normal(size=3), alone)
