"""Numbers that somebody has computed already, such as the embeddings of a model of one's own: taken as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from m3h.core.errors import DataError
from m3h.encoders.block import Block, Bools, EncoderState
from m3h.hospital.sources import TableColumns


@dataclass(frozen=True)
class Columns:
    """Each column of the source is a column of the block; a sample is present if any has a value.

    ``columns`` of the source may end in ``*``: all columns that begin so, in the order of the table. Learns nothing but
    their names. Errors: DataError for texts, and for numbers beyond float32.
    """

    version: ClassVar[int] = 1
    modality: ClassVar[str] = "tabular"

    def fit(self, data: TableColumns, rows: Bools) -> EncoderState:
        """Remember which columns there are."""
        texts = [name for name, values in data.columns.items() if values.dtype == object]
        if texts:
            raise DataError(
                f"{len(texts)} columns hold texts: {', '.join(texts[:3])}", expected="numbers, such as an embedding"
            )
        return EncoderState({"columns": list(data.columns)})

    def transform(self, source: str, data: TableColumns, state: EncoderState) -> Block:
        """The columns of training; those that new patients lack altogether are missing."""
        names: list[str] = list(state.facts["columns"])
        lacking = [name for name in names if name not in data.columns]
        if lacking and data.columns:
            raise DataError(
                f"{len(lacking)} of {len(names)} columns are not there: {', '.join(lacking[:3])}",
                where=f'source "{source}"',
                expected="the columns that the model was trained on",
            )
        values = np.full((data.samples, len(names)), np.nan, dtype=np.float32)
        for place, name in enumerate(names):
            if data.columns:
                with np.errstate(over="ignore"):
                    values[:, place] = data.columns[name]
        if np.isinf(values).any():
            raise DataError("numbers beyond 3.4e38", where=f'source "{source}"', expected="numbers that float32 holds")
        present = np.asarray(~np.isnan(values).all(axis=1))
        return Block(source, self.modality, values, present, tuple(names), ("",) * len(names))


class SeriesColumns(Columns):
    """Columns of the modality timeseries."""

    modality = "timeseries"


class LanguageColumns(Columns):
    """Columns of the modality language."""

    modality = "language"


class VisionColumns(Columns):
    """Columns of the modality vision."""

    modality = "vision"
