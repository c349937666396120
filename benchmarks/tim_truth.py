"""Whether measured task interactions find the relations that a synthetic hospital was made with.

usage: python benchmarks/tim_truth.py [--tasks common|rare] [--patients 5000] [--seed 11] [--sets N] [--work DIR]

m3h simulate, m3h mimic --encoders offline, then TIM by shared sets for twelve tasks with three replicates. Tasks that
share a cause in truth.json are planted pairs, the others unplanted. The AUROC is that of |TIM| for planted against
unplanted: of ordered pairs as measured, and of pairs with the mean of both directions; beside it that of TIM with its
sign, and of |TIM| over its standard error, both of ordered pairs. Below it the same with each task's labels shuffled
over the samples, which no relation survives. Writes tim_truth_<tasks>.csv.

The tasks are four groups of three that share causes: "common" ones (8 to 32 % of the patients, some of one admission
only), chosen before anything was measured; "rare" ones (8 to 10 %), chosen after, since common ones learn alone nearly
all there is to learn.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

import m3h
from m3h.core import seeds
from m3h.dataset.dataset import Dataset
from m3h.hospital.mimic.build import make_study
from m3h.hospital.simulate.hospital import simulate
from m3h.study.presets import Protocol

RESULTS = Path(__file__).parents[1] / "docs" / "results"
COMMON = (
    *("heart_failure", "chronic_kidney_disease", "diabetes"),
    *("sepsis", "pneumonia", "hospital_acquired_infection"),
    *("alzheimer_disease", "parkinson_disease", "stroke"),
    *("lupus", "psoriasis", "inflammatory_bowel_disease"),
)
RARE = (
    *("lupus", "psoriasis", "inflammatory_bowel_disease"),
    *("hiv", "tuberculosis", "hepatitis_bc"),
    *("alzheimer_disease", "macular_degeneration", "glaucoma"),
    *("bipolar_disorder", "schizophrenia", "fibromyalgia"),
)
CHOICES = {"common": COMMON, "rare": RARE}
HEAD = [
    "tasks",
    "labels",
    "patients",
    "samples",
    "trainings",
    "planted pairs",
    "unplanted pairs",
    "AUROC, ordered",
    "AUROC, pairs",
    "with sign",
    "over error",
]
HEAD += ["mean |TIM| planted", "mean |TIM| unplanted", "minutes"]


def shuffled(data: Dataset, seed: int) -> Dataset:
    """Each task's labels in another order of the samples of each side, so that classes stay as frequent."""
    labels = {}
    for name, one in data.labels.items():
        values = one.values.copy()
        for side, rows in (("train", data.train_rows), ("test", data.test_rows)):
            values[rows] = values[seeds.generator(seed, "benchmark labels", name, side).permutation(rows)]
        labels[name] = replace(one, values=values)
    return replace(data, labels=labels)


def judged(table: Any, planted: set[frozenset[str]], tasks: tuple[str, ...]) -> dict[str, Any]:
    known = [row for row in table.to_dicts() if row["tim"] is not None]
    size: dict[tuple[str, str], float] = {(row["source"], row["target"]): abs(row["tim"]) for row in known}
    truths = [frozenset((row["source"], row["target"])) in planted for row in known]
    ordered = [(frozenset(pair) in planted, value) for pair, value in size.items()]
    both = [
        (frozenset(pair) in planted, (size[pair] + size[pair[1], pair[0]]) / 2)
        for pair in combinations(tasks, 2)
        if pair in size and (pair[1], pair[0]) in size
    ]
    return {
        "planted": sum(truth for truth, _ in both),
        "unplanted": sum(not truth for truth, _ in both),
        "ordered": roc_auc_score(*zip(*ordered, strict=True)),
        "pairs": roc_auc_score(*zip(*both, strict=True)),
        "signed": roc_auc_score(truths, [row["tim"] for row in known]),
        "over error": roc_auc_score(truths, [abs(row["tim"]) / (row["high"] - row["low"]) for row in known]),
        "of planted": float(np.mean([value for truth, value in ordered if truth])),
        "of others": float(np.mean([value for truth, value in ordered if not truth])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=None, help="default: the protocol's")
    parser.add_argument("--sets", type=int, default=None, help="default: by the number of tasks")
    parser.add_argument("--tasks", choices=list(CHOICES), default="common")
    parser.add_argument("--work", type=Path, default=None, help="keep hospital, study and ledgers here")
    parser.add_argument("--out", type=Path, default=None, help="the CSV to write")
    given = parser.parse_args()
    tasks = CHOICES[given.tasks]
    place = given.work or Path(tempfile.mkdtemp(prefix="m3h-truth-"))
    names = f"{given.patients}-{given.seed}"
    hospital, study = place / f"hospital-{names}", place / f"study-{names}"
    if not hospital.exists():
        simulate(hospital, patients=given.patients, seed=given.seed, release="2.2", progress=lambda share: None)
    if not study.exists():
        make_study(hospital, study, encoders="offline")
    truth = json.loads((hospital / "truth.json").read_text(encoding="utf-8"))
    planted = {frozenset((pair["a"], pair["b"])) for pair in truth["planted"]}
    data = m3h.dataset(study / "study.toml", cache=place / "cache")
    protocol = Protocol() if given.epochs is None else Protocol(epochs=given.epochs)
    options = {"replicates": 3} | ({} if given.sets is None else {"sets": given.sets})
    lines = []
    for name, dataset in (("as they are", data), ("shuffled", shuffled(data, given.seed))):
        begin = time.perf_counter()
        ledger = place / f"{given.tasks}-{name.replace(' ', '-')}.sqlite"
        table = m3h.tim(dataset, tasks, protocol=protocol, ledger=ledger, **options)
        table.write_csv(place / f"tim-{given.tasks}-{name.replace(' ', '-')}.csv")
        found = judged(table, planted, tasks)
        lines.append(
            [given.tasks, name, given.patients, data.samples, trained(ledger), found["planted"], found["unplanted"]]
            + [f"{found[key]:.3f}" for key in ("ordered", "pairs", "signed", "over error")]
            + [f"{found[key]:.4f}" for key in ("of planted", "of others")]
            + [f"{(time.perf_counter() - begin) / 60:.1f}"]
        )
        print(dict(zip(HEAD, lines[-1], strict=True)), flush=True)
    out = given.out or RESULTS / f"tim_truth_{given.tasks}.csv"
    with out.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([HEAD, *lines])


def trained(ledger: Path) -> int:
    from m3h.experiments.ledger.ledger import Ledger

    kept = Ledger(ledger, writing=False)
    try:
        return int(kept.counts()["finished"])
    finally:
        kept.close()


if __name__ == "__main__":
    main()
