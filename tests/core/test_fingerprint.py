from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from m3h.core.fingerprint import canonical, file_fingerprint, fingerprint


@dataclass(frozen=True)
class Setting:
    rate: float
    names: tuple[str, ...]


def test_fingerprint_is_a_sha256_of_compact_sorted_json() -> None:
    text = '{"a":[1,true,null],"b":"\\u00e9"}'
    assert fingerprint({"b": "é", "a": (1, True, None)}) == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_equal_content_has_equal_fingerprints() -> None:
    assert fingerprint({"x": 1, "y": 2}) == fingerprint({"y": 2, "x": 1})
    assert fingerprint((1, 2)) == fingerprint([1, 2])
    assert fingerprint({"b", "a", "c"}) == fingerprint(frozenset({"c", "b", "a"}))
    assert fingerprint(Setting(0.1, ("a",))) == fingerprint({"rate": 0.1, "names": ["a"]})
    assert fingerprint(Path("a/b")) == fingerprint("a/b")


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, "1"), (1, True), (None, "null"), ([1, 2], [2, 1]), (0.1, 0.1 + 1e-17 + 1e-16), ([], {}), ("", None)],
)
def test_other_content_has_another_fingerprint(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical form for bytes"):
        canonical({"a": [b"raw"]})
    with pytest.raises(TypeError, match="no canonical form for type"):
        canonical(Setting)


def test_file_fingerprint_is_of_the_bytes_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x\n1\n")
    (tmp_path / "b.txt").write_bytes(b"x\n1\n")
    expected = hashlib.sha256(b"x\n1\n").hexdigest()[:32]
    assert file_fingerprint(tmp_path / "a.csv") == file_fingerprint(tmp_path / "b.txt") == expected
    (tmp_path / "b.txt").write_bytes(b"x\n2\n")
    assert file_fingerprint(tmp_path / "b.txt") != expected
