"""Seconds that a ledger of 10,000 trials takes: `python benchmarks/ledger_scale.py [--rounds 5]`.

Trials have two tasks with five scores, one in fifty a network of half a megabyte; fleets have fifty members. Every
step is done once per round on a freshly opened ledger; the table gives medians, and goes to
docs/results/ledger_scale.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from m3h.experiments.ledger import Ledger
from m3h.experiments.ledger.tables import write_scores
from m3h.experiments.outcome import Outcome
from m3h.study.presets import Preset
from m3h.training.trial import Trial

TRIALS, FLEET, NETWORK = 10_000, 50, 500_000
RESULT = Path(__file__).parents[1] / "docs" / "results" / "ledger_scale.csv"


def make_trials() -> list[Trial]:
    first = Trial(
        dataset="0" * 32,
        tasks=("mortality", "stay"),
        sources=("labs", "notes", "xray"),
        weights=(1.0, 1.0),
        seed=0,
        preset=Preset(),
        learning_rate=3e-4,
        batch_size=256,
        epochs=15,
        update="sequential",
    )
    return [replace(first, replicate=i, fold=i % 5 if i % FLEET else None) for i in range(TRIALS)]


def ended(trial: Trial) -> Outcome:
    share = trial.replicate / TRIALS
    scores = {
        "mortality": {"auroc": 0.5 + share / 3, "auprc": share / 7, "brier": 0.1 + share / 9},
        "stay": {"r2": share - 0.5, "mae": 3 + share},
    }
    return Outcome(trial, scores, seconds=1.5, network=bytes(NETWORK) if trial.fold is None else None)


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def one_round(path: Path, trials: list[Trial]) -> dict[str, float]:
    """Seconds of every step on the ledger at ``path``."""
    found: dict[str, float] = {}
    opened: list[Ledger] = []
    found["open"] = seconds(lambda: opened.append(Ledger(path)))
    fleets = [trials[begin : begin + FLEET] for begin in range(0, TRIALS, FLEET)]
    with opened[0] as ledger:
        steps: dict[str, Callable[[], object]] = {
            "found, all trials at once": lambda: ledger.found(trials),
            "found, fleet by fleet": lambda: [ledger.found(fleet) for fleet in fleets],
            "claim, all trials at once": lambda: ledger.claim([trial.id for trial in trials]),
            "counts": ledger.counts,
            "list the newest 20": lambda: ledger.table(limit=20),
            "list the newest 20 with a task": lambda: ledger.table(task="stay", limit=20),
            "table of all trials": ledger.table,
            "CSV of all scores": lambda: write_scores(ledger.table(), path.with_name("scores.csv")),
            "one network": lambda: ledger.network(trials[0].id),
        }
        for name, act in steps.items():
            found[name] = seconds(act)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds that a ledger of 10,000 trials takes.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    trials = make_trials()
    for trial in trials:
        trial.id  # noqa: B018  # computed once and kept; not the ledger's work
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        writing = []
        with Ledger(path) as ledger:
            for begin in range(0, TRIALS, FLEET):
                fleet = [ended(trial) for trial in trials[begin : begin + FLEET]]
                writing.append(seconds(lambda fleet=fleet: ledger.record(fleet, study="scale")))
        rows = [("record a fleet of 50", statistics.median(writing))]
        size = path.stat().st_size
        measured = [one_round(path, trials) for _ in range(rounds)]
        rows += [(name, statistics.median(one[name] for one in measured)) for name in measured[0]]
    table = Table(title=f"A ledger of {TRIALS:,} trials, {size / 1e6:.0f} MB: median seconds of {rounds} rounds")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for name, value in rows:
        table.add_row(name, f"{value:.4f}")
    Console().print(table)
    with RESULT.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(
            [("step", "seconds"), *((name, f"{value:.4f}") for name, value in rows)]
        )


if __name__ == "__main__":
    main()
