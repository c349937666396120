from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from m3h.core import registry
from m3h.core.errors import SettingError
from m3h.core.registry import DEFAULT_ENCODERS, ENCODERS, Registry

PARTS = {"b/two": "collections:Counter", "a/one": "wave:open"}


def test_names_are_sorted_and_known_without_imports() -> None:
    sys.modules.pop("wave", None)
    parts = Registry("part", PARTS)
    assert parts.names() == ("a/one", "b/two")
    assert "a/one" in parts and "c" not in parts
    assert "wave" not in sys.modules


def test_load_gives_the_part_itself() -> None:
    from collections import Counter

    assert Registry("part", PARTS).load("b/two") is Counter


def test_unknown_name_is_an_error_with_the_nearest() -> None:
    with pytest.raises(SettingError, match=r'unknown part "a/ome"; did you mean "a/one"\?'):
        Registry("part", PARTS).load("a/ome")


def test_other_packages_add_parts_but_replace_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def points(**select: Any) -> list[EntryPoint]:
        asked.append(select["group"])
        return [
            EntryPoint("c/three", "collections:deque", select["group"]),
            EntryPoint("a/one", "collections:OrderedDict", select["group"]),
        ]

    monkeypatch.setattr(registry, "entry_points", points)
    parts = Registry("part", PARTS)
    assert parts.names() == ("a/one", "b/two", "c/three")
    assert parts.load("c/three").__name__ == "deque"
    assert parts.load("a/one").__module__ == "wave"
    assert set(asked) == {"m3h.part"}


def test_every_modality_has_a_default_encoder_that_is_registered() -> None:
    modalities = {name.partition("/")[0] for name in ENCODERS.names()}
    assert modalities == set(DEFAULT_ENCODERS)
    assert all(f"{modality}/{encoder}" in ENCODERS for modality, encoder in DEFAULT_ENCODERS.items())
