"""The model card says what the run knows, and nothing where there is no model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from m3h.report.card import card
from m3h.report.contents import read

Run = Callable[..., Path]


def test_the_card_has_the_parts_of_its_form(run: Run) -> None:
    found = {entry.heading: " ".join(entry.texts) for entry in card(read(run(3)))}
    assert list(found) == [
        "The model",
        "What it is for",
        "What it is not for",
        "Whom it may differ for",
        "Measures",
        "Data to test it",
        "Data to train it",
        "Ethics",
        "Cautions",
    ]
    assert "Made by m3h 0.1.0 on 2025-06-01 with python 3.11 and torch 2.15." in found["The model"]
    assert "forecasts of death, length_of_stay and icu_type" in found["What it is for"]
    assert "Subgroups of the study: sex." in found["Whom it may differ for"]
    assert "1 sign of leaks" in found["Cautions"]


def test_no_model_no_card(pooled: Run) -> None:
    assert card(read(pooled(3, tim="exact", scored=False))) == []
