"""Does memory grow with the number of trainings? `python benchmarks/memory_by_trials.py [--trials 2000]`

Trains random pairs of 12 tasks (600 samples, 60 columns, one epoch) through the engine with a ledger on disk, in one
call, and writes what is resident as trainings end: docs/results/memory_by_trials.csv.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
from pathlib import Path

from fleet_data import study
from m3h.api.engine import opened
from m3h.experiments.memory import resident_bytes
from m3h.study.presets import PRESETS, Protocol
from m3h.training.trial import make_trial

OUT = Path(__file__).parents[1] / "docs" / "results" / "memory_by_trials.csv"
MARKS = (100, 250, 500, 1000, 1500, 2000, 4000, 8000)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    wanted = parser.parse_args().trials
    data = study(600, (4, 56), 12)
    names = [name for name in data.usable() if data.labels[name].task.kind != "clustering"]
    protocol = Protocol(epochs=1, batch_sizes=(256,), update="joint")
    asked = []
    pairs = list(itertools.combinations(names, 2))
    for number in range(wanted):
        replicate, place = divmod(number, len(pairs))
        asked.append(
            make_trial(data, pairs[place], preset=PRESETS["paper"], protocol=protocol, replicate=replicate, fold=0)
        )
    rows: list[tuple[int, str]] = []
    with tempfile.TemporaryDirectory() as folder, opened(data, Path(folder) / "ledger.sqlite") as engine:

        def look(_: float) -> None:
            done = engine.trained
            for mark in MARKS:
                if done >= mark > (rows[-1][0] if rows else 0):
                    rows.append((mark, f"{resident_bytes() / 2**20:.0f}"))
                    print(*rows[-1], flush=True)

        engine.complete(asked, look)
        look(1.0)
    with OUT.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("trainings", "resident (MiB)"), *rows])


if __name__ == "__main__":
    main()
