"""Trained networks on disk: networks.safetensors and networks.json; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from m3h.core.errors import FolderError
from m3h.core.fingerprint import canonical
from m3h.dataset.scale import Scaler
from m3h.network.network import Shape, Slot
from m3h.study.presets import Preset
from m3h.training.clusters import FixedSpace
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial

FORMAT = 1


def save(networks: Sequence[TrainedNetwork], folder: Path) -> None:
    """Write the networks into ``folder``, which exists; everything :func:`load` needs, predictions aside."""
    tensors: dict[str, Tensor] = {}
    entries = []
    for number, trained in enumerate(networks):
        parts = {f"weights/{name}": value for name, value in trained.state.items()}
        parts |= {f"scaler/{name}": torch.from_numpy(value.copy()) for name, value in trained.scaler.arrays().items()}
        parts |= {f"centres/{name}": torch.from_numpy(value.copy()) for name, value in trained.centres.items()}
        if trained.space is not None:
            parts["space/mean"] = torch.from_numpy(trained.space.mean.copy())
            parts["space/components"] = torch.from_numpy(trained.space.components.copy())
        tensors |= {f"{number}/{name}": value.contiguous() for name, value in parts.items()}
        entries.append(
            {
                "trial": canonical(trained.trial),
                "modalities": canonical(trained.shape.modalities),
                "slots": canonical(trained.shape.slots),
                "seconds": trained.seconds,
                "warnings": list(trained.warnings),
            }
        )
    save_file(tensors, folder / "networks.safetensors")
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


def _network(entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> TrainedNetwork:
    trial = _trial(entry["trial"])
    space = None
    if "space/mean" in tensors:
        space = FixedSpace(tensors["space/mean"].numpy(), tensors["space/components"].numpy())
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
