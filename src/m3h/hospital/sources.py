"""What the sources of each modality look like once aligned with the samples; encoders read these and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Counts:
    """What was read of a source and what was left out, in rows of its table.

    ``rows`` in the table; ``unmatched`` belong to no sample; ``missing_time`` and ``later`` (than the sample's time,
    or not yet available then) never reach an encoder; ``missing_value`` are empty; ``used`` reach the encoder;
    ``unmapped`` are of signals that the study's ``signals`` map leaves out. A row that several samples share counts
    once for each of them in all but ``rows`` and ``unmatched``.
    """

    rows: int = 0
    unmatched: int = 0
    missing_time: int = 0
    later: int = 0
    missing_value: int = 0
    used: int = 0
    unmapped: int = 0


@dataclass(frozen=True)
class TableColumns:
    """A tabular source: per column either float64 numbers (NaN = missing) or texts (None = missing), per sample."""

    columns: dict[str, NDArray[Any]]
    counts: Counts = field(default_factory=Counts)
    rows: int = 0

    @property
    def samples(self) -> int:
        """Number of samples; ``rows`` where there is no column."""
        return len(next(iter(self.columns.values()))) if self.columns else self.rows


@dataclass(frozen=True)
class EventBatch:
    """Events of whole samples, ordered by (sample, signal, time, further keys, value).

    ``sample`` int64 row of the sample, ``signal`` int32 index into ``Events.signals``, ``time`` float64 (see
    ``Events.relative``), ``value`` float64, finite.
    """

    sample: NDArray[np.int64]
    signal: NDArray[np.int32]
    time: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class Events:
    """A time-series source.

    ``signals`` are the sorted names of all signals that reach a sample (or those of the study's ``signals`` map, in
    its order). ``batches()`` streams the events, each sample's in one batch, samples ascending in each; it may be
    called again. ``signals_of(rows)`` tells which signals occur among the samples where ``rows`` is True.
    ``relative``: times are those of the event minus those of the sample (never above 0), in ``time_unit``; otherwise
    the samples have no time and times are as recorded.
    """

    samples: int
    signals: tuple[str, ...]
    time_unit: str
    relative: bool
    batches: Callable[[], Iterator[EventBatch]]
    signals_of: Callable[[NDArray[np.bool_]], tuple[str, ...]]
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class Texts:
    """A language source: for each sample its texts in order of time (empty tuple = absent), and their times."""

    texts: tuple[tuple[str, ...], ...]
    times: tuple[tuple[float, ...], ...]
    counts: Counts = field(default_factory=Counts)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.texts)


@dataclass(frozen=True)
class Images:
    """A vision source: for each sample the files of its images in order of time, and their times."""

    paths: tuple[tuple[Path, ...], ...]
    times: tuple[tuple[float, ...], ...]
    counts: Counts = field(default_factory=Counts)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.paths)


SourceData = TableColumns | Events | Texts | Images
