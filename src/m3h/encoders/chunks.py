"""Notes cut into pieces that a transformer can read, and how much each note weighs.

Two profiles. ``strict``: everything is read, over-long lines are cut, weights are positive and grow with time.
``haim``: as the authors of HAIM-MIMIC-MM computed their published file, its mistakes included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Profile = Literal["strict", "haim"]
#: Token ids.
Chunk = tuple[int, ...]
#: A chunk as it is kept: of the millions of a hospital, a third of the memory.
Ids = NDArray[np.int32]


def split_strict(lines: Sequence[Sequence[int]], limit: int) -> list[Chunk]:
    """The token ids of a note's lines as chunks of at most ``limit`` tokens, lines kept whole where they fit.

    A note that fits is one chunk. Otherwise lines are added up, and the one that would go beyond the limit begins the
    next chunk; a line longer than the limit is cut every ``limit`` tokens first. Nothing is lost; a note without any
    token has no chunk.
    """
    if sum(map(len, lines)) <= limit:
        whole = tuple(token for line in lines for token in line)
        return [whole] if whole else []
    pieces = [line[at : at + limit] for line in lines for at in range(0, len(line), limit)]
    chunks, rest = _filled(pieces, limit)
    return [chunk for chunk in [*chunks, rest] if chunk]


def split_haim(lines: Sequence[Sequence[int]], limit: int) -> list[Chunk]:
    """As :func:`split_strict`, with three mistakes: what remains after the last full chunk is lost, a first line beyond
    the limit leaves an empty chunk before it, and later lines beyond it give chunks that no model can read."""
    if sum(map(len, lines)) <= limit:
        return [tuple(token for line in lines for token in line)]
    return _filled(lines, limit)[0]


def _filled(lines: Sequence[Sequence[int]], limit: int) -> tuple[list[Chunk], Chunk]:
    """Chunks that were full, and what remains."""
    chunks: list[Chunk] = []
    current: list[int] = []
    for line in lines:
        if len(current) + len(line) > limit:
            chunks.append(tuple(current))
            current = list(line)
        else:
            current += line
    return chunks, tuple(current)


def weights_strict(hours: Sequence[float]) -> NDArray[np.float64]:
    """Weight of each note of a sample: 1 + the hours since its first note. Without times all weigh the same."""
    times = np.asarray(hours, dtype=np.float64)
    if np.isnan(times).any():
        return np.ones(len(times))
    weights: NDArray[np.float64] = np.maximum(times - times.min(initial=np.inf), 0.0) + 1.0
    return weights


def weights_haim(hours: Sequence[float], origin: float) -> NDArray[np.float64]:
    """Weight of each note of a sample: the hours since ``origin``, below 0 for notes before it."""
    return np.nan_to_num(np.asarray(hours, dtype=np.float64) - origin, nan=1.0)


def images_strict(times: Sequence[float]) -> NDArray[np.float64]:
    """Weight of each image of a sample: from 0.001 for the oldest to 1.001 for the newest, linear in time; all the same
    where there are no times or all are equal."""
    at = np.asarray(times, dtype=np.float64)
    span = float(np.ptp(at)) if len(at) else 0.0
    if np.isnan(at).any() or span == 0:
        return np.ones(len(at))
    weights: NDArray[np.float64] = (at - at.min()) / span + 1e-3
    return weights


def images_haim(times: Sequence[float]) -> NDArray[np.float64]:
    """As :func:`images_strict`, from 0 to 1; all 0 where there is one moment only."""
    at = np.asarray(times, dtype=np.float64)
    span = float(np.ptp(at)) if len(at) else 0.0
    if np.isnan(at).any() or span == 0:
        return np.zeros(len(at))
    weights: NDArray[np.float64] = (at - at.min()) / span
    return weights


def weighted_mean(rows: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Mean of ``rows`` (row, width) by weight, in float64, in their order; zeros where the weights add up to 0."""
    total = float(np.add.accumulate(weights)[-1]) if len(weights) else 0.0
    if total == 0:
        return np.zeros(rows.shape[1], dtype=np.float32)
    # one after the other: a library's sum over many rows may pair them by their number
    summed = np.zeros(rows.shape[1], dtype=np.float64)
    for row, weight in zip(rows, weights, strict=True):
        summed += weight * row.astype(np.float64)
    return (summed / total).astype(np.float32)
