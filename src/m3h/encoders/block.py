"""What an encoder is, and the block of numbers that it makes of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Block:
    """A source encoded.

    ``values`` float32 (sample, width), NaN = not measured; ``present`` bool (sample,), False where the source has
    nothing for the sample (its row is all NaN); ``names`` and ``units`` of the columns; ``unreadable`` the rows
    whose input was there but could not be read.
    """

    source: str
    modality: str
    values: Floats
    present: Bools
    names: tuple[str, ...]
    units: tuple[str, ...]
    unreadable: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])


@dataclass(frozen=True)
class EncoderState:
    """What an encoder learned from the rows it was fitted on: JSON facts and arrays; saved with a model."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


Data = TypeVar("Data", contravariant=True)


class Encoder(Protocol, Generic[Data]):
    """A frozen dataclass whose fields are its options (``options = {...}`` in a study).

    Data is what the modality's sources give (m3h.hospital.sources): TableColumns, Events, Texts or Images.
    ``version`` is raised whenever the same input would give other numbers; it is part of the cache's key.
    """

    version: int

    def fit(self, data: Data, rows: Bools) -> EncoderState:
        """Learn without labels from the samples where ``rows`` is True, and from nothing else."""

    def transform(self, source: str, data: Data, state: EncoderState) -> Block:
        """Encode all samples of ``data``."""
