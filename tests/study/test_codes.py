"""The grammar of tokens: what they match, and which texts are none."""

from __future__ import annotations

import pytest

from m3h.core.errors import SettingError
from m3h.study.codes import alternatives, groups, tokens, versions
from m3h.study.task import Codes


def matched(text: str, codes: str) -> list[str]:
    return [code for code in codes.split() if any(token.matches(code) for token in tokens(text))]


@pytest.mark.parametrize(
    ("text", "codes", "expected"),
    [
        ("I50", "I50 I500 I5023 I5 I49 I51 XI50", "I50 I500 I5023"),
        ("038", "0380 03812 38 380 0390", "0380 03812"),
        ("I20-I25", "I19 I20 I209 I259 I26 I2", "I20 I209 I259"),
        # shorter than both ends: there are no first three characters to compare
        ("E08-E11", "E1 E08 E109 E119 E12", "E08 E109 E119"),
        ("2820-2824", "2819 2820 28249 2825 282", "2820 28249"),
        # letters and digits in the order of texts: digits first
        ("T8I-T8X", "T89 T8I1 T8M T8XA T8Y", "T8I1 T8M T8XA"),
        (" i50 ; ; 4280- 4289;", "I509 42800 4290", "I509 42800"),
    ],
)
def test_what_tokens_match(text: str, codes: str, expected: str) -> None:
    assert matched(text, codes) == expected.split()


def test_tokens_are_told_as_they_are_written() -> None:
    assert [str(token) for token in tokens("i20-I25; 042")] == ["I20-I25", "042"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no code"),
        (" ; ", "names no code"),
        ("I50.9", '"I50.9": codes are written without a dot'),
        ("J12-J1", '"J12-J1": both ends of a range must have the same length'),
        ("I25-I20", '"I25-I20": the range ends before it begins'),
        ("I20-I22-I25", "or a range of them, as I20-I25"),
        ("I50*", r'"I50\*": expected the first characters of codes'),
        ("410-", "or a range of them"),
        ("410 414", '"410 414": expected the first characters'),
        ("A1;B.2;C3", '"B.2": codes are written without a dot'),
        ("A.;B.;C.;D.", '"A.": .*; "C.": codes are written without a dot; and 1 more'),
        ("x" * 20 + "." * 20, "a longer text: codes are written without a dot"),
    ],
)
def test_texts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        tokens(text)


def test_groups() -> None:
    assert [[str(token) for token in group] for group in groups("Y95 & A481;J12-J18")] == [["Y95"], ["A481", "J12-J18"]]
    for text in ("Y95", "Y95 & ", "& J12", "Y95 & ; & J12"):
        with pytest.raises(SettingError, match="two or more groups of tokens joined by &"):
            groups(text)


def test_alternatives_are_one_for_each_key_that_is_given() -> None:
    found = alternatives([Codes(icd9="410", icd10="I21"), Codes(icd10_all_of="Y95 & J12-J18")])
    assert [[group.version for group in one] for one in found] == [[9], [10], [10, 10]]
    assert versions([Codes(icd10_all_of="Y95 & J12")]) == {10} and versions([Codes(icd9="1", icd10="A")]) == {9, 10}
    assert found[0][0].matches(9, "4109") and not found[0][0].matches(10, "4109")
