"""Encoding a source, or finding it encoded: <cache>/blocks/<fingerprint>/ holds block.safetensors and block.json."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from m3h.core.atomic import atomic_folder
from m3h.core.errors import DataError, FolderError, SettingError
from m3h.core.fingerprint import NUMERICS, canonical, file_fingerprint, fingerprint
from m3h.encoders.block import Block, Bools, Encoder, EncoderState
from m3h.encoders.options import make
from m3h.hospital.sources import Counts, SourceData
from m3h.study.spec import Source

#: Other versions of these may round otherwise, and a cached block must be the block that would be made now.
LIBRARIES = ("numpy", "pillow", "scikit-image", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Encoded:
    """A block, what its encoder learnt, what was read for it, and whether the cache had it."""

    block: Block
    state: EncoderState
    counts: Counts
    cached: bool


def encode(source: Source, read: Callable[[], SourceData], train: Bools, *, key: str, cache: Path | None) -> Encoded:
    """Fit a source's encoder on the samples where ``train`` is True and encode all samples.

    ``key`` stands for the content of what ``read`` returns; nothing is read if ``cache`` holds the block of this
    source, encoder, key and training part. A damaged entry is made anew. ``cache`` None switches caching off.
    Errors: those of :func:`m3h.encoders.options.make`; DataError naming the source, also if nothing of it reaches a
    training sample; FolderError if the cache cannot be written.
    """
    encoder = make(source)
    if cache is None:
        return _encode(source, encoder, read(), train)
    folder = cache / "blocks" / _address(source, encoder, train, key)
    found = _load(folder, source, len(train))
    if found is not None:
        return found
    _private(cache)
    made = _encode(source, encoder, read(), train)
    # whatever stands there could not be used
    with atomic_folder(folder, replace=folder.exists()) as fresh:
        _save(fresh, made)
    return made


def encode_new(source: Source, data: SourceData, state: EncoderState) -> Block:
    """Encode new samples with what the encoder learnt in training. Errors: as :func:`encode`."""
    encoder = make(source)
    with _naming(source):
        block: Block = encoder.transform(source.name, data, state)
    _check(block, data.samples)
    return block


def default_cache() -> Path:
    """The user's cache folder of m3h; it need not exist. Made on first writing, for its owner alone (mode 0700)."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "m3h"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "m3h"


def _encode(source: Source, encoder: Encoder[Any], data: SourceData, train: Bools) -> Encoded:
    with _naming(source):
        learnt = encoder.fit(data, train)
        # the same kinds of values whether fresh or from the cache
        state = EncoderState(json.loads(json.dumps(dict(learnt.facts))), learnt.arrays)
        block = encoder.transform(source.name, data, state)
        _check(block, len(train))
        if not block.present[train].any():
            broken = f"{len(block.unreadable)} images could not be read" if block.unreadable else None
            raise DataError(
                "nothing of it reaches a training sample",
                got=broken,
                expected="at least one value",
                next_step="compare its key, time and columns with the samples, or leave the source out",
            )
    return Encoded(block, state, data.counts, cached=False)


@contextlib.contextmanager
def _naming(source: Source) -> Iterator[None]:
    """Encoders do not know which source they work on; their errors get its name here."""
    try:
        yield
    except (DataError, SettingError) as error:
        if error.where is not None:
            raise
        raise type(error)(
            error.what,
            where=f'source "{source.name}"',
            got=error.got,
            expected=error.expected,
            next_step=error.next_step,
        ) from error


def _check(block: Block, samples: int) -> None:
    """What every block promises; an encoder that breaks it is wrong, whatever the data."""
    shape = (samples, len(block.names))
    if block.values.shape != shape or block.values.dtype != np.float32 or block.present.shape != (samples,):
        raise ValueError(
            f"block of {block.source}: {block.values.dtype} {block.values.shape}, expected float32 {shape}"
        )
    if len(set(block.names)) != len(block.names) or len(block.units) != len(block.names):
        raise ValueError(f"block of {block.source}: names must be unique and have a unit each")
    if np.isinf(block.values).any() or not np.isnan(block.values[~block.present]).all():
        raise ValueError(f"block of {block.source}: values must be finite or NaN, and NaN where the source is absent")


def _address(source: Source, encoder: Encoder[Any], train: Bools, key: str) -> str:
    return fingerprint(
        {
            "numerics": NUMERICS,
            "libraries": {name: version(name) for name in LIBRARIES},
            "source": source.name,
            "encoder": source.encoder_name,
            "version": encoder.version,
            "options": canonical(encoder),
            # weights and what runs them, of encoders that have any
            "identity": getattr(encoder, "identity", ""),
            "train": hashlib.sha256(np.packbits(train).tobytes()).hexdigest(),
            "samples": len(train),
            "key": key,
        }
    )


def _private(cache: Path) -> None:
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        # a folder that was there before may be open to others; what is written into it is not
        (cache / "blocks").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise FolderError(
            f"the cache folder cannot be made: {error.strerror or error}",
            where=str(cache),
            next_step="choose another place for the cache",
        ) from error


def _save(folder: Path, made: Encoded) -> None:
    block, state = made.block, made.state
    arrays = {"values": block.values, "present": block.present}
    arrays |= {f"state.{name}": array for name, array in state.arrays.items()}
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "block.safetensors")
    except SafetensorError as error:  # a full disk, in the library's own words
        raise OSError(str(error)) from error
    content = {
        "arrays": file_fingerprint(folder / "block.safetensors"),
        "modality": block.modality,
        "names": block.names,
        "units": block.units,
        "unreadable": block.unreadable,
        "facts": state.facts,
        "counts": asdict(made.counts),
    }
    text = json.dumps({"content": content, "fingerprint": fingerprint(content)}, indent=1, sort_keys=True)
    (folder / "block.json").write_text(text + "\n", encoding="utf-8")


def _load(folder: Path, source: Source, samples: int) -> Encoded | None:
    """What the folder holds; None if it is not there, or not whole."""
    try:
        entry = json.loads((folder / "block.json").read_text(encoding="utf-8"))
        content = entry["content"]
        if entry["fingerprint"] != fingerprint(content):
            return None
        if content["arrays"] != file_fingerprint(folder / "block.safetensors"):
            return None
        arrays = load_file(folder / "block.safetensors")
        block = Block(
            source.name,
            content["modality"],
            arrays.pop("values"),
            arrays.pop("present"),
            tuple(content["names"]),
            tuple(content["units"]),
            tuple(content["unreadable"]),
        )
        _check(block, samples)
        state = EncoderState(content["facts"], {name.removeprefix("state."): array for name, array in arrays.items()})
        return Encoded(block, state, Counts(**content["counts"]), cached=True)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
