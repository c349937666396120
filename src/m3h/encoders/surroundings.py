"""What is around an encoder and no option of it: where weights lie, where embeddings are kept, the device, and who is
told of progress.

These differ from machine to machine, so they are no part of a study or of what an encoder has learnt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: Called with what goes on, in words, and the share of it that is done, 0 to 1.
Told = Callable[[str, float | None], None]
Device = Literal["cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Surroundings:
    """``weights``: a folder that pretrained weights are looked for in, before the user's cache folder; ``embeddings``:
    the folder of the cache of embeddings, None for none; ``memory``: embeddings kept as long as the surroundings;
    ``device``: where pretrained networks run."""

    weights: Path | None = None
    embeddings: Path | None = None
    memory: dict[tuple[str, bytes], NDArray[np.float32]] | None = None
    device: Device = "cpu"
    told: Told | None = None


_NOW: ContextVar[Surroundings] = ContextVar("surroundings", default=Surroundings())  # noqa: B039  # it is frozen


def now() -> Surroundings:
    """The surroundings of whoever calls."""
    return _NOW.get()


@contextlib.contextmanager
def around(**changes: Any) -> Iterator[None]:
    """The surroundings with these fields changed, for the time of the block; a field given as None stays as it is."""
    given = {name: value for name, value in changes.items() if value is not None}
    token = _NOW.set(replace(_NOW.get(), **given))
    try:
        yield
    finally:
        _NOW.reset(token)
