"""The models of a comparison, and what they predict; whatever was trained is kept and never trained again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import lightgbm
import numpy as np
import sklearn

import m3h
from comparing import trees
from comparing.parts import Part, without
from m3h.core.atomic import atomic_file
from m3h.core.errors import TrainingError
from m3h.core.fingerprint import fingerprint
from m3h.dataset.dataset import Dataset
from m3h.evaluation.scores import Prediction
from m3h.experiments import baselines
from m3h.study.presets import PRESETS, PROTOCOLS, Preset, Protocol
from m3h.training import predict
from m3h.training.fleet import train
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import Trial, make_trial

Role = Literal["single", "joint"]
Predictions = dict[str, Prediction]
#: What was there when a model was asked: "" for everything, else the source that was missing -> task -> prediction.
Asked = dict[str, Predictions]

#: The source files that a network's predictions follow from.
CODE = ("network", "training", "dataset")


@dataclass(frozen=True)
class Network:
    """How networks are made: ``label`` is what tables call them."""

    label: str
    preset: Preset
    protocol: Protocol
    role: Role

    @property
    def name(self) -> str:
        return f"{self.label} {self.role}"

    def trials(self, data: Dataset, replicate: int) -> list[Trial]:
        """Single: every task that can be used alone. Joint: all that read the same sources together."""
        names = data.usable()
        sets = joint_sets(data, names) if self.role == "joint" else [(name,) for name in names]
        return [
            make_trial(data, tasks, preset=self.preset, protocol=self.protocol, replicate=replicate) for tasks in sets
        ]


def networks(paper_long: bool = False) -> list[Network]:
    """The presets at hand, single and joint; with ``paper_long`` the paper's again, for 60 epochs at 1e-3."""
    found = [Network(name, PRESETS[name], PROTOCOLS[name], "single") for name in ("paper", "m3h") if name in PRESETS]
    if paper_long:
        long = replace(PROTOCOLS["paper"], epochs=60, learning_rates=(1e-3,))
        found.insert(1, Network("paper-long", PRESETS["paper"], long, "single"))
    return [replace(one, role=role) for one in found for role in ("single", "joint")]


def joint_sets(data: Dataset, names: Sequence[str]) -> list[tuple[str, ...]]:
    """The tasks by what they may read, in the order of the study, as a run makes its joint networks."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        sets.setdefault(data.sources_for((name,)), []).append(name)
    return [tuple(tasks) for tasks in sets.values()]


class Kept:
    """Predictions in a folder, an .npz each.

    A network is known by its trial. One that other source code trained is used all the same, and said to be, unless
    ``strict``: then it is trained anew, as are those whose presets ``retrain`` names.
    """

    def __init__(
        self,
        folder: Path,
        *,
        strict: bool = False,
        retrain: Collection[str] = (),
        threads: int = 1,
        say: Callable[[str], None] = print,
    ) -> None:
        self.folder, self.strict, self.retrain, self.threads, self.say = folder, strict, retrain, threads, say
        self.code = code_print()
        self.old = 0
        self.seconds: dict[str, float] = {}

    def networks(self, part: Part, asked: Sequence[tuple[Network, int]], missing: Sequence[str] = ()) -> list[Asked]:
        """What networks say of a part, for each (network, replicate); with ``missing``, also with each of these
        sources gone. Seconds of training add up in ``seconds``. Errors: TrainingError for a training that failed."""
        wanted = {(network.name, number): network.trials(part.data, number) for network, number in asked}
        labels = {trial.id: network.label for network, number in asked for trial in wanted[network.name, number]}
        trials = {trial.id: trial for every in wanted.values() for trial in every}
        found = {key: one for key in trials if (one := self._network(key, labels[key], missing, trials[key]))}
        left = [trial for key, trial in trials.items() if key not in found]
        if left:
            self.say(f"{part.name}: {len(left)} of {len(trials)} networks to train")
        for trained in train(part.data, left):
            found[trained.trial.id] = self._keep(part, trained, missing)
        for network, number in asked:
            spent = sum(found[trial.id][1] for trial in wanted[network.name, number])
            self.seconds[network.name] = self.seconds.get(network.name, 0.0) + spent
        return [merged(found[trial.id][0] for trial in wanted[network.name, number]) for network, number in asked]

    def _network(self, key: str, label: str, missing: Sequence[str], trial: Trial) -> tuple[Asked, float] | None:
        kept = self.read(key)
        if kept is None or not set(_removable(trial, missing)) <= set(kept[0]):
            return None
        asked, facts = kept
        if facts["code"] != self.code:
            if self.strict or label.partition("/")[0] in self.retrain:
                return None
            self.old += 1
        return asked, float(facts["seconds"])

    def _keep(self, part: Part, trained: TrainedNetwork, missing: Sequence[str]) -> tuple[Asked, float]:
        if trained.failed:
            raise TrainingError(
                "a network of the comparison failed", where=f"{part.name}, {trained.trial.label}", got=trained.failed
            )
        asked = {"": trained.predictions}
        for source in _removable(trained.trial, missing):
            asked[source], _ = predict.apply(trained, without(part.data, source), part.data.test_rows)
        self.write(trained.trial.id, asked, seconds=trained.seconds, code=self.code)
        return asked, trained.seconds

    def baseline(self, part: Part, task: str, model: baselines.Baseline) -> Prediction:
        """What a baseline of the project says of a part."""
        values = [baselines.ROUNDS, baselines.TREES, baselines.COLUMN_SHARE, baselines.COLUMNS]
        values += [baselines.PENALTY_POWER, baselines.ITERATIONS, lightgbm.__version__, sklearn.__version__]
        key = fingerprint(["baseline", model, part.content, task, values])

        def made() -> Asked:
            said = baselines.fit_baseline(part.data, task, model, seed=part.data.seed, threads=self.threads)
            return {"": {task: Prediction(values=said)}}

        return self._opponent(key, made)[""][task]

    def tuned(
        self, part: Part, task: str, setting: trees.Setting, missing: Sequence[str] = ()
    ) -> dict[str, Prediction]:
        """What tuned trees say of a part, by the source that was missing."""
        read = part.data.sources_for([task])
        gone = [source for source in missing if source in read and len(read) > 1]
        key = fingerprint(["tuned", part.content, task, asdict(setting), gone, lightgbm.__version__])

        def made() -> Asked:
            booster = trees.fit(part.data, task, setting, threads=self.threads)
            asked = {}
            for source in ("", *gone):
                data = without(part.data, source) if source else part.data
                asked[source] = {task: Prediction(values=trees.predict(booster, data, task, self.threads))}
            return asked

        return {source: said[task] for source, said in self._opponent(key, made).items()}

    def _opponent(self, key: str, made: Callable[[], Asked]) -> Asked:
        kept = self.read(key)
        if kept is not None:
            return kept[0]
        asked = made()
        self.write(key, asked)
        return asked

    def read(self, key: str) -> tuple[Asked, Mapping[str, str]] | None:
        """What was kept under a key, and the facts kept beside it; None if nothing was."""
        file = self.folder / f"{key}.npz"
        if not file.exists():
            return None
        asked: dict[str, dict[str, dict[str, Any]]] = {}
        facts: dict[str, str] = {}
        with np.load(file, allow_pickle=False) as arrays:
            for name in arrays.files:
                kind, source, task, item = name.split("|")
                if kind == "fact":
                    facts[item] = str(arrays[name])
                else:
                    asked.setdefault(source, {}).setdefault(task, {})[item] = arrays[name]
        return {
            source: {task: Prediction(**items) for task, items in parts.items()} for source, parts in asked.items()
        }, facts

    def write(self, key: str, asked: Asked, **facts: object) -> None:
        """Keep predictions and facts under a key."""
        arrays = {f"fact|||{name}": np.array(str(fact)) for name, fact in facts.items()}
        arrays |= dict(_arrays(asked))
        with atomic_file(self.folder / f"{key}.npz") as path, path.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    def told(self) -> str:
        """What there is to know of what was used."""
        if not self.old:
            return ""
        return f"NOTE: {self.old} networks used here were trained by other source code; --retrain trains them anew"


def merged(parts: Iterator[Asked]) -> Asked:
    """The predictions of several networks, each of other tasks."""
    every: Asked = {}
    for asked in parts:
        for source, predictions in asked.items():
            every.setdefault(source, {}).update(predictions)
    return every


def code_print() -> str:
    """Stands for the source code that trains and asks networks."""
    root = Path(m3h.__file__).parent
    print_ = hashlib.sha256()
    for folder in CODE:
        for file in sorted((root / folder).rglob("*.py")):
            print_.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return print_.hexdigest()[:16]


def _removable(trial: Trial, missing: Sequence[str]) -> list[str]:
    """Those of ``missing`` that a network reads beside others."""
    return [source for source in missing if source in trial.sources and len(trial.sources) > 1]


def _arrays(asked: Asked) -> Iterator[tuple[str, Any]]:
    for source, predictions in asked.items():
        for task, prediction in predictions.items():
            for item in fields(prediction):
                if (array := getattr(prediction, item.name)) is not None:
                    yield f"said|{source}|{task}|{item.name}", array
