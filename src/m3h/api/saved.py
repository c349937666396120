"""What a fitted model consists of, and that on disk: safetensors and JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from m3h import __version__
from m3h.api.folder import FACTS, FILES, FORMAT, damaged, read_facts
from m3h.core.atomic import atomic_folder
from m3h.core.errors import DataError
from m3h.core.fingerprint import canonical, file_fingerprint
from m3h.encoders.block import EncoderState
from m3h.evaluation.reliance import Reliance
from m3h.study.task import Task
from m3h.training import checkpoint
from m3h.training.trained import TrainedNetwork

ENCODERS = FILES[0]

#: Label of a task set -> its tasks, and the mean attention (task that asks, task that answers).
Attention = dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]


@dataclass(frozen=True)
class Fitted:
    """Networks, and what it takes to read new patients for them.

    ``tasks`` in the order of the study; ``answers`` task -> number of the network that answers for it; ``classes`` of
    the multiclass ones as trained; ``recipe`` the study as JSON data, {} where the dataset came from no study;
    ``states`` what the encoders learned, per source; ``fingerprint`` that of the dataset trained on; ``reliance`` of
    the tasks for which predictions of training rows held out were at hand.
    """

    networks: tuple[TrainedNetwork, ...]
    tasks: tuple[Task, ...]
    answers: Mapping[str, int]
    classes: Mapping[str, tuple[str, ...]]
    recipe: Mapping[str, Any]
    states: Mapping[str, EncoderState]
    name: str
    title: str
    fingerprint: str
    reliance: Mapping[str, Reliance]


def save(fitted: Fitted, attention: Attention, folder: Path) -> None:
    """Write the model into ``folder``, whole or not at all; what is there is replaced. Equal models give equal bytes.

    Errors: FolderError where it cannot be written.
    """
    # how long a training took is no part of what it gave
    networks = [replace(network, seconds=0.0) for network in fitted.networks]
    arrays: dict[str, NDArray[Any]] = {}
    for number, state in enumerate(fitted.states.values()):
        arrays |= {f"{number}/{name}": np.ascontiguousarray(value) for name, value in state.arrays.items()}
    with atomic_folder(folder, replace=True) as place:
        try:
            checkpoint.save(networks, place)
            save_file(arrays, place / ENCODERS)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        content = _facts(fitted, attention) | {"files": {name: file_fingerprint(place / name) for name in FILES}}
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
        (place / FACTS).write_text(text + "\n", encoding="utf-8")


def load(folder: Path) -> tuple[Fitted, Attention]:
    """Read what :func:`save` wrote; ``folder`` may also be a run's, whose model is in its folder model.

    Errors: FolderError if no model is there, or it is damaged or of another format.
    """
    place, content = read_facts(folder)
    try:
        return _read(content, place)
    except (KeyError, TypeError, ValueError, AttributeError, DataError, SafetensorError) as error:
        raise damaged(place, FACTS) from error


def _read(content: Mapping[str, Any], place: Path) -> tuple[Fitted, Attention]:
    for name in FILES:
        if not (place / name).is_file() or file_fingerprint(place / name) != content["files"][name]:
            raise damaged(place, name)
    arrays = load_file(place / ENCODERS)
    states = {
        part["source"]: EncoderState(part["facts"], {name: arrays[f"{number}/{name}"] for name in part["arrays"]})
        for number, part in enumerate(content["encoders"])
    }
    fitted = Fitted(
        networks=tuple(checkpoint.load(place)),
        tasks=tuple(Task.of(part) for part in content["tasks"]),
        answers=content["answers"],
        classes={name: tuple(classes) for name, classes in content["classes"].items()},
        recipe=content["recipe"],
        states=states,
        name=content["name"],
        title=content["title"],
        fingerprint=content["fingerprint"],
        # what was written before there was any says nothing of it
        reliance={name: Reliance.from_dict(part) for name, part in content.get("reliance", {}).items()},
    )
    attention = {
        part["task_set"]: (tuple(part["tasks"]), np.array(part["weights"], dtype=np.float64))
        for part in content["attention"]
    }
    return fitted, attention


def _facts(fitted: Fitted, attention: Attention) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "m3h": __version__,
        "name": fitted.name,
        "title": fitted.title,
        "fingerprint": fitted.fingerprint,
        "tasks": [asdict(task) for task in fitted.tasks],
        "answers": dict(fitted.answers),
        "classes": {name: list(classes) for name, classes in fitted.classes.items()},
        "attention": [
            {"task_set": label, "tasks": list(tasks), "weights": weights.tolist()}
            for label, (tasks, weights) in attention.items()
        ],
        "encoders": [
            # the order of facts tells only whether they came from the cache
            {"source": name, "facts": canonical(state.facts), "arrays": sorted(state.arrays)}
            for name, state in fitted.states.items()
        ],
        "reliance": {name: one.as_dict() for name, one in fitted.reliance.items()},
        "recipe": dict(fitted.recipe),
    }
