"""Trained networks on disk, networks.safetensors and networks.json, or as bytes in a ledger; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import load_file, save_file
from safetensors.torch import save as dump_tensors
from torch import Tensor

from m3h.core.errors import FolderError
from m3h.core.fingerprint import canonical
from m3h.dataset.scale import Scaler
from m3h.evaluation.scores import Prediction
from m3h.network.network import Shape, Slot
from m3h.study.presets import Preset
from m3h.training.clusters import FixedSpace
from m3h.training.task_model import TaskModels
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial

FORMAT = 1


def save(networks: Sequence[TrainedNetwork], folder: Path) -> None:
    """Write the networks into ``folder``, which exists; everything :func:`load` needs, predictions aside."""
    tensors: dict[str, Tensor] = {}
    for number, trained in enumerate(networks):
        tensors |= {f"{number}/{name}": value for name, value in _tensors(trained).items()}
    save_file(tensors, folder / "networks.safetensors")
    entries = [_entry(trained) for trained in networks]
    text = json.dumps({"format": FORMAT, "networks": entries}, indent=1, sort_keys=True)
    (folder / "networks.json").write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> list[TrainedNetwork]:
    """Read what :func:`save` wrote. Errors: FolderError if a file is missing, damaged or of another format."""
    try:
        entries = json.loads((folder / "networks.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "networks.safetensors")
        if entries["format"] != FORMAT:
            raise FolderError("this model is of another format", where=str(folder), got=str(entries["format"]))
        return [_network(entry, _below(tensors, f"{n}/")) for n, entry in enumerate(entries["networks"])]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise FolderError(
            f"this is not a whole model: {type(error).__name__}",
            where=str(folder),
            expected="networks.json and networks.safetensors as m3h writes them",
            next_step="train the model again, or copy its folder again",
        ) from error


def dumps(trained: TrainedNetwork) -> bytes:
    """The network as safetensors bytes, with its predictions and attention: all that :func:`loads` gives back."""
    tensors = _tensors(trained)
    tensors["attention"] = _tensor(trained.attention)
    tensors["evaluated"] = _tensor(trained.evaluated)
    for name, prediction in trained.predictions.items():
        for item in fields(prediction):
            if (value := getattr(prediction, item.name)) is not None:
                tensors[f"predictions/{item.name}/{name}"] = _tensor(value)
    tensors |= {f"held/{name}": _tensor(value) for name, value in trained.held.items()}
    entry = _entry(trained) | {"format": FORMAT, "failed": trained.failed}
    entry |= {"predicted": list(trained.predictions), "held": list(trained.held)}
    return dump_tensors(tensors, metadata={"network": json.dumps(entry, sort_keys=True)})


def loads(content: bytes) -> TrainedNetwork:
    """The network that :func:`dumps` wrote. Errors: FolderError if the bytes are damaged or of another format."""
    try:
        size = int.from_bytes(content[:8], "little")
        entry = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["network"])
        if entry["format"] != FORMAT:
            raise FolderError("this network is of another format", got=str(entry["format"]), expected=str(FORMAT))
        tensors = load_tensors(content)
        parts: dict[str, dict[str, Any]] = {name: {} for name in entry["predicted"]}
        for key, value in _below(tensors, "predictions/").items():
            item, _, name = key.partition("/")
            parts[name][item] = value.numpy()
        return replace(
            _network(entry, tensors),
            evaluated=tensors["evaluated"].numpy(),
            predictions={name: Prediction(**part) for name, part in parts.items()},
            attention=tensors["attention"].numpy(),
            held={name: tensors[f"held/{name}"].numpy() for name in entry["held"]},
            failed=entry["failed"],
        )
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise FolderError(
            f"this is not a whole network: {type(error).__name__}", next_step="train it again with a new ledger"
        ) from error


def _tensors(trained: TrainedNetwork) -> dict[str, Tensor]:
    """Weights, scaler, additive models, and what groups patients."""
    parts = {f"weights/{name}": value for name, value in trained.state.items()}
    parts |= {f"scaler/{name}": _tensor(value) for name, value in trained.scaler.arrays().items()}
    if trained.task_models is not None:
        parts |= {f"fitted/{name}": _tensor(value) for name, value in trained.task_models.arrays().items()}
    parts |= {f"centres/{name}": _tensor(value) for name, value in trained.centres.items()}
    if trained.space is not None:
        parts["space/mean"] = _tensor(trained.space.mean)
        parts["space/components"] = _tensor(trained.space.components)
    return {name: value.contiguous() for name, value in parts.items()}


def _tensor(value: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(value).copy())


def _entry(trained: TrainedNetwork) -> dict[str, Any]:
    return {
        "trial": canonical(trained.trial),
        "modalities": canonical(trained.shape.modalities),
        "slots": canonical(trained.shape.slots),
        "seconds": trained.seconds,
        "warnings": list(trained.warnings),
    }


def _network(entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TrainedNetwork:
    trial = _trial(entry["trial"])
    space = None
    if "space/mean" in tensors:
        space = FixedSpace(tensors["space/mean"].numpy(), tensors["space/components"].numpy())
    fitted = {name: np.asarray(tensor.numpy()) for name, tensor in _below(tensors, "fitted/").items()}
    shape = Shape(
        tuple((name, width) for name, width in entry["modalities"]),
        tuple(Slot(**slot) for slot in entry["slots"]),
        trial.preset,
    )
    return TrainedNetwork(
        trial=trial,
        shape=shape,
        state=_below(tensors, "weights/"),
        scaler=Scaler.from_arrays({name: np.asarray(t.numpy()) for name, t in _below(tensors, "scaler/").items()}),
        task_models=TaskModels.from_arrays(fitted, trial.sources, trial.tasks) if fitted else None,
        space=space,
        centres={name: t.numpy() for name, t in _below(tensors, "centres/").items()},
        seconds=entry["seconds"],
        warnings=tuple(entry["warnings"]),
    )


def _trial(entry: Mapping[str, Any]) -> Trial:
    preset: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in entry["preset"].items()}
    plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()}
    plain["preset"] = Preset(**preset)
    return Trial(**plain)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
