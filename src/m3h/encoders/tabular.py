"""Tabular sources: numbers as they are, text columns as one column per category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError, SettingError, nearest
from m3h.encoders.block import Block, Bools, EncoderState, Floats
from m3h.encoders.options import require_at_least
from m3h.hospital.sources import TableColumns

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Tabular:
    """Numbers pass through; a text column becomes columns "column=category" of 0 and 1.

    ``categories`` names number columns that are codes, not amounts: they are treated as text. The categories are the
    sorted distinct texts of the training rows, and "column=unknown" takes every value that they do not have (a
    category that is itself called "unknown" shares that column). A missing text leaves all its columns NaN. Example:

        view       ->  view=ap  view=pa  view=unknown
        "pa"               0        1          0
        "lateral"          0        0          1          (not among the training rows)
        missing          NaN      NaN        NaN

    Errors: DataError if a text column has more than ``max_categories`` of them, or if a number does not fit float32.
    """

    version: ClassVar[int] = 1

    categories: tuple[str, ...] = ()
    max_categories: int = 50

    def __post_init__(self) -> None:
        require_at_least(1, max_categories=self.max_categories)

    def fit(self, data: TableColumns, rows: Bools) -> EncoderState:
        """Learn each text column's categories from the samples where ``rows`` is True."""
        for name in self.categories:
            if name not in data.columns:
                raise SettingError(
                    f'options.categories names "{name}", which is no column of this source{nearest(name, data.columns)}'
                )
        columns: list[dict[str, Any]] = []
        for name, values in data.columns.items():
            if _is_text(values) or name in self.categories:
                columns.append({"name": name, "categories": self._categories(name, _texts(values)[rows])})
            else:
                columns.append({"name": name, "categories": None})
        return EncoderState({"columns": columns})

    def transform(self, source: str, data: TableColumns, state: EncoderState) -> Block:
        """Encode all samples; a sample is present if any of its columns has a value."""
        parts: list[Floats] = []
        names: list[str] = []
        for column in state.facts["columns"]:
            name, categories = column["name"], column["categories"]
            if name not in data.columns:
                raise DataError(f'no column "{name}"{nearest(name, data.columns)}')
            if categories is None:
                parts.append(_numbers(name, data.columns[name])[:, None])
                names.append(name)
            else:
                parts.append(_one_hot(_texts(data.columns[name]), categories))
                names += [f"{name}={category}" for category in _with_unknown(categories)]
        _refuse_twins(names)
        values = np.concatenate(parts, axis=1)  # (sample, width)
        present = np.asarray(~np.isnan(values).all(axis=1))
        return Block(source, "tabular", values, present, tuple(names), ("",) * len(names))

    def _categories(self, name: str, texts: NDArray[Any]) -> list[str]:
        found = sorted({text for text in texts if text is not None})
        if len(found) > self.max_categories:
            raise DataError(
                f'text column "{name}" has {len(found)} distinct values among the training rows',
                expected=f"at most {self.max_categories} (options.max_categories)",
                next_step='leave it out, read it as a source of modality "language", '
                "or raise options.max_categories; if it should hold numbers, correct the rows that do not",
            )
        return found


def _is_text(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "OUT"


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    """An object array of texts, None = missing. Numbers are written as people write codes: 3.0 is "3"."""
    if _is_text(values):
        return np.asarray(values, dtype=object)
    return np.array([None if np.isnan(value) else _code(float(value)) for value in values], dtype=object)


def _code(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _with_unknown(categories: list[str]) -> list[str]:
    return categories if UNKNOWN in categories else [*categories, UNKNOWN]


def _one_hot(texts: NDArray[Any], categories: list[str]) -> Floats:
    columns = _with_unknown(categories)
    place = {category: index for index, category in enumerate(columns)}
    values = np.zeros((len(texts), len(columns)), dtype=np.float32)
    for row, text in enumerate(texts):
        if text is None:
            values[row] = np.nan
        else:
            values[row, place.get(text, place[UNKNOWN])] = 1
    return values


def _numbers(name: str, values: NDArray[Any]) -> Floats:
    if _is_text(values):
        texts = [text for text in values if text is not None]
        if texts:
            raise DataError(f'column "{name}" holds texts in {len(texts)} rows', expected="numbers, as in training")
        return np.full(len(values), np.nan, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        large = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)
    if len(large):
        raise DataError(
            f'column "{name}" holds {len(large)} numbers that are infinite or too large',
            got=", ".join(f"{value:g}" for value in values[large[:3]]),
            expected="at most 3.4e38 in size",
            next_step="correct them, or empty them where they mean that nothing was measured",
        )
    return values.astype(np.float32)


def _refuse_twins(names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise DataError(
            f"{len(twins)} encoded columns have the same name as another",
            expected='no column named as the category "column=category" of another',
            next_step="rename the column, or put it into a source of its own",
        )
