"""Does the planned search find sets as good as the paper's, and for how many trainings?

usage: python benchmarks/search_methods.py planted [--games 10] [--out CSV]
       python benchmarks/search_methods.py study STUDY.toml [--tasks a,b] [--folds 3] [--repetitions 3] [--ledgers DIR]

planted: games whose true gains are known (m3h.experiments.search.games.clustered); random is a control with the
trainings of planned: random sets in all folds, the best by cross-validation. Writes docs/results/search_planted.csv:
trainings (mean) and the most there can be; gain over the task alone, mean over tasks, as cross-validation says it and
as it truly is, with the standard error over games of the difference from paper; the share of the best possible gain.

study: both methods with ledgers of their own, every repetition with another seed of the trainings; then the chosen sets
and the tasks alone are trained on the whole training part and compared on the test part. Minutes are those of the
trainings, as the ledgers have them. Intervals: 95 %, paired, by patient. A run that is stopped goes on where it was.
Writes docs/results/search_NAME.csv, and search_NAME_tasks.csv with a line per task. The mean over tasks mixes metrics.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import m3h
from m3h.api.engine import Maker, finals, opened
from m3h.api.search import finals as final_trials
from m3h.api.search import floors
from m3h.core import seeds
from m3h.dataset.dataset import Dataset
from m3h.evaluation.compare import COMPARED
from m3h.evaluation.intervals import interval, patient_draws
from m3h.evaluation.scores import Prediction, measure
from m3h.experiments.asking import Ask
from m3h.experiments.engine import Engine, answering
from m3h.experiments.pool import Pool, make_pool
from m3h.experiments.search.asked import Asked, TaskSet
from m3h.experiments.search.found import Found
from m3h.experiments.search.games import Planted, clustered
from m3h.experiments.search.paper import ranking
from m3h.experiments.search.settings import Settings
from m3h.experiments.search.start import bounds, search
from m3h.study.presets import PRESETS, Protocol
from m3h.training.trial import Trial

RESULTS = Path(__file__).parents[1] / "docs" / "results"
TASKS = "death,length_of_stay,sofa,icu_type,hypotension,oliguria,ventilation,phenotype"
#: Tasks, noise of a training, deviation of the synergies, folds and settings of the planted games.
GAMES = (
    (8, 0.005, 0.004, 3, 1),
    (44, 0.0025, 0.004, 3, 1),
    (44, 0.005, 0.004, 3, 1),
    (44, 0.01, 0.004, 3, 1),
    (44, 0.005, 0.016, 3, 1),
    (44, 0.005, 0.004, 5, 4),
)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """One search in one game: trainings, seconds, and mean gains over tasks."""

    trainings: int
    seconds: float
    cv: float
    true: float


def played(game: Planted, settings: Settings, seed: int) -> Result:
    began = time.process_time()
    found = search(game.tasks, settings, seed, game.answer)
    seconds = time.process_time() - began
    cv = float(np.mean([best.score - best.alone for best in found.best.values()]))
    true = float(np.mean([game.gain(best.tasks, name) for name, best in found.best.items()]))
    return Result(found.trainings, seconds, cv, true)


def at_random(game: Planted, settings: Settings, seed: int, trainings: int) -> Result:
    """As many random sets as the trainings allow beside the tasks alone; the best by cross-validation."""
    began = time.process_time()
    every: list[TaskSet] = [one for size in (2, 3) for one in combinations(game.tasks, size)]
    each = settings.folds * settings.settings
    count = min(max(0, trainings // each - len(game.tasks)), len(every))
    drawn = seeds.generator(seed, "control").choice(len(every), count, replace=False)
    sets = [(name,) for name in game.tasks] + [every[number] for number in sorted(drawn.tolist())]
    asked = Asked(game.tasks, game.answer, {}, None)
    folds, grid = range(settings.folds), range(settings.settings)
    asked.ask("random", [Ask(one, fold=fold, setting=at) for one in sets for fold in folds for at in grid])
    chosen = {name: ranking(asked, name, asked.sets_with(name))[0] for name in game.tasks}
    cv = [asked.score(tasks, name) - asked.score((name,), name) for name, tasks in chosen.items()]
    true = [game.gain(tasks, name) for name, tasks in chosen.items()]
    return Result(asked.trainings, time.process_time() - began, float(np.mean(cv)), float(np.mean(true)))


def planted(games: int) -> pl.DataFrame:
    rows = []
    for tasks, noise, synergy, folds, grid in GAMES:
        results: dict[str, list[Result]] = {"paper": [], "planned": [], "random": []}
        possible, most = [], {}
        for seed in range(games):
            game = clustered(tasks, seed, noise=noise, synergy=synergy, settings=grid)
            possible.append(float(np.mean([game.best(name, 3)[1] for name in game.tasks])))
            for method in ("paper", "planned"):
                settings = Settings(method, folds=folds, settings=grid)  # type: ignore[arg-type]
                results[method].append(played(game, settings, seed))
                most[method] = str(sum(bound.trainings for bound in bounds(game.tasks, settings)))
            results["random"].append(at_random(game, settings, seed, results["planned"][-1].trainings))
        for method, found in results.items():
            rows.append(
                {"tasks": tasks, "noise": noise, "synergy": synergy, "folds": folds, "settings": grid, "method": method}
                | {"trainings": round(np.mean([one.trainings for one in found])), "at most": most.get(method, "")}
                | gains(found, results["paper"], possible)
            )
            print(rows[-1], flush=True)
    return pl.DataFrame(rows)


def gains(found: Sequence[Result], paper: Sequence[Result], possible: Sequence[float]) -> dict[str, str]:
    """The cells of one method; gains in units of the score."""
    ahead = np.array([one.true - other.true for one, other in zip(found, paper, strict=True)])
    error = ahead.std(ddof=1) / len(ahead) ** 0.5
    true = np.mean([one.true for one in found])
    return {
        "cv gain": f"{np.mean([one.cv for one in found]):.4f}",
        "true gain": f"{true:.4f}",
        "true gain - paper": "" if found is paper else f"{ahead.mean():+.4f} (se {error:.4f})",
        "of the possible": f"{true / np.mean(possible):.0%}",
        "seconds": f"{np.mean([one.seconds for one in found]):.1f}",
    }


@dataclass(frozen=True)
class Trained:
    """A search by training: what it found, what it took, and its models' predictions on the test rows: task -> those of
    the chosen set and of the task alone."""

    found: Found
    minutes: float
    predictions: Mapping[str, tuple[Prediction, Prediction]]


def trained(engine: Engine, maker: Maker, pool: Pool, settings: Settings, say: Callable[[str, int], None]) -> Trained:
    asked: dict[str, Trial] = {}

    def make(ask: Ask) -> Trial:
        trial = maker.asked(ask, pool)
        asked[trial.id] = trial
        return trial

    answer, floor = answering(engine, make), floors(engine.dataset, pool)
    found = search(pool.tasks, settings, maker.seed or 0, answer, floor=floor, say=say)
    seconds = sum(one.seconds for one in engine.complete(list(asked.values())).values())
    chosen = final_trials(found, pool, maker)
    alone = {name: maker.final((name,), pool.sources) for name in pool.tasks}
    networks, failures = finals(engine, [*chosen.values(), *alone.values()])
    if failures:
        raise SystemExit(f"{len(failures)} final trainings failed: {failures[0].reason}")
    by_id = {network.trial.id: network.predictions for network in networks}
    predictions = {name: (by_id[chosen[name].id][name], by_id[alone[name].id][name]) for name in pool.tasks}
    return Trained(found, seconds / 60, predictions)


def scored(data: Dataset, draws: NDArray[np.uint16], task: str, prediction: Prediction) -> Floats:
    """The score that the task is compared by, on the test rows and then on each draw (1 + draws,)."""
    truth = data.labels[task].values[data.test_rows]
    known = ~np.isnan(truth)
    kind = data.labels[task].task.kind
    one = measure(kind, truth[known], prediction.at(known))[COMPARED[kind]].bootstrap
    return np.concatenate([one(None), one(draws[:, known])])


def cell(gap: Floats) -> str:
    """A difference on the test rows with its interval over draws (1 + draws,)."""
    low, high = interval(gap[1:])
    return f"{gap[0]:+.4f} ({low:+.4f} to {high:+.4f})"


def compared(data: Dataset, methods: Mapping[str, Trained], repetition: int) -> tuple[list[dict], list[dict]]:
    """Rows of the summary and rows by task."""
    draws = patient_draws(data.patients[data.test_rows], data.seed)
    rows, details, means = [], [], {}
    for method, one in methods.items():
        test = {}
        for task, best in one.found.best.items():
            first, second = (scored(data, draws, task, prediction) for prediction in one.predictions[task])
            test[task] = first - second
            details.append(
                {"repetition": repetition, "task": task, "metric": COMPARED[data.labels[task].task.kind]}
                | {"method": method, "set": " + ".join(best.tasks), "sets tried": best.tried}
                | {"cv gain": f"{best.score - best.alone:+.4f}", "test gain": cell(test[task])}
            )
        means[method] = np.mean(list(test.values()), axis=0)
        cv = np.mean([best.score - best.alone for best in one.found.best.values()])
        rows.append(
            {"repetition": str(repetition), "method": method, "trainings": str(one.found.trainings)}
            | {"minutes": f"{one.minutes:.1f}", "cv gain": f"{cv:+.4f}", "test gain": cell(means[method])}
        )
    gap = {"repetition": str(repetition), "method": "planned - paper", "trainings": "", "minutes": "", "cv gain": ""}
    rows.append(gap | {"test gain": cell(means["planned"] - means["paper"])})
    return rows, details


def study(given: argparse.Namespace) -> tuple[pl.DataFrame, pl.DataFrame]:
    data = m3h.dataset(m3h.Study.read(given.study))
    pool = make_pool(data, given.tasks.split(","))
    protocol = Protocol() if given.epochs is None else Protocol(epochs=given.epochs)
    given.ledgers.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    details: list[dict] = []
    for repetition in range(given.repetitions):
        methods = {}
        for method in ("planned", "paper"):
            maker = Maker(data, PRESETS["paper"], protocol, device=given.device, seed=data.seed + repetition)
            settings = Settings(method, folds=given.folds)  # type: ignore[arg-type]
            ledger = given.ledgers / f"{method}-{repetition}.sqlite"

            def say(step: str, trainings: int, head: str = f"{repetition} {method}") -> None:
                print(f"{head}: {step}, {trainings} trainings", flush=True)

            with opened(data, ledger, device=given.device, memory=given.memory) as engine:
                methods[method] = trained(engine, maker, pool, settings, say)
        more, by_task = compared(data, methods, repetition)
        rows, details = rows + more, details + by_task
        print(pl.DataFrame(more), flush=True)
    return pl.DataFrame(rows), pl.DataFrame(details)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    games = parts.add_parser("planted")
    games.add_argument("--games", type=int, default=10)
    real = parts.add_parser("study")
    real.add_argument("study", type=Path)
    real.add_argument("--tasks", default=TASKS)
    real.add_argument("--folds", type=int, default=3)
    real.add_argument("--repetitions", type=int, default=3)
    real.add_argument("--ledgers", type=Path, default=Path("search_methods"))
    real.add_argument("--epochs", type=int)
    real.add_argument("--device", default="cpu", choices=("cpu", "cuda", "mps"))
    real.add_argument("--memory", type=int, help="bytes for a fleet")
    for part in (games, real):
        part.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.part == "planted":
        planted(given.games).write_csv(given.out or RESULTS / "search_planted.csv")
        return
    table, details = study(given)
    out = given.out or RESULTS / f"search_{given.study.resolve().parent.name}.csv"
    table.write_csv(out)
    details.write_csv(out.with_name(f"{out.stem}_tasks.csv"))


if __name__ == "__main__":
    main()
