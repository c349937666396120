"""What is measured in the simulated hospital, as arrays: items of vital signs, laboratory, procedures and flows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from m3h.hospital.simulate.columns import Floats, Ints
from m3h.hospital.simulate.model import Model, read_model

Table = Mapping[str, Any]
#: Specimens of the laboratory, with fluid and category as the dictionary names them.
GROUPS = {
    "Chemistry": ("Blood", "Chemistry"),
    "Hematology": ("Blood", "Hematology"),
    "Gas": ("Blood", "Blood Gas"),
    "Urine": ("Urine", "Hematology"),
}


@dataclass(frozen=True)
class Items:
    """Items of one table, side by side: ``effects`` is (variable, item); the other arrays have one row per item.

    ``frequency``: share of rounds (laboratory) or relative number of rows (charts). ``only``: index of the variable
    that must be above a half for the item to be measured, -1 for always. ``group``: index into GROUPS, -1 for none;
    ``reference``: lower and upper end of what is normal, NaN where it is not said.
    """

    tables: tuple[Table, ...]
    itemid: Ints
    centre: Floats
    spread: Floats
    low: Floats
    high: Floats
    decimals: Ints
    frequency: Floats
    only: Ints
    group: Ints
    reference: tuple[Floats, Floats]
    effects: Floats


@dataclass(frozen=True)
class Signals:
    """All that is measured. ``procedure_effects`` is (variable, procedure)."""

    charts: Items
    labs: Items
    unused: tuple[Table, ...]
    procedures: tuple[Table, ...]
    procedure_base: Floats
    procedure_effects: Floats
    inputs: tuple[Table, ...]
    outputs: tuple[Table, ...]
    dates: tuple[Table, ...]


@cache
def read_signals() -> Signals:
    """The signals of ``signals.toml``, with effects of the patient model's variables."""
    found = tomllib.loads(resources.files(__package__).joinpath("signals.toml").read_text(encoding="utf-8"))
    model = read_model()
    procedures = tuple(found["procedure"])
    return Signals(
        charts=_items(found["chart"], model, "weight"),
        labs=_items(found["lab"], model, "frequency"),
        unused=tuple(found["unused"]),
        procedures=procedures,
        procedure_base=np.array([table["base"] for table in procedures]),
        procedure_effects=_effects(procedures, model),
        inputs=tuple(found["input"]),
        outputs=tuple(found["output"]),
        dates=tuple(found["date"]),
    )


def _items(tables: Sequence[Table], model: Model, frequency: str) -> Items:
    def column(name: str, default: float) -> Floats:
        return np.array([float(table.get(name, default)) for table in tables])

    def end(side: int) -> Floats:
        return np.array([float(table["range"][side]) if "range" in table else np.nan for table in tables])

    return Items(
        tables=tuple(tables),
        itemid=column("itemid", 0).astype(np.int64),
        centre=column("centre", 0),
        spread=column("spread", 0),
        low=column("low", -np.inf),
        high=column("high", np.inf),
        decimals=column("decimals", 0).astype(np.int64),
        frequency=column(frequency, 1),
        group=np.array([list(GROUPS).index(table["group"]) if "group" in table else -1 for table in tables]),
        reference=(end(0), end(1)),
        only=np.array([model.position[table["only"]] if "only" in table else -1 for table in tables]),
        effects=_effects(tables, model),
    )


def _effects(tables: Sequence[Table], model: Model) -> Floats:
    return np.stack([model.weights(table.get("effects", {})) for table in tables], axis=1)
