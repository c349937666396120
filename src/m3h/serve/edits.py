"""Values of a patient that can be edited: the columns of the tabular sources, read back from what was encoded.

Encoding keeps numbers as they are and categories as columns of 0 and 1, so that a patient's values can be read from
the blocks, changed, and encoded again by the same encoder; the uploaded tables themselves need not be kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from m3h.core.errors import SettingError, nearest
from m3h.dataset.dataset import Dataset
from m3h.encoders.block import Block
from m3h.encoders.tabular import UNKNOWN
from m3h.hospital.sources import TableColumns
from m3h.serve.model import ServedModel, taken
from m3h.study.spec import Source

#: A number, one of the categories, or None where nothing is known.
Value = float | str | None


@dataclass(frozen=True)
class Column:
    """A column of tabular sources: a number, or one of ``categories``; ``sources`` are those that read it."""

    name: str
    categories: tuple[str, ...] | None
    sources: tuple[str, ...]

    @property
    def encoded(self) -> tuple[str, ...]:
        """Names of the encoded columns that it becomes."""
        if self.categories is None:
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in dict.fromkeys((*self.categories, UNKNOWN)))


def columns(model: ServedModel) -> tuple[Column, ...]:
    """The columns that can be edited, in the order of the study."""
    found: dict[str, Column] = {}
    for source in _tabular(model):
        for name, categories in _learned(model, source):
            known = found.get(name)
            if known is None:
                found[name] = Column(name, categories, (source.name,))
            else:
                found[name] = replace(known, sources=(*known.sources, source.name))
    return tuple(found.values())


def values(model: ServedModel, dataset: Dataset, row: int) -> dict[str, Value]:
    """What is known of a patient, column by column, as far as it was encoded."""
    found: dict[str, Value] = {}
    for source in _tabular(model):
        block = dataset.blocks[source.name]
        for name, categories in _learned(model, source):
            value = _read(block, row, name, categories)
            if found.get(name) is None:
                found[name] = value
    return found


def edited(model: ServedModel, dataset: Dataset, row: int, changes: Mapping[str, Value]) -> Dataset:
    """Two rows: the patient, and the patient with the ``changes``, encoded anew.

    Errors: SettingError for a column that is not there or cannot be edited, and for values that do not fit.
    """
    known = {column.name: column for column in columns(model)}
    for name, value in changes.items():
        if name not in known:
            raise SettingError(f'no column "{name}" that can be edited{nearest(name, known)}')
        _check(known[name], value)
    before = taken(dataset, np.array([row, row]))
    now = values(model, dataset, row) | dict(changes)
    blocks = dict(before.blocks)
    for source in _tabular(model):
        own = _learned(model, source)
        if any(name in changes for name, _ in own):
            given = TableColumns({name: _array(now[name], categories) for name, categories in own}, rows=1)
            blocks[source.name] = _second(blocks[source.name], model.encode(source, given))
    return replace(before, blocks=blocks)


def parsed(column: Column, text: str) -> Value:
    """What somebody wrote into the field of a column; empty is None. Errors: SettingError for what is no number."""
    plain = text.strip()
    if not plain or column.categories is not None:
        return plain or None
    try:
        return float(plain)
    except ValueError:
        raise _no_number(column.name) from None


def same(one: Value, other: Value) -> bool:
    """Whether two values of a column encode alike."""
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.float32(one) == np.float32(other))
    return one == other


def _check(column: Column, value: Value) -> None:
    if value is None:
        return
    if column.categories is None:
        if isinstance(value, str) or not math.isfinite(value) or abs(value) > float(np.finfo(np.float32).max):
            raise _no_number(column.name)
    elif value not in column.categories and value != UNKNOWN:
        shown = ", ".join(column.categories[:12]) + (", ..." if len(column.categories) > 12 else "")
        raise SettingError(
            "not one of the categories known from training",
            where=f'column "{column.name}"',
            expected=f"{shown}, or {UNKNOWN}; empty where nothing is known",
        )


def _no_number(name: str) -> SettingError:
    return SettingError(
        "not a number",
        where=f'column "{name}"',
        expected="a finite number with a decimal point, such as 36.5; empty where nothing is known",
    )


def _tabular(model: ServedModel) -> list[Source]:
    return [source for source in model.study.sources if source.modality == "tabular" and source.read_as == "tabular"]


def _learned(model: ServedModel, source: Source) -> list[tuple[str, tuple[str, ...] | None]]:
    """The source's columns, and the categories of those that are texts."""
    found: list[tuple[str, tuple[str, ...] | None]] = []
    for column in model.states[source.name].facts.get("columns", []):
        if isinstance(column, str):  # the encoder "columns" remembers names alone
            found.append((column, None))
        else:
            categories = column["categories"]
            found.append((column["name"], None if categories is None else tuple(categories)))
    return found


def _read(block: Block, row: int, name: str, categories: tuple[str, ...] | None) -> Value:
    if categories is None:
        value = block.values[row, block.names.index(name)]
        # the shortest decimals that mean this float32: 63.1, and not 63.09999847
        return None if np.isnan(value) else float(str(value))
    for category in dict.fromkeys((*categories, UNKNOWN)):
        if block.values[row, block.names.index(f"{name}={category}")] == 1:
            return category
    return None


def _array(value: Value, categories: tuple[str, ...] | None) -> np.ndarray[Any, Any]:
    if categories is None:
        return np.array([np.nan if value is None else value], dtype=np.float64)
    found = np.empty(1, dtype=object)
    found[0] = value
    return found


def _second(block: Block, new: Block) -> Block:
    """The block of two rows with the second exchanged."""
    whole, present = block.values.copy(), block.present.copy()
    whole[1], present[1] = new.values[0], new.present[0]
    return replace(block, values=whole, present=present)
