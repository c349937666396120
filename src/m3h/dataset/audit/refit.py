"""Whether what a model learned before its weights, scalers and encoders, follows from its training rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.fingerprint import canonical
from m3h.dataset.audit.alarms import alarm
from m3h.dataset.dataset import Dataset, Rows
from m3h.dataset.scale import Scaler
from m3h.dataset.split import folds
from m3h.encoders.block import EncoderState

#: Largest difference that rounding explains, in deviations of a column; one row more of a million moves a mean by more.
ROUNDING = 1e-6
#: The same for what encoders learn, as a share of the largest number; another processor rounds otherwise.
LEARNED = 1e-4


def scaler_alarms(dataset: Dataset, scaler: Scaler, rows: Rows, where: str) -> Iterator[dict[str, Any]]:
    """An alarm for each source whose means or deviations are not those of ``rows``, the training rows; it says which
    rows they do follow from, where these are the whole data set, a side or a fold. ``where`` names the network."""
    blocks = {name: dataset.blocks[name] for name in scaler.means if name in dataset.blocks}
    expected = Scaler.fit(blocks, rows)
    for name in scaler.means:
        if name not in blocks or not _same_width(scaler, expected, name):
            text = f'{where}: source "{name}" is not as wide as in the data, or not there; train the model again'
            yield alarm("scaler of other rows", text, [name], [], 0)
            continue
        moved = _moved(scaler, expected, name)
        if not (moved > ROUNDING).any():
            continue
        columns = [blocks[name].names[column] for column in np.flatnonzero(moved > ROUNDING)]
        origin = _origin(dataset, scaler, name)
        most = float(moved.max())
        size = "infinite" if np.isinf(most) else f"{most:.2g} deviations at most"
        text = (
            f'{where}: the scaling of source "{name}" does not follow from the training rows ({len(columns):,} of '
            f"{len(moved):,} columns differ, {size}){origin}; its scores cannot be trusted: train the model again"
        )
        yield alarm("scaler of other rows", text, [name], columns, most if np.isfinite(most) else 1e9)


def encoder_alarms(dataset: Dataset, states: Mapping[str, EncoderState]) -> Iterator[dict[str, Any]]:
    """An alarm for each encoder that did not learn what the training rows teach; ``dataset`` holds what they do."""
    for name, state in states.items():
        fresh = dataset.states.get(name)
        if fresh is not None and _equal(state, fresh):
            continue
        text = (
            f'source "{name}": what its encoder learned does not follow from the training rows; '
            "train the model again, without the cache"
        )
        yield alarm("encoder of other rows", text, [name], [], 1)


def side_alarms(dataset: Dataset, scored: NDArray[np.str_]) -> Iterator[dict[str, Any]]:
    """An alarm where ``scored``, ids of samples that predictions were tested on, are not of the test part."""
    patients = dataset.patients[np.isin(dataset.ids, scored) & (dataset.split == "train")]
    if len(patients):
        text = f"{len(np.unique(patients)):,} patients of the training part are among those it was tested on"
        yield alarm("tested on training rows", f"{text}; run it again", [], [], len(np.unique(patients)))
    unknown = int((~np.isin(scored, dataset.ids)).sum())
    if unknown:
        text = f"{unknown:,} samples it was tested on are not in the data; run it again"
        yield alarm("tested on unknown rows", text, [], [], unknown)


def _same_width(scaler: Scaler, other: Scaler, name: str) -> bool:
    return scaler.means[name].shape == other.means[name].shape == scaler.deviations[name].shape


def _moved(scaler: Scaler, other: Scaler, name: str) -> NDArray[np.float64]:
    """(column,): how far means and deviations lie apart, in deviations; infinite where one column is constant."""
    size = other.deviations[name]
    unit = np.where(size > 0, size, np.maximum(np.abs(other.means[name]), 1.0))
    apart = np.maximum(np.abs(scaler.means[name] - other.means[name]), np.abs(scaler.deviations[name] - size)) / unit
    return np.where((scaler.deviations[name] > 0) != (size > 0), np.inf, np.nan_to_num(apart, nan=np.inf))


def _origin(dataset: Dataset, scaler: Scaler, name: str) -> str:
    """Which rows the scaling of a source follows from, in words; "" where none of those tried."""
    block = {name: dataset.blocks[name]}
    for rows, words in _candidates(dataset):
        if not (_moved(scaler, Scaler.fit(block, rows), name) > ROUNDING).any():
            return f", but from {words}"
    return ""


def _candidates(dataset: Dataset) -> Iterator[tuple[Rows, str]]:
    yield np.arange(dataset.samples), "training and test rows together"
    yield dataset.test_rows, "the test rows"
    yield dataset.train_rows, "the whole training part"
    patients = len(np.unique(dataset.patients[dataset.train_rows]))
    for number in (5, 3, 10):
        if number > patients:
            continue
        parts = folds(dataset.patients, dataset.train_rows, number, dataset.seed)
        for part in parts:
            yield np.setdiff1d(dataset.train_rows, part), f"the training rows without one of {number} folds"
            yield part, f"one of {number} folds"


def _equal(state: EncoderState, other: EncoderState) -> bool:
    if canonical(state.facts) != canonical(other.facts) or sorted(state.arrays) != sorted(other.arrays):
        return False
    return all(_close(array, other.arrays[name]) for name, array in state.arrays.items())


def _close(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    if not np.issubdtype(one.dtype, np.floating):
        return bool((one == other).all())
    return bool(np.allclose(one, other, rtol=0, atol=LEARNED * max(float(np.abs(other).max(initial=0)), 1e-12)))
