"""The signals of MIMIC-IV: their order, items and limits."""

from __future__ import annotations

import math

import pytest

from m3h.hospital.catalog.signals import signals

BY_NAME = {signal.name: signal for signal in signals()}


def test_they_are_the_41_of_the_published_file_in_its_order() -> None:
    sources = [signal.source for signal in signals()]
    assert sources == ["chart"] * 9 + ["labs"] * 22 + ["procedures"] * 10
    assert len({signal.itemid for signal in signals()}) == len(BY_NAME) == 41
    place = {signal.name: number for number, signal in enumerate(signals())}
    # places within their blocks of 9, 22 and 10
    assert (place["GCS - Motor Response"], place["Platelet Count"] - 9, place["Hemodialysis"] - 31) == (8, 11, 9)


@pytest.mark.parametrize(
    ("name", "itemid", "unit"),
    [
        ("Heart Rate", 220045, "bpm"),
        ("Glucose", 50931, "mg/dL"),
        ("Creatinine", 50912, "mg/dL"),
        ("Neutrophils", 51256, "%"),
        ("GCS - Eye Opening", 220739, ""),
        ("Chest Tube Removed", 227712, "h"),
    ],
)
def test_items_and_units(name: str, itemid: int, unit: str) -> None:
    assert (BY_NAME[name].itemid, BY_NAME[name].unit) == (itemid, unit)


@pytest.mark.parametrize(
    ("name", "can", "cannot"),
    [
        ("Heart Rate", [0, 350], [-1, 351]),
        ("Non Invasive Blood Pressure mean", [0, 375], [376]),
        ("Respiratory Rate", [80], [81]),
        ("O2 saturation pulseoxymetry", [0, 100], [100.5]),
        ("GCS - Verbal Response", [1, 5], [0, 6]),
        ("GCS - Eye Opening", [1, 4], [0, 5]),
        ("GCS - Motor Response", [1, 6], [0, 7]),
        ("Glucose", [0.1, 5000], [0, -3]),
        ("Anion Gap", [-5, 0], []),
        ("Foley Catheter", [0, 1000], []),
    ],
)
def test_limits(name: str, can: list[float], cannot: list[float]) -> None:
    assert [value for value in can if not BY_NAME[name].plausible(value)] == []
    assert [value for value in (*cannot, math.nan) if BY_NAME[name].plausible(value)] == []
