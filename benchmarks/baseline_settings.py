"""How the baselines' one setting is chosen: by cross-validation on training rows, never on test rows.

usage: python benchmarks/baseline_settings.py STUDY.toml [--folds 2] [--tasks a,b]

Prints, for every candidate, the mean over tasks of the headline metric over the folds of the training part.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import m3h
from m3h.dataset.dataset import Dataset
from m3h.dataset.split import folds
from m3h.evaluation.scores import Prediction, measure
from m3h.experiments import baselines
from m3h.study.task import HEADLINE

PENALTIES = (("1", 0.0), ("square root of columns", 0.5), ("columns", 1.0), ("columns ** 1.25", 1.25))
TREES = (
    ("LightGBM's own: 100 trees, rate 0.1, 31 leaves, all columns", 100, 0.1, 31, 1.0),
    ("100 trees, rate 0.05, 15 leaves, 30 % of columns", 100, 0.05, 15, 0.3),
    ("150 trees, rate 0.05, 15 leaves, 30 % of columns", 150, 0.05, 15, 0.3),
    ("250 trees, rate 0.05, 15 leaves, 30 % of columns", 250, 0.05, 15, 0.3),
)


def mean_score(data: Dataset, names: list[str], kind: baselines.Baseline, count: int) -> float:
    parts = folds(data.patients, data.train_rows, count, data.seed)
    scores = []
    for name in names:
        labels = data.labels[name]
        for number, part in enumerate(parts):
            rest = np.sort(np.concatenate([other for k, other in enumerate(parts) if k != number]))
            values = baselines.fit_baseline(data, name, kind, seed=data.seed, train_rows=rest, predict_rows=part)
            truth = labels.values[part]
            known = ~np.isnan(truth)
            metric = measure(labels.task.kind, truth[known], Prediction(values=values[known]))
            scores.append(metric[HEADLINE[labels.task.kind]].bootstrap(None)[0])
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("study", type=Path)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--tasks", default="")
    given = parser.parse_args()
    data = m3h.dataset(m3h.Study.read(given.study))
    names = [n for n in data.usable() if data.labels[n].task.kind != "clustering"]
    names = given.tasks.split(",") if given.tasks else names
    for text, power in PENALTIES:
        began = time.perf_counter()
        baselines.PENALTY_POWER = power
        score = mean_score(data, names, "linear", given.folds)
        print(f"linear, penalty {text}: {score:.4f} ({time.perf_counter() - began:.0f} s)", flush=True)
    for text, rounds, rate, leaves, share in TREES:
        began = time.perf_counter()
        baselines.ROUNDS, baselines.COLUMN_SHARE = rounds, share
        baselines.TREES = {"learning_rate": rate, "num_leaves": leaves}
        score = mean_score(data, names, "lightgbm", given.folds)
        print(f"lightgbm, {text}: {score:.4f} ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
