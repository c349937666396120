"""A dataset in a folder: safetensors, Parquet and JSON, written whole or not at all, mapped into memory on reading."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from m3h.core.atomic import atomic_folder
from m3h.core.errors import FolderError
from m3h.core.fingerprint import file_fingerprint
from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block, EncoderState
from m3h.study.task import Task

ARRAYS, SAMPLES, FACTS = "blocks.safetensors", "samples.parquet", "dataset.json"
FORMAT = 1

Arrays = dict[str, NDArray[Any]]
_TYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}


def save(dataset: Dataset, folder: Path, *, replace: bool = False) -> None:
    """Write ``dataset`` into ``folder``; equal datasets give equal bytes.

    A folder that is there already is kept unless ``replace``. Errors: FolderError where it cannot be written.
    """
    with atomic_folder(folder, replace=replace) as place:
        try:
            save_file(_arrays(dataset), place / ARRAYS)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        _write_samples(dataset, place / SAMPLES)
        content = _facts(dataset) | {"files": {name: file_fingerprint(place / name) for name in (ARRAYS, SAMPLES)}}
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
        (place / FACTS).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> Dataset:
    """Read what :func:`save` wrote. Block values and labels are mapped, not copied; writing into them changes no file.

    Errors: FolderError if the folder is not there, is of another version, or is damaged.
    """
    try:
        content = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FolderError(
            "no dataset here", where=str(folder), expected=f"a folder with {FACTS}, {ARRAYS} and {SAMPLES}"
        ) from error
    except (OSError, ValueError) as error:
        raise _damaged(folder, FACTS) from error
    try:
        if content["format"] != FORMAT:
            raise FolderError(
                "a dataset of another version", where=str(folder), got=f"format {content['format']}", next_step=_AGAIN
            )
        for name, expected in content["files"].items():
            if not (folder / name).is_file() or file_fingerprint(folder / name) != expected:
                raise _damaged(folder, name)
        return _assemble(content, _mapped(folder / ARRAYS), _read_samples(folder / SAMPLES))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(folder, FACTS) from error


_AGAIN = "build the dataset again from its study"


def _damaged(folder: Path, name: str) -> FolderError:
    return FolderError(f"{name} is damaged or missing", where=str(folder), next_step=_AGAIN)


def _arrays(dataset: Dataset) -> Arrays:
    arrays: Arrays = {}
    for name, block in dataset.blocks.items():
        arrays[f"values/{name}"] = block.values
        arrays[f"present/{name}"] = block.present
    for name, labels in dataset.labels.items():
        arrays[f"labels/{name}"] = labels.values
    for number, state in enumerate(dataset.states.values()):
        arrays |= {f"state/{number}/{key}": value for key, value in state.arrays.items()}
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def _facts(dataset: Dataset) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": dataset.name,
        "title": dataset.title,
        "seed": dataset.seed,
        "fingerprint": dataset.fingerprint,
        "blocks": [
            {
                "source": name,
                "modality": block.modality,
                "names": list(block.names),
                "units": list(block.units),
                "unreadable": [int(row) for row in block.unreadable],
            }
            for name, block in dataset.blocks.items()
        ],
        "labels": [
            {
                "task": asdict(labels.task),
                "classes": list(labels.classes),
                "unknown_class": labels.unknown_class,
                "unusable": labels.unusable,
            }
            for labels in dataset.labels.values()
        ],
        "subgroups": list(dataset.subgroups),
        "states": [
            {"source": name, "facts": dict(state.facts), "arrays": list(state.arrays)}
            for name, state in dataset.states.items()
        ],
        "recipe": dict(dataset.recipe),
        "facts": dict(dataset.facts),
    }


def _assemble(content: Mapping[str, Any], arrays: Arrays, samples: Mapping[str, NDArray[Any]]) -> Dataset:
    return Dataset(
        name=content["name"],
        title=content["title"],
        seed=content["seed"],
        ids=samples["id"],
        patients=samples["patient"],
        split=samples["split"],
        blocks={part["source"]: _block(part, arrays) for part in content["blocks"]},
        labels={part["task"]["name"]: _labels(part, arrays) for part in content["labels"]},
        subgroups={name: samples[f"subgroup {name}"] for name in content["subgroups"]},
        fingerprint=content["fingerprint"],
        recipe=content["recipe"],
        states={
            part["source"]: EncoderState(
                part["facts"], {key: arrays[f"state/{number}/{key}"] for key in part["arrays"]}
            )
            for number, part in enumerate(content["states"])
        },
        facts=content["facts"],
    )


def _block(part: Mapping[str, Any], arrays: Arrays) -> Block:
    return Block(
        source=part["source"],
        modality=part["modality"],
        values=arrays[f"values/{part['source']}"],
        present=arrays[f"present/{part['source']}"],
        names=tuple(part["names"]),
        units=tuple(part["units"]),
        unreadable=tuple(part["unreadable"]),
    )


def _labels(part: Mapping[str, Any], arrays: Arrays) -> Labels:
    task = Task.of(part["task"])
    return Labels(
        task=task,
        values=arrays[f"labels/{task.name}"],
        classes=tuple(part["classes"]),
        unknown_class=part["unknown_class"],
        unusable=part["unusable"],
    )


def _write_samples(dataset: Dataset, path: Path) -> None:
    import polars

    columns = {"id": dataset.ids, "patient": dataset.patients, "split": dataset.split}
    columns |= {f"subgroup {name}": values for name, values in dataset.subgroups.items()}
    frame = polars.DataFrame({name: polars.Series(values.astype(str).tolist()) for name, values in columns.items()})
    # through memory, so that a full disk is an ordinary OSError
    written = BytesIO()
    frame.write_parquet(written)
    path.write_bytes(written.getvalue())


def _read_samples(path: Path) -> dict[str, NDArray[Any]]:
    import polars

    frame = polars.read_parquet(path)
    return {name: np.array(frame[name].to_list(), dtype=str) for name in frame.columns}


def _mapped(path: Path) -> Arrays:
    """The arrays of a safetensors file as views of its pages, which are loaded when they are first read."""
    # copy on write: PyTorch takes no read-only memory without a warning
    content = np.memmap(path, mode="c", dtype=np.uint8)
    (length,) = struct.unpack("<Q", content[:8].tobytes())
    header = json.loads(content[8 : 8 + length].tobytes())
    arrays: Arrays = {}
    for name, entry in header.items():
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        arrays[name] = np.asarray(content[first:last]).view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays
