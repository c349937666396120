"""LightGBM tuned for each task: 20 settings by cross-validation by patient on training rows, chosen once a study.

The settings are drawn by name from ranges that suit some thousands of patients; the first is the project's own
baseline as it is. Of the others the number of trees is the mean of what early stopping finds on the folds, and a
setting is scored with that number, by the metric that the task is compared by. Trees and settings are chosen on the
folds that they are scored on, so their scores there flatter them a little; those of the test part do not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from comparing.parts import Part, fold_parts, labelled
from m3h.core import seeds
from m3h.core.atomic import atomic_file
from m3h.core.errors import DataError, FolderError
from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.scores import Prediction, measure
from m3h.experiments import baselines
from m3h.study.task import HEADLINE

Floats = NDArray[np.float64]

SETTINGS, TUNED_FOLDS, MOST_ROUNDS, PATIENCE = 20, 2, 600, 100
#: What the folds are watched by while trees are added.
WATCHED = {"binary": "auc", "multiclass": "multi_logloss", "regression": "l2"}
#: Below this mean over the folds the opponent is broken, study by study.
LEAST = {"icu2012": 0.813}


@dataclass(frozen=True)
class Setting:
    """What LightGBM is told; ``rounds`` 0 leaves the number of trees to early stopping."""

    learning_rate: float
    num_leaves: int
    min_data_in_leaf: int
    feature_fraction: float
    bagging_fraction: float
    lambda_l1: float
    lambda_l2: float
    rounds: int = 0


#: The project's baseline: the three values that it does not name are LightGBM's own.
BASELINE = Setting(
    **baselines.TREES,
    min_data_in_leaf=20,
    feature_fraction=baselines.COLUMN_SHARE,
    bagging_fraction=1.0,
    lambda_l1=0.0,
    lambda_l2=0.0,
    rounds=baselines.ROUNDS,
)


def settings(count: int = SETTINGS) -> tuple[Setting, ...]:
    """The project's baseline and ``count`` - 1 more, the same every time; fewer are the first of more."""
    return (BASELINE, *(_drawn(number) for number in range(1, count)))


def _drawn(number: int) -> Setting:
    random = seeds.generator(0, "accuracy", "lightgbm settings", number)

    def between(low: float, high: float) -> float:
        return float(f"{np.exp(random.uniform(np.log(low), np.log(high))):.3g}")

    return Setting(
        learning_rate=between(0.02, 0.1),
        num_leaves=round(between(4, 63)),
        min_data_in_leaf=round(between(5, 100)),
        feature_fraction=between(0.05, 1),
        bagging_fraction=round(float(random.uniform(0.5, 1)), 2),
        lambda_l1=between(0.001, 10) if random.random() < 0.5 else 0.0,
        lambda_l2=between(0.01, 30),
    )


def fit(data: Dataset, task: str, setting: Setting, *, threads: int = 1, watch: Rows | None = None) -> lightgbm.Booster:
    """Trees for one task, trained on the labelled rows of the training part; with ``watch``, stopped early by these."""
    labels = data.labels[task]
    kind = labels.task.kind
    rows = data.train_rows[labels.known[data.train_rows]]
    inputs = features(data, task, rows)
    told: dict[str, Any] = {
        **{name: value for name, value in asdict(setting).items() if name != "rounds"},
        "feature_fraction": max(setting.feature_fraction, min(1.0, baselines.COLUMNS / inputs.shape[1])),
        "bagging_freq": int(setting.bagging_fraction < 1),
        "objective": baselines.OBJECTIVES[kind],
        "metric": WATCHED[kind],
        "deterministic": True,
        "force_row_wise": True,  # the choice between row-wise and column-wise is else made by timing both
        "seed": seeds.small(data.seed, "baseline"),
        "num_threads": threads,
        "verbosity": -1,
    }
    if kind == "multiclass":
        told["num_class"] = len(labels.classes)
    train = lightgbm.Dataset(inputs, labels.values[rows])
    if watch is None or setting.rounds:
        return lightgbm.train(told, train, num_boost_round=setting.rounds)
    known = watch[labels.known[watch]]
    watched = lightgbm.Dataset(features(data, task, known), labels.values[known], reference=train)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    # a booster that is not kept forgets the trees after its best one, and other numbers of trees are asked for
    kept = {"valid_sets": [watched], "callbacks": [stop], "keep_training_booster": True}
    return lightgbm.train(told, train, num_boost_round=MOST_ROUNDS, **kept)


def features(data: Dataset, task: str, rows: Rows) -> NDArray[np.float32]:
    """What a task may read, source by source side by side, NaN where not measured."""
    return np.concatenate([data.blocks[source].values[rows] for source in data.sources_for([task])], axis=1)


def predict(booster: lightgbm.Booster, data: Dataset, task: str, threads: int = 1, rounds: int | None = None) -> Floats:
    """What trees say of the test part: probabilities or values, as m3h.experiments.baselines."""
    inputs = features(data, task, data.test_rows)
    return np.asarray(booster.predict(inputs, num_iteration=rounds, num_threads=threads), dtype=np.float64)


@dataclass(frozen=True)
class Tried:
    """One setting on one task: its score and best number of trees on each fold, NaN and 0 where the fold lacks a class.

    ``rounds`` is the number of trees that it was scored with.
    """

    scores: tuple[float, ...]
    best: tuple[int, ...]
    rounds: int

    @property
    def mean(self) -> float:
        known = [score for score in self.scores if not np.isnan(score)]
        return float(np.mean(known)) if known else float("nan")


def attempt(parts: Sequence[Part], task: str, setting: Setting, threads: int) -> Tried:
    """Train a setting for a task on each fold, and score it with one number of trees."""
    usable = [one if task in one.data.usable() else None for one in parts]
    boosters = [one and fit(one.data, task, setting, threads=threads, watch=one.data.test_rows) for one in usable]
    best = [0 if one is None else setting.rounds or max(1, one.best_iteration) for one in boosters]
    found = [number for number in best if number]
    rounds = round(float(np.mean(found))) if found else baselines.ROUNDS
    scores = []
    for one, booster in zip(usable, boosters, strict=True):
        if one is None or booster is None:
            scores.append(float("nan"))
            continue
        scores.append(score(one.data, task, predict(booster, one.data, task, threads, rounds)))
    return Tried(tuple(scores), tuple(best), rounds)


def score(data: Dataset, task: str, values: Floats) -> float:
    """The headline metric of a task on the test part."""
    labels = data.labels[task]
    truth = labels.values[data.test_rows]
    known = ~np.isnan(truth)
    metric = HEADLINE[labels.task.kind]
    found = measure(labels.task.kind, truth[known], Prediction(values=values[known]))[metric].bootstrap(None)
    return float(found[0])


class Tuning:
    """What is known of a study's settings so far, kept in a file: task -> number of the setting -> what it gave."""

    def __init__(self, file: Path, content: str, folds: int) -> None:
        self.file, self.content, self.folds = file, content, folds
        self.found: dict[str, dict[int, Tried]] = {}
        if file.exists():
            self._read(json.loads(file.read_text(encoding="utf-8")))

    def _read(self, kept: dict[str, Any]) -> None:
        before = [asdict(one) for one in settings(len(kept["settings"]))]
        if (kept["data"], kept["folds"], kept["settings"]) != (self.content, self.folds, before):
            raise FolderError(
                "LightGBM was tuned for other data, folds or settings",
                where=self.file.name,
                next_step="give another folder as --work, or remove the file",
            )
        for task, rows in kept["tried"].items():
            self.found[task] = {
                int(number): Tried(
                    tuple(float("nan") if value is None else value for value in row["scores"]),
                    tuple(row["best"]),
                    row["rounds"],
                )
                for number, row in rows.items()
            }

    def write(self) -> None:
        tried = {
            task: {
                str(number): {
                    "scores": [None if np.isnan(value) else round(value, 6) for value in one.scores],
                    "best": one.best,
                    "rounds": one.rounds,
                }
                for number, one in sorted(rows.items())
            }
            for task, rows in self.found.items()
        }
        every = [asdict(one) for one in settings()]
        kept = {"data": self.content, "folds": self.folds, "settings": every, "tried": tried}
        with atomic_file(self.file) as path:
            path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    def chosen(self, task: str) -> Setting:
        """The best setting of a task so far, with its number of trees. Errors: DataError if none was tried."""
        tried = self.found.get(task, {})
        if not tried:
            raise DataError(f'LightGBM is not tuned for task "{task}"', next_step="run accuracy.py tune first")
        number = best_of(tried)
        return replace(settings()[number], rounds=tried[number].rounds)

    def complete(self, tasks: Sequence[str], count: int = SETTINGS) -> bool:
        """Whether all settings were tried for all tasks."""
        return all(len(self.found.get(task, {})) >= count for task in tasks)

    def mean(self, tasks: Sequence[str]) -> float:
        """Mean over tasks of the best setting's score on the folds; tasks that no fold could score are left out."""
        best = [self.found[task][best_of(self.found[task])].mean for task in tasks if self.found.get(task)]
        known = [value for value in best if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")


def crosswise(tuning: Tuning, tasks: Sequence[str]) -> float:
    """Mean over tasks and folds of the setting that is best on the other folds: not flattered by the choice, but for
    the number of trees, which all folds had a say in."""
    means = []
    for task in tasks:
        tried = [tuning.found[task][number].scores for number in sorted(tuning.found.get(task, {}))]
        scores = np.array(tried, dtype=np.float64)  # (setting, fold)
        found = []
        for fold in range(scores.shape[1]) if tried else ():
            others = np.nan_to_num(np.delete(scores, fold, axis=1), nan=-np.inf).mean(1)
            if np.isfinite(others).any():
                found.append(scores[int(np.argmax(others)), fold])
        if found and not np.isnan(found).all():
            means.append(float(np.nanmean(found)))
    return float(np.mean(means)) if means else float("nan")


def best_of(tried: dict[int, Tried]) -> int:
    """The setting with the highest mean, the first of equals; without any score, the first tried."""
    return max(sorted(tried), key=lambda number: np.nan_to_num(tried[number].mean, nan=-np.inf))


def kept_tuning(data: Dataset, work: Path, folds: int | None = None) -> Tuning:
    """The tuning of a study in a folder, as far as it went; ``folds`` None takes those that it was made with."""
    file = work / f"lightgbm-{data.name}.json"
    if folds is None:
        folds = int(json.loads(file.read_text(encoding="utf-8"))["folds"]) if file.exists() else TUNED_FOLDS
    # of the training rows alone, so that blind and final runs mean the same
    return Tuning(file, "+".join(one.content for one in fold_parts(data, folds)), folds)


def tune(
    data: Dataset,
    work: Path,
    *,
    folds: int = TUNED_FOLDS,
    threads: int = 1,
    count: int = SETTINGS,
    tasks: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Tuning:
    """Try all settings that were not tried yet, setting by setting over all tasks: stopped at any time, what is there
    can be used, and the same command goes on."""
    names = tuple(tasks) or labelled(data)
    parts = fold_parts(data, folds)
    tuning = kept_tuning(data, work, folds)
    for number, setting in enumerate(settings(count)):
        for task in names:
            rows = tuning.found.setdefault(task, {})
            if number not in rows:
                rows[number] = attempt(parts, task, setting, threads)
                tuning.write()
        done = sum(len(tuning.found[task]) for task in names)
        mean = tuning.mean(names)
        say(f"{data.name}: setting {number + 1} of {count}, {done} trials done; best per task, mean {mean:.4f}")
    say(told(data, tuning, names))
    return tuning


def told(data: Dataset, tuning: Tuning, tasks: Sequence[str]) -> str:
    """How the tuning of some tasks of a study stands, in words; loudly where the opponent is broken."""
    mean, least = tuning.mean(tasks), LEAST.get(data.name)
    tried = min((len(tuning.found.get(task, {})) for task in tasks), default=0)
    text = f"{data.name}: LightGBM tuned with {tried} of {SETTINGS} settings over {len(tasks)} tasks, mean {mean:.4f}"
    text += f", chosen and scored crosswise {crosswise(tuning, tasks):.4f}"
    if least is not None and set(tasks) == set(labelled(data)) and mean < least:
        text += f"\nBROKEN OPPONENT: the mean is below {least}; nothing may be compared with it"
    return text
