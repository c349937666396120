"""The pipeline behind `m3h run`: study in, run folder out."""

from __future__ import annotations

import datetime
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch

from m3h import __version__
from m3h.api.model import M3H, check_device, task_sets
from m3h.core.errors import SettingError, TrainingError, nearest
from m3h.core.fingerprint import canonical
from m3h.dataset.audit import audit
from m3h.dataset.build import build
from m3h.dataset.dataset import Dataset
from m3h.evaluation.clusters import sizes
from m3h.evaluation.scores import Prediction
from m3h.experiments import baselines, crossval, results, scoring
from m3h.report.page import write_report
from m3h.study.presets import PRESETS
from m3h.study.spec import Study
from m3h.training.fleet import train
from m3h.training.forming import DEFAULT_MEMORY
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial

Device = Literal["cpu", "cuda", "mps"]
#: Told what is going on: the stage in words, and the share of it that is done (None: unknown).
Say = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Options:
    """What a command may say beside the study: each overrides the study file. ``memory`` in bytes caps a fleet;
    ``threads`` 0 leaves the number to the libraries."""

    tasks: tuple[str, ...] = ()
    preset: str | None = None
    seed: int | None = None
    device: Device = "cpu"
    epochs: int | None = None
    grid: bool | None = None
    memory: int = DEFAULT_MEMORY
    baseline: bool = False
    singles: bool = True
    report: bool = True
    strict: bool = False
    cache: Path | Literal["default"] | None = "default"
    command: str = ""


@dataclass
class Watch:
    """Seconds and the highest resident memory so far, in MB, stage by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        """The stage ``name`` ends now."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self.began, 2)
        self.began = now
        unit = 1 if sys.platform == "darwin" else 1024
        self.memory[name] = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


@dataclass(frozen=True)
class Finished:
    """What a run left: its folder, the scores and differences, and run.json's content."""

    folder: Path
    scores: pl.DataFrame
    differences: pl.DataFrame
    facts: dict[str, Any]


def overridden(study: Study, options: Options) -> Study:
    """The study with the options applied. Errors: SettingError for an unknown preset or a number that does not fit."""
    changes: dict[str, Any] = {}
    if options.preset is not None:
        if options.preset not in PRESETS:
            raise SettingError(f'unknown preset "{options.preset}"{nearest(options.preset, PRESETS)}')
        changes["network"] = study.network.model_copy(update={"preset": options.preset})
    if options.seed is not None and options.seed < 0:
        raise SettingError(f"seed {options.seed}", expected="a whole number, 0 or more")
    if options.epochs is not None and options.epochs < 1:
        raise SettingError(f"{options.epochs} epochs", expected="1 or more")
    protocol = study.protocol
    if options.epochs is not None:
        protocol = replace(protocol, epochs=options.epochs)
    if options.grid is not None:
        protocol = replace(protocol, grid=options.grid)
    changes["protocol"] = protocol
    if options.seed is not None:
        changes["seed"] = options.seed
    return study.model_copy(update=changes)


def run(study: Study, out: Path, options: Options, say: Say) -> Finished:
    """Encode, train, evaluate and report; leaves the run folder ``out``, whole or not at all.

    Trains a network for each task alone (unless ``options.singles`` is False) and one joint network per distinct list
    of excluded sources, and scores them once on the test rows. Errors: those of the parts; TrainingError if no
    training ended well.
    """
    results.check_place(out)
    check_device(options.device)
    watch = Watch()
    study = overridden(study, options)
    data = build(
        study,
        cache=options.cache,
        strict=options.strict,
        tasks=options.tasks or None,
        progress=lambda text: say(text, None),
    )
    watch.stage("encode")
    counted = audit(data)
    watch.stage("audit")
    names = data.task_set(options.tasks) if options.tasks else data.usable()
    sets = task_sets(data, names)
    plan = [*([(name,) for name in names] if options.singles else []), *sets]
    trials, settings = crossval.final_trials(
        data,
        plan,
        preset=study.network.resolved(),
        protocol=study.protocol,
        device=options.device,
        memory=options.memory,
        progress=lambda share: say("choosing settings by cross-validation", share),
    )
    if study.protocol.grid:
        watch.stage("choose")
    networks = _train(data, trials, options, say)
    watch.stage("train")
    models, joint = _models(study, data, networks, sets, options)
    if options.baseline:
        models += _baselines(data, names, say)
        watch.stage("baseline")
    say("scoring", None)
    scores, differences = scoring.score_tables(_only(data, names), models)
    watch.stage("evaluate")
    facts = _facts(study, data, options, networks, joint, settings, watch)
    facts |= {"audit": counted, "clusters": _clusters(data, joint)}
    tables = {
        "scores.csv": scores,
        "differences.csv": differences,
        "attention.csv": scoring.attention_table(joint, study.network.preset),
        "predictions.parquet": scoring.prediction_table(data, models),
    }
    say("writing", None)
    with results.run_folder(out) as folder:
        results.write_tables(folder, tables)
        if joint:
            M3H.from_networks(joint, data).save(folder / "model")
        watch.stage("write")
        results.write_json(folder / "run.json", facts)
        if options.report:
            # its own seconds stay out of run.json: the page shows what run.json holds, and `m3h report` shows the same
            write_report(folder)
            watch.stage("report")
    return Finished(out, scores, differences, facts)


def _train(data: Dataset, trials: Sequence[Trial], options: Options, say: Say) -> list[TrainedNetwork]:
    unique = list(dict.fromkeys(trials))
    say(f"training {len(unique)} networks", 0.0)
    networks = list(
        train(
            data,
            unique,
            memory=options.memory,
            progress=lambda share: say(f"training {len(unique)} networks", share),
        )
    )
    if all(network.failed for network in networks):
        raise TrainingError("no training ended well", got=networks[0].failed, next_step="try a lower learning rate")
    return networks


def _models(
    study: Study, data: Dataset, networks: Sequence[TrainedNetwork], sets: Sequence[tuple[str, ...]], options: Options
) -> tuple[list[scoring.Model], list[TrainedNetwork]]:
    """Models to score, and the joint networks. A task set of one is the same network under both names."""
    by_set = {network.trial.tasks: network for network in networks}
    joint = [by_set[tasks] for tasks in sets if not by_set[tasks].failed]

    def model(network: TrainedNetwork, role: str) -> scoring.Model:
        return scoring.Model(role, study.network.preset, network.trial.label, study.seed, network.predictions)

    singles = [network for tasks, network in by_set.items() if len(tasks) == 1 and not network.failed]
    found = [model(network, "single") for network in singles if options.singles]
    return found + [model(network, "joint") for network in joint], joint


def _baselines(data: Dataset, names: Sequence[str], say: Say) -> list[scoring.Model]:
    todo = [name for name in names if data.labels[name].task.kind != "clustering"]
    models: list[scoring.Model] = []
    kinds: tuple[baselines.Baseline, ...] = ("lightgbm", "linear")
    for done, (kind, name) in enumerate([(kind, name) for kind in kinds for name in todo]):
        say("training baselines", done / (len(kinds) * len(todo)))
        values = baselines.fit_baseline(data, name, kind, seed=data.seed)
        models.append(scoring.Model("baseline", kind, name, data.seed, {name: Prediction(values=values)}))
    return models


def _only(data: Dataset, names: Sequence[str]) -> Dataset:
    """The dataset with the tasks of this run, and those that cannot be used, which are listed with an empty value."""
    return data.with_labels({n: part for n, part in data.labels.items() if n in set(names) or part.unusable})


def _clusters(data: Dataset, joint: Sequence[TrainedNetwork]) -> dict[str, Any]:
    return {
        name: {
            "task_set": network.trial.label,
            "sizes": sizes(prediction.clusters, data.labels[name].task.clusters).tolist(),
        }
        for network in joint
        for name, prediction in network.predictions.items()
        if prediction.clusters is not None
    }


def _facts(
    study: Study,
    data: Dataset,
    options: Options,
    networks: Sequence[TrainedNetwork],
    joint: Sequence[TrainedNetwork],
    settings: Sequence[crossval.Setting],
    watch: Watch,
) -> dict[str, Any]:
    """run.json: counts, settings, versions and times; no value of any patient."""
    protocol = study.protocol
    one = f"batch {protocol.batch_sizes[-1]}, learning rate {protocol.learning_rates[-1]:g}, {protocol.epochs} epochs"
    tried = f"best of {len(protocol.batch_sizes) * len(protocol.learning_rates)} settings by {protocol.folds}-fold "
    joint_ids = {network.trial.id for network in joint}
    return {
        "m3h": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": options.command,
        "study": {"name": study.name, "title": study.title, "seed": study.seed, "notes": study.notes},
        "counts": {
            "samples": data.samples,
            "patients": len(np.unique(data.patients)),
            "sources": len(data.blocks),
            "tasks": len(data.usable()),
            "networks": len(networks),
        },
        "settings": {
            "preset": study.network.preset,
            "fields": canonical(study.network.resolved()),
            "protocol": canonical(protocol),
            "grid": protocol.grid,
            "setting": f"{tried}cross-validation on training rows" if protocol.grid else f"one setting: {one}",
            "device": options.device,
            "threads": torch.get_num_threads(),
        },
        "grid": [canonical(setting) for setting in settings],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("torch", "numpy", "scikit-learn", "duckdb", "polars")},
        "data": {"fingerprint": data.fingerprint, "tables": dict(data.facts.get("fingerprints", {}))},
        "seconds": watch.seconds,
        "peak_memory_mb": watch.memory,
        "task_sets": [_network_facts(n, "joint" if n.trial.id in joint_ids else "single") for n in networks],
        "left_out": [{"task": n, "reason": part.unusable} for n, part in data.labels.items() if part.unusable],
        "warnings": sorted({text for network in networks for text in network.warnings}),
        "failed": [{"tasks": list(n.trial.tasks), "reason": n.failed} for n in networks if n.failed],
    }


def _network_facts(network: TrainedNetwork, role: str) -> dict[str, Any]:
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
