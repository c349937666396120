"""The tokens that name diagnosis codes, as in ``410-414;4292``, and what they match.

``X`` matches every code that begins with X. ``A-B``, both of the same length L, matches every code whose first L
characters lie between A and B in the order of texts, A and B included; a code of fewer characters is not matched.
``;`` stands between tokens, ``&`` between groups of tokens that must all be matched. Codes have no dot, no blanks
around them and capital letters. They are texts: as a number, ICD-9 code 0380 would lose its zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from m3h.core.errors import SettingError
from m3h.study.task import Codes

Version = Literal[9, 10]
VERSIONS: tuple[Version, ...] = (9, 10)

_CODE = re.compile(r"[A-Z0-9]+")
_SHOWN = 3
_LONGEST_SHOWN = 30


@dataclass(frozen=True)
class Token:
    """One token; of a single prefix both ends are the prefix."""

    low: str
    high: str

    @property
    def length(self) -> int:
        """How many characters of a code it looks at."""
        return len(self.low)

    def matches(self, code: str) -> bool:
        """Whether it matches a code that has no blanks around it and capital letters."""
        return len(code) >= self.length and self.low <= code[: self.length] <= self.high

    def __str__(self) -> str:
        return self.low if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class Group:
    """Tokens for codes of one version of the classification; a code that any of them matches matches the group."""

    version: Version
    tokens: tuple[Token, ...]

    def matches(self, version: int, code: str) -> bool:
        """Whether a code of this version is matched."""
        return version == self.version and any(token.matches(code) for token in self.tokens)


#: Groups that must all be matched, each by some code of the same sample.
Alternative = tuple[Group, ...]


def alternatives(codes: Iterable[Codes]) -> tuple[Alternative, ...]:
    """What makes a label 1: all groups of any one alternative are matched. Errors: SettingError for wrong tokens."""
    found: list[Alternative] = []
    for part in codes:
        found += [(Group(9, tokens(part.icd9)),)] if part.icd9.strip() else []
        found += [(Group(10, tokens(part.icd10)),)] if part.icd10.strip() else []
        if part.icd10_all_of.strip():
            found.append(tuple(Group(10, group) for group in groups(part.icd10_all_of)))
    return tuple(found)


def versions(codes: Iterable[Codes]) -> frozenset[Version]:
    """The versions of the classification that any of the codes is of."""
    return frozenset(group.version for alternative in alternatives(codes) for group in alternative)


def groups(text: str) -> tuple[tuple[Token, ...], ...]:
    """Groups joined by "&". Errors: SettingError for wrong tokens, an empty group, or one group alone."""
    parts = text.split("&")
    if len(parts) < 2 or not all(part.strip(" ;\t\n") for part in parts):
        raise SettingError("expected two or more groups of tokens joined by &, as Y95 & J12-J18;A481")
    return tuple(tokens(part) for part in parts)


def tokens(text: str) -> tuple[Token, ...]:
    """Tokens separated by ";". Errors: SettingError that names the first three that are none."""
    wrong, found = [], []
    for part in filter(None, (part.strip().upper() for part in text.split(";"))):
        message = _mistake(part)
        if message:
            shown = f'"{part}"' if len(part) <= _LONGEST_SHOWN else "a longer text"
            wrong.append(f"{shown}: {message}")
        else:
            low, _, high = (end.strip() for end in part.partition("-"))
            found.append(Token(low, high or low))
    if wrong:
        raise SettingError("; ".join(wrong[:_SHOWN]) + (f"; and {len(wrong) - _SHOWN} more" if wrong[_SHOWN:] else ""))
    if not found:
        raise SettingError("names no code")
    return tuple(found)


def _mistake(part: str) -> str | None:
    ends = [end.strip() for end in part.split("-")]
    if "." in part:
        return "codes are written without a dot"
    if len(ends) > 2 or not all(map(_CODE.fullmatch, ends)):
        return "expected the first characters of codes, as I50, or a range of them, as I20-I25"
    if len(ends[0]) != len(ends[-1]):
        return "both ends of a range must have the same length"
    return "the range ends before it begins" if ends[0] > ends[-1] else None
