"""How well the ways to measure task interactions agree with the Banzhaf values of a study, for what they cost.

usage: python benchmarks/tim_methods.py STUDY.toml [--ledger FILE] [--tasks a,b] [--repetitions 5] [--out CSV]

The reference is the method exact: every set, with five replicates of its own, 100 to 104, which no method uses;
repetition k of a method uses the replicates from 10 k on and sets drawn with seed k. Every method is judged against the
Banzhaf values (exact) and against what it estimates itself: for pairs, the reference's singles and pairs. Seconds are
those of the trainings, as the ledger has them; how many sets fit into the seconds of pairs follows from the median
seconds of the reference by size of set. A run that is stopped goes on where it was. Columns: tim_judging.py; all
repetitions share one reference, which is written beside the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

import m3h
from m3h.api.engine import Maker, opened
from m3h.experiments.asking import Ask
from m3h.experiments.engine import Engine, answering
from m3h.experiments.pool import make_pool
from m3h.experiments.tim.design import design
from m3h.experiments.tim.measure import measure
from m3h.experiments.tim.settings import Settings
from m3h.study.presets import PRESETS, Protocol
from tim_judging import RESULTS, Asks, Place, Truth, repetitions, show, summary

TASKS = "death,length_of_stay,sofa,icu_type,hypotension,oliguria,ventilation,phenotype"
REFERENCE, REFERENCE_REPLICATES = 100, 5


def trained(engine: Engine, maker: Maker, names: Sequence[str]) -> Place:
    pool = make_pool(engine.dataset, names)
    last = [0.0]

    def told(share: float) -> None:
        if share - last[0] >= 0.1 or share < last[0]:
            last[0] = share
            print(f"{share:.0%}", end=" ", flush=True)

    answer = answering(engine, lambda ask: maker.asked(ask, pool), told)

    def seconds(asks: Asks) -> dict[Ask, float]:
        trials = {ask: maker.asked(ask, pool) for ask in asks}
        outcomes = engine.complete(list(trials.values()))
        return {ask: outcomes[trial.id].seconds for ask, trial in trials.items()}

    return Place(pool.tasks, answer, seconds)


def study(given: argparse.Namespace) -> pl.DataFrame:
    read = m3h.Study.read(given.study)
    data = m3h.dataset(read)
    protocol = Protocol() if given.epochs is None else Protocol(epochs=given.epochs)
    maker = Maker(data, PRESETS["paper"], protocol, device=given.device, seed=data.seed).jointly()
    with opened(data, given.ledger, device=given.device, memory=given.memory) as engine:
        place = trained(engine, maker, given.tasks.split(","))
        reference = place.shifted(REFERENCE)
        every = Settings("exact", replicates=REFERENCE_REPLICATES)
        truth = Truth(
            measure(place.tasks, every, 0, reference.answer),
            measure(place.tasks, replace(every, method="pairs"), 0, reference.answer),
        )
        spent = reference.seconds(design(place.tasks, every, 0))
        sizes = range(1, len(place.tasks) + 1)
        cost = {n: float(np.median([spent[ask] for ask in spent if len(ask.tasks) == n])) for n in sizes}
        print("\nseconds by size:", ", ".join(f"{n}: {value:.2f}" for n, value in cost.items()))
        table = summary(list(repetitions(place, truth, cost, range(given.repetitions))))
        kinds = {name: data.labels[name].task.kind for name in place.tasks}
        truth.banzhaf.table(kinds).write_csv(given.out.with_name(f"{given.out.stem}_reference.csv"), float_precision=5)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--ledger", type=Path, default=Path("tim_methods.sqlite"))
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--repetitions", type=int, default=5, choices=range(1, 10))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    parser.add_argument("--memory", type=int, help="bytes for a fleet")
    parser.add_argument("--out", type=Path, default=RESULTS / "tim_methods.csv")
    given = parser.parse_args()
    show(study(given), given.out)


if __name__ == "__main__":
    main()
