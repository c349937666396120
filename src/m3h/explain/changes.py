"""Ways in which what is known of patients changes between hospitals, devices and years: each makes a changed dataset.

A change touches the rows it is asked for and no label; all other rows stay as they are, so that a model may still be
trained on them. The same dataset and rows give the same numbers, and a larger amount of the same change changes what a
smaller one did and more: noise is the same noise louder, what was missing stays missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.core.errors import SettingError, nearest
from m3h.dataset.dataset import Dataset, Rows
from m3h.dataset.scale import Scaler
from m3h.encoders.block import Block, Bools

#: Modalities whose columns are numbers that someone measured.
MEASURED = ("tabular", "timeseries")
NOISE = (0.1, 0.25, 0.5, 1.0)
FACTORS = (10.0, 18.0)
OFFSETS = (1.0, 3.0)
HOLES = (0.1, 0.3, 0.5, 0.7, 0.9)
#: Statistics of a signal (m3h.encoders.timeseries) that have no part of its unit.
UNITLESS = ("npeaks", "time_since_last", "count")

Floats = NDArray[np.float64]


class Change(Protocol):
    """A change of some rows: its ``name`` in tables, and its ``amount``, in the unit that the class says."""

    @property
    def name(self) -> str:
        """What is changed."""

    @property
    def amount(self) -> float:
        """By how much."""

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The dataset with these rows changed."""


@dataclass(frozen=True)
class Absent:
    """A source is missing altogether. Amount: 1."""

    source: str

    @property
    def name(self) -> str:
        """What is changed."""
        return f"{self.source} absent"

    @property
    def amount(self) -> float:
        """All of it."""
        return 1.0

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The dataset without the source in these rows. Errors: SettingError for an unknown source."""
        block = _block(dataset, self.source)
        gone = np.zeros(block.values.shape, bool)
        gone[rows] = True
        return _with(dataset, {self.source: without(block, gone)})


@dataclass(frozen=True)
class Noise:
    """Gaussian noise on every measured continuous value of tables and time series. Amount: training deviations."""

    deviations: float

    @property
    def name(self) -> str:
        """What is changed."""
        return "noise"

    @property
    def amount(self) -> float:
        """Training deviations."""
        return self.deviations

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The noisy dataset. Errors: SettingError without training rows, whose deviations are the unit."""
        changed = {}
        for name, block in _measured(dataset).items():
            spread = np.where(continuous(dataset, name), _deviations(dataset, name), 0.0)
            noise = seeds.generator(dataset.seed, "noise", name).standard_normal(block.values.shape)
            changed[name] = _replaced(block, rows, block.values[rows] + self.deviations * spread * noise[rows])
        return _with(dataset, changed)


@dataclass(frozen=True)
class Factor:
    """One column in another unit: 18 makes mg/dL of a glucose in mmol/L. Amount: the factor."""

    source: str
    column: str
    factor: float

    @property
    def name(self) -> str:
        """What is changed."""
        return f"{self.source}: {self.column} times"

    @property
    def amount(self) -> float:
        """The factor."""
        return self.factor

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The dataset with the column multiplied. Errors: SettingError for an unknown source or column."""
        return _shifted(dataset, rows, self.source, self.column, self.factor, 0.0)


@dataclass(frozen=True)
class Unit:
    """A signal of a time series in another unit, in all of its statistics. Amount: the factor."""

    source: str
    signal: str
    factor: float

    @property
    def name(self) -> str:
        """What is changed."""
        return f"{self.source}: {self.signal} times"

    @property
    def amount(self) -> float:
        """The factor."""
        return self.factor

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The dataset with the signal's statistics multiplied, its variance by the square of the factor, counts and
        times not at all. Errors: SettingError for an unknown source or signal."""
        block = _block(dataset, self.source)
        parts = [name.rpartition(".") for name in block.names]
        own = [(number, statistic) for number, (signal, _, statistic) in enumerate(parts) if signal == self.signal]
        if not own:
            signals = dict.fromkeys(signal for signal, _, _ in parts)
            raise SettingError(f'source "{self.source}" has no signal "{self.signal}"{nearest(self.signal, signals)}')
        values = block.values[rows].astype(np.float64)
        for number, statistic in own:
            if statistic not in UNITLESS:
                values[:, number] *= self.factor**2 if statistic == "variance" else self.factor
        return _with(dataset, {self.source: _replaced(block, rows, values)})


@dataclass(frozen=True)
class Offset:
    """One column is read too high (or too low) by the same amount in everybody. Amount: training deviations."""

    source: str
    column: str
    deviations: float

    @property
    def name(self) -> str:
        """What is changed."""
        return f"{self.source}: {self.column} plus"

    @property
    def amount(self) -> float:
        """Training deviations."""
        return self.deviations

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The shifted dataset. Errors: SettingError for an unknown source or column, or without training rows."""
        number = _column(_block(dataset, self.source), self.column)
        offset = self.deviations * float(_deviations(dataset, self.source)[number])
        return _shifted(dataset, rows, self.source, self.column, 1.0, offset)


@dataclass(frozen=True)
class Holes:
    """Values of tables and time series go missing at random, each column for itself. Amount: the share, 0 to 1."""

    share: float

    @property
    def name(self) -> str:
        """What is changed."""
        return "values missing"

    @property
    def amount(self) -> float:
        """The share."""
        return self.share

    def apply(self, dataset: Dataset, rows: Rows) -> Dataset:
        """The dataset with holes; a source of which a row has nothing left is absent there."""
        changed = {}
        for name, block in _measured(dataset).items():
            gone = np.zeros(block.values.shape, bool)
            gone[rows] = seeds.generator(dataset.seed, "holes", name).random(block.values.shape)[rows] < self.share
            changed[name] = without(block, gone)
        return _with(dataset, changed)


def usual_changes(
    dataset: Dataset, sources: Sequence[str], columns: Sequence[tuple[str, str]] = ()
) -> tuple[Change, ...]:
    """Every source missing, noise, holes, and each of ``columns`` (source, column), the most important ones, in wrong
    units and shifted. Errors: SettingError for an unknown source or column."""
    for source in sources:
        _block(dataset, source)
    for source, column in columns:
        _column(_block(dataset, source), column)
    return (
        *(Absent(source) for source in sources),
        *(Noise(amount) for amount in NOISE),
        *(Holes(share) for share in HOLES),
        *(Factor(source, column, factor) for source, column in columns for factor in FACTORS),
        *(Offset(source, column, amount) for source, column in columns for amount in OFFSETS),
    )


def signal_of(block: Block, column: str) -> str:
    """The signal that a column of a time series is a statistic of; any other column stands for itself."""
    signal = column.rpartition(".")[0]
    return signal if signal and block.modality == "timeseries" else column


def without(block: Block, gone: Bools) -> Block:
    """The block without some values (sample, column); where nothing is left the source is absent, as encoders say."""
    values = np.where(gone, np.float32(np.nan), block.values)
    emptied = gone.any(1) & np.isnan(values).all(1)
    return replace(block, values=values, present=block.present & ~emptied)


def continuous(dataset: Dataset, source: str) -> Bools:
    """The columns (width,) of a source that have more than two values among the training rows: no flags and no
    categories spread over columns."""
    values = dataset.blocks[source].values[dataset.train_rows]
    return np.array([len(np.unique(column[~np.isnan(column)])) > 2 for column in values.T], bool)


def _shifted(dataset: Dataset, rows: Rows, source: str, column: str, factor: float, offset: float) -> Dataset:
    block = _block(dataset, source)
    number, values = _column(block, column), block.values[rows].astype(np.float64)
    values[:, number] = values[:, number] * factor + offset
    return _with(dataset, {source: _replaced(block, rows, values)})


def _replaced(block: Block, rows: Rows, values: NDArray[np.floating]) -> Block:
    """The block with other values of some rows, no number beyond float32."""
    most = np.finfo(np.float32).max
    changed = block.values.copy()
    changed[rows] = np.clip(values, -most, most)
    return replace(block, values=changed)


def _with(dataset: Dataset, blocks: Mapping[str, Block]) -> Dataset:
    return replace(dataset, blocks={**dataset.blocks, **blocks})


def _measured(dataset: Dataset) -> dict[str, Block]:
    return {name: block for name, block in dataset.blocks.items() if block.modality in MEASURED}


def _deviations(dataset: Dataset, source: str) -> Floats:
    if not len(dataset.train_rows):
        raise SettingError(
            "deviations are those of training rows, and there are none",
            where=dataset.name,
            next_step="change the rows of the study that the model was trained on",
        )
    return Scaler.fit({source: dataset.blocks[source]}, dataset.train_rows).deviations[source]


def _block(dataset: Dataset, source: str) -> Block:
    if source not in dataset.blocks:
        raise SettingError(f'unknown source "{source}"{nearest(source, dataset.blocks)}')
    return dataset.blocks[source]


def _column(block: Block, column: str) -> int:
    if column not in block.names:
        raise SettingError(f'source "{block.source}" has no column "{column}"{nearest(column, block.names)}')
    return block.names.index(column)
