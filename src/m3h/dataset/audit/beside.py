"""Amounts that an input gives away together with what stands beside it in the samples table, though no source reads it:
the whole length of a stay and the hours of it so far give the days that are left."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.dataset.audit.questions import questions
from m3h.dataset.audit.screen import best_pair, single
from m3h.dataset.audit.table import Table
from m3h.dataset.audit.telling import MODALITIES, STRONG, too_good
from m3h.dataset.dataset import Dataset
from m3h.hospital.samples import SampleTable
from m3h.hospital.tables import Tables
from m3h.hospital.tabular import chosen
from m3h.study.spec import Study

#: Columns of the samples table that are tried; codes for sexes and wards come first in tables with more.
MOST = 50


def told_beside(tables: Tables, study: Study, samples: SampleTable, dataset: Dataset) -> list[dict[str, Any]]:
    """Inputs that answer an amount by a weighted sum with an unread number, or time, of the samples table.

    Each with task, source, column, ``beside`` (the other column) and ``correlation`` for patients it was not fitted
    on. A column that answers the question by itself is how labels are made, and no clue.
    """
    unread = _unread(tables, study, samples)
    inputs = Table.of(dataset, MODALITIES)
    if not unread or not len(inputs.names):
        return []
    table = Table(
        (*inputs.parts, np.stack(list(unread.values()), axis=1).astype(np.float32)),
        (*inputs.names, *unread),
        (*inputs.sources, *("" for _ in unread)),
    )
    first = len(inputs.names)
    found: list[dict[str, Any]] = []
    for question in questions(dataset):
        if question.kind != "amount":
            continue
        allowed = inputs.allowed(question)
        alone = single(table, np.concatenate([allowed, np.arange(first, len(table.names))]), question).values
        others = np.flatnonzero(alone[len(allowed) :] < STRONG["amount"]) + first
        pair = best_pair(table.standard(np.concatenate([allowed, others]), question), question.kind)
        column, beside = min(pair.columns), max(pair.columns)
        rows = (len(question.rows), len(question.rows))
        rival = float(np.max(alone[alone < STRONG["amount"]], initial=0.0))
        if column < first <= beside and too_good(pair.score, rival, question, rows):
            found.append(
                {
                    "task": question.task,
                    "source": table.sources[column],
                    "column": table.names[column],
                    "beside": table.names[beside],
                    "correlation": round(pair.score, 4),
                }
            )
    return found


def _unread(tables: Tables, study: Study, samples: SampleTable) -> dict[str, NDArray[np.float64]]:
    """Numbers of the samples table that no source reads and no label is, and its times in hours after the sample's."""
    spec = study.samples
    used = {spec.id, spec.patient, spec.time, spec.split, *samples.keys}
    used |= {task.column or task.name for task in study.tasks}
    for source in study.sources:
        if not source.own_table:
            used |= {*(chosen(tables, source) if source.read_as == "tabular" else ()), source.column}
    found: dict[str, NDArray[np.float64]] = {}
    for name in samples.frame.columns:
        if name in used or len(found) == MOST:
            continue
        values = _number(samples, samples.frame[name])
        if values is not None and np.isfinite(values).sum() >= 20:
            found[name] = values
    return found


def _number(samples: SampleTable, series: pl.Series) -> NDArray[np.float64] | None:
    if series.dtype in (pl.Date, pl.Datetime):
        if samples.time_kind != "timestamp" or samples.time is None or samples.zoned:
            return None
        micro = series.cast(pl.Datetime("us")).dt.replace_time_zone(None).dt.epoch("us")
        hours: NDArray[np.float64] = micro.cast(pl.Float64).fill_null(float("nan")).to_numpy() / 3.6e9 - samples.time
        return hours
    if not (series.dtype.is_numeric() or series.dtype == pl.String):
        return None
    number = series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(np.abs(number) < 1e30, number, np.nan)
