"""Texts among numbers: what a message can tell of their looks."""

from __future__ import annotations

import polars as pl
import pytest

from m3h.hospital.values import remedy, with_comma


def test_decimal_commas_are_known_by_their_looks() -> None:
    texts = pl.Series(["36,5", "-0,1", "1,234,567", "a,b", "36.5", "", None])
    assert with_comma(texts).to_list() == [True, True, False, False, False, False, None]


@pytest.mark.parametrize(
    ("texts", "words"),
    [(["36,5"], "decimal point"), (["NA", ">9"], "leave the cell empty"), (["n/a"], "leave the cell")],
)
def test_the_remedy_names_the_cause(texts: list[str], words: str) -> None:
    assert words in str(remedy(pl.Series(texts)))


def test_where_looks_tell_nothing_nothing_is_said() -> None:
    assert remedy(pl.Series([">90", "abc"])) is None
