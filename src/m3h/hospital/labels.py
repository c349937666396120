"""Labels of the samples. Empty is unlabelled, never negative."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import DataError, nearest
from m3h.hospital.codes import CodedLabels, read_codes
from m3h.hospital.samples import SampleTable
from m3h.hospital.tables import Tables
from m3h.hospital.values import as_text, floats, is_number, named, numbers, objects, parsed, remedy, shown
from m3h.study.spec import Study
from m3h.study.task import Task

Floats = NDArray[np.float64]

_YES_NO = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}


@dataclass(frozen=True)
class RawLabels:
    """A task's labels as read. ``numbers`` float64 (sample,), NaN = unlabelled: binary 0 or 1, regressions, 0 for
    every sample of a clustering; ``texts`` object (sample,), None = unlabelled: multiclass. The other is None."""

    task: Task
    numbers: Floats | None = None
    texts: NDArray[Any] | None = None


@dataclass(frozen=True)
class EncodedLabels:
    """``values`` float64 (sample,), NaN = unlabelled; multiclass holds the index into ``classes``.

    ``classes`` are the declared ones, else those of the training part, sorted (none for binary without declaration,
    regression and clustering). ``unknown_class`` counts samples of a class that the training part does not have; they
    are unlabelled.
    """

    values: Floats
    classes: tuple[str, ...] = ()
    unknown_class: int = 0


def read_all(tables: Tables, study: Study, samples: SampleTable) -> tuple[tuple[RawLabels, ...], CodedLabels]:
    """The labels of all tasks in the study's order, and what those by diagnosis codes were read from.

    Errors: as :func:`read_labels` and :func:`m3h.hospital.codes.read_codes`.
    """
    coded = read_codes(tables, study, samples)
    raw = (
        RawLabels(task, numbers=coded.values[task.name]) if task.codes else read_labels(samples, task)
        for task in study.tasks
    )
    return tuple(raw), coded


def read_labels(samples: SampleTable, task: Task) -> RawLabels:
    """The labels of a task that stand in a column, or of a clustering. Errors: DataError for a missing column and for
    values that do not fit the kind, naming rows and at most three values."""
    if task.kind == "clustering":
        return RawLabels(task, numbers=np.zeros(len(samples)))
    where = f'task "{task.name}"'
    column = task.column or task.name
    if column not in samples.frame.columns:
        raise DataError(
            f'no column "{column}" in the samples table{nearest(column, samples.frame.columns)}', where=where
        )
    series = samples.frame[column]
    if not is_number(series) and series.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise DataError(f"{column} holds neither numbers nor texts", where=where, got=f"type {series.dtype}")
    readers: Mapping[str, Callable[[_Column], RawLabels]] = {
        "binary": _binary,
        "multiclass": _multiclass,
        "regression": _regression,
    }
    return readers[task.kind](_Column(task, column, where, series, as_text(series), samples.rows))


def encode(raw: RawLabels, train: NDArray[np.bool_]) -> EncodedLabels:
    """Labels as numbers; classes that the study does not declare are learned where ``train`` (sample,) is True."""
    if raw.texts is None:
        values = raw.numbers if raw.numbers is not None else np.full(len(train), np.nan)
        return EncodedLabels(values, raw.task.classes)
    known = np.array([text is not None for text in raw.texts])
    classes = raw.task.classes or tuple(sorted(set(raw.texts[train & known].tolist())))
    index = {name: float(number) for number, name in enumerate(classes)}
    values = np.array([index.get(text, np.nan) for text in raw.texts])
    return EncodedLabels(values, classes, int((known & np.isnan(values)).sum()))


@dataclass(frozen=True)
class _Column:
    """A label column: as it stands and as texts."""

    task: Task
    name: str
    where: str
    series: pl.Series
    text: pl.Series
    rows: NDArray[np.int64]

    def refuse(self, wrong: pl.Series, expected: str, next_step: str | None = None) -> DataError:
        """The error for the rows where ``wrong`` is True."""
        rows = self.rows[wrong.to_numpy()]
        return DataError(
            f"{self.name}: {len(rows)} labels do not fit kind {self.task.kind} ({named(rows)})",
            where=self.where,
            got=shown(sorted(set(self.text.filter(wrong).to_list()))),
            expected=expected,
            next_step=next_step,
        )


def _binary(column: _Column) -> RawLabels:
    classes = column.task.classes
    # declared words are matched to the letter; without them true and false may be written in any case
    text = column.text if classes else column.text.str.to_lowercase()
    known = {classes[0]: 0.0, classes[1]: 1.0} if classes else _YES_NO
    wrong = text.is_not_null() & ~text.is_in(list(known)).fill_null(False)
    if wrong.any():
        raise _not_binary(column, wrong)
    values = np.array([np.nan if label is None else known[label] for label in text.to_list()])
    return RawLabels(column.task, numbers=values)


def _not_binary(column: _Column, wrong: pl.Series) -> DataError:
    if column.task.classes:
        return column.refuse(wrong, f"the declared classes {shown(column.task.classes)}; empty = unlabelled")
    words = sorted(set(column.text.drop_nulls().to_list()))
    if len(words) == 2:
        way_out = f"declare the negative, then the positive: classes = [{shown(words)}] or the other way round"
    else:
        way_out = "correct the column, or choose kind multiclass or regression"
    return column.refuse(wrong, "0 and 1, true and false, or two declared classes; empty = unlabelled", way_out)


def _multiclass(column: _Column) -> RawLabels:
    classes = column.task.classes
    if classes:
        wrong = column.text.is_not_null() & ~column.text.is_in(list(classes)).fill_null(False)
        if wrong.any():
            raise column.refuse(wrong, f"the declared classes {shown(classes)}; empty = unlabelled")
    elif _fractions(column.text).any():
        raise column.refuse(_fractions(column.text), "words or whole numbers", "choose kind regression")
    return RawLabels(column.task, texts=objects(column.text))


def _fractions(text: pl.Series) -> pl.Series:
    """Where a column of nothing but numbers is not whole."""
    found = text.cast(pl.Float64, strict=False)
    if found.null_count() > text.null_count():
        return pl.Series([False] * len(text), dtype=pl.Boolean)
    return (found.is_not_null() & (found != found.floor())).fill_null(False)


def _regression(column: _Column) -> RawLabels:
    if is_number(column.series):
        found = numbers(column.series)
    else:
        found = parsed(column.text)
        wrong = column.text.is_not_null() & found.is_null()
        if wrong.any():
            raise column.refuse(wrong, "numbers; empty = unlabelled", remedy(column.text.filter(wrong)))
        found = found.fill_nan(None)
    return RawLabels(
        column.task, numbers=floats(found, column.rows, f"{column.where}, {column.name}", "finite numbers")
    )
