"""run.json: counts, settings, versions and times; no value of any patient."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from m3h import __version__
from m3h.api.engine import Failure
from m3h.api.options import Options
from m3h.api.watch import Watch
from m3h.core.fingerprint import canonical
from m3h.dataset.dataset import Dataset
from m3h.evaluation.clusters import sizes
from m3h.experiments import crossval
from m3h.study.spec import Study
from m3h.training.trained import TrainedNetwork


def facts(
    study: Study,
    data: Dataset,
    tasks: Sequence[str],
    options: Options,
    networks: Mapping[str, Sequence[TrainedNetwork]],
    failures: Sequence[Failure],
    settings: Sequence[crossval.Setting],
    watch: Watch,
) -> dict[str, Any]:
    """What run.json tells of a run; ``tasks`` are the run's, ``networks`` by role."""
    protocol = study.protocol
    one = f"batch {protocol.batch_sizes[-1]}, learning rate {protocol.learning_rates[-1]:g}, {protocol.epochs} epochs"
    tried = f"best of {len(crossval.grid(protocol))} settings by {protocol.folds}-fold "
    unique = {network.trial.id: network for some in networks.values() for network in some}
    # a network may stand for several: a task alone may be its own best set, or all that its joint set holds
    roles = {network.trial.id: role for role in ("single", "best", "joint") for network in networks.get(role, ())}
    return {
        "m3h": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": options.command,
        "study": {"name": study.name, "title": study.title, "seed": study.seed, "notes": study.notes},
        "titles": {name: part.task.title for name, part in data.labels.items() if part.task.title},
        "counts": {
            "samples": data.samples,
            "patients": len(np.unique(data.patients)),
            "sources": len(data.blocks),
            "tasks": len(tasks),
            "networks": len(unique) + len(failures),
        },
        "settings": {
            "preset": study.network.preset,
            "fields": canonical(study.network.resolved()),
            "protocol": canonical(protocol),
            "grid": protocol.grid,
            "setting": f"{tried}cross-validation on training rows" if protocol.grid else f"one setting: {one}",
            "device": options.device,
            "precision": options.precision,
            "executor": options.executor,
            "threads": torch.get_num_threads(),
        },
        "grid": [canonical(setting) for setting in settings],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "lightgbm", "numpy", "scikit-learn", "duckdb", "polars")},
        "data": {"fingerprint": data.fingerprint, "tables": dict(data.facts.get("fingerprints", {}))},
        "seconds": watch.seconds,
        "peak_memory_mb": watch.memory,
        "task_sets": [_network(network, roles[identity]) for identity, network in unique.items()],
        "left_out": [{"task": n, "reason": part.unusable} for n, part in data.labels.items() if part.unusable],
        "warnings": sorted({text for network in unique.values() for text in network.warnings}),
        "failed": [{"tasks": list(one.tasks), "reason": one.reason} for one in failures],
    }


def _network(network: TrainedNetwork, role: str) -> dict[str, Any]:
    trial = network.trial
    return {
        "tasks": list(trial.tasks),
        "role": role,
        "sources": list(trial.sources),
        "weights": sum(value.numel() for value in network.state.values()),
        "update": trial.update,
        "seconds": round(network.seconds, 2),
        "batch_size": trial.batch_size,
        "learning_rate": trial.learning_rate,
    }


def clusters(data: Dataset, joint: Sequence[TrainedNetwork]) -> dict[str, Any]:
    """How many test rows each patient group of the joint networks has."""
    return {
        name: {
            "task_set": network.trial.label,
            "sizes": sizes(prediction.clusters, data.labels[name].task.clusters).tolist(),
        }
        for network in joint
        for name, prediction in network.predictions.items()
        if prediction.clusters is not None
    }
