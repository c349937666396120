"""Scaling: each column to mean 0 and deviation 1 over the rows that a network is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError, SettingError, nearest
from m3h.encoders.block import Block, Floats

#: Scaled values end here: one absurd measurement must not steer a batch.
LIMIT = 10.0

#: A deviation below this share of the mean is less than float32 can tell apart: the column is constant.
FLAT = 1e-7

#: Rows whose float64 copy exists at once; fixed, because partial sums are added in this order.
CHUNK = 4096


@dataclass(frozen=True)
class Scaler:
    """Mean and population deviation of each source's columns, float64 (width,); deviation 0 marks a constant column."""

    means: Mapping[str, NDArray[np.float64]]
    deviations: Mapping[str, NDArray[np.float64]]

    @staticmethod
    def fit(blocks: Mapping[str, Block], rows: NDArray[Any]) -> Scaler:
        """Learn from the given rows and no others, where the source is present and the value is not NaN.

        ``rows`` are indices or a mask over the samples; a row counts once, and their order does not matter.
        """
        means, deviations = {}, {}
        for name, block in blocks.items():
            means[name], deviations[name] = _moments(block, rows)
        return Scaler(means, deviations)

    def apply(self, block: Block) -> Floats:
        """The block of all samples, float32 (sample, width), between -10 and 10.

        NaN, absent sources and constant columns become 0, the mean. Errors: SettingError for a source that was not
        fitted, DataError if the block is not as wide as then.
        """
        if block.source not in self.means:
            raise SettingError(f'source "{block.source}" was not scaled in training{nearest(block.source, self.means)}')
        mean, deviation = self.means[block.source], self.deviations[block.source]
        if block.width != len(mean):
            raise DataError(
                "the block has another width than in training",
                where=f'source "{block.source}"',
                got=str(block.width),
                expected=str(len(mean)),
            )
        varies = deviation > 0
        divisor = np.where(varies, deviation, 1.0)
        out = np.zeros(block.values.shape, dtype=np.float32)
        for start in range(0, len(out), CHUNK):
            rows = slice(start, start + CHUNK)
            scaled = (block.values[rows].astype(np.float64) - mean) / divisor
            usable = ~np.isnan(scaled) & varies & block.present[rows, None]
            out[rows] = np.where(usable, np.clip(scaled, -LIMIT, LIMIT), 0.0)
        return out

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Everything the scaler knows, for a checkpoint."""
        means = {f"scale/mean/{name}": array for name, array in self.means.items()}
        return means | {f"scale/deviation/{name}": array for name, array in self.deviations.items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Scaler:
        """The scaler that :meth:`arrays` described; other arrays of the checkpoint are left alone."""
        found: dict[str, dict[str, NDArray[np.float64]]] = {"mean": {}, "deviation": {}}
        for key, array in arrays.items():
            if key.startswith("scale/"):
                _, kind, name = key.split("/", 2)
                found[kind][name] = np.asarray(array, dtype=np.float64)
        return Scaler(found["mean"], found["deviation"])


def _moments(block: Block, rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each column, in two passes: the second sums squares that are small."""
    chosen = np.zeros(len(block.values), dtype=bool)
    chosen[rows] = True
    chosen &= block.present
    count, total, squares = (np.zeros(block.width) for _ in range(3))
    for known, values in _known(block, chosen):
        count += known.sum(axis=0)
        total += np.where(known, values, 0.0).sum(axis=0)
    mean = total / np.maximum(count, 1)
    for known, values in _known(block, chosen):
        squares += np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    deviation = np.sqrt(squares / np.maximum(count, 1))
    return mean, np.where(deviation > FLAT * np.abs(mean), deviation, 0.0)


def _known(block: Block, chosen: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """The chosen rows some at a time: where there is a value, and the values as float64."""
    rows = np.flatnonzero(chosen)
    for start in range(0, len(rows), CHUNK):
        values = block.values[rows[start : start + CHUNK]].astype(np.float64)
        yield ~np.isnan(values), values
