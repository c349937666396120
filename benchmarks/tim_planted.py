"""How well the ways to measure task interactions find what was planted in games, for what they cost.

usage: python benchmarks/tim_planted.py [--games 20]

Games of eight tasks with known values answer in place of trainings (m3h.experiments.tim.games); noise of a training is
1, a typical effect 1. Writes docs/results/tim_designs.csv, ways to draw the sets at equal numbers, and tim_planted.csv,
all methods. Columns: tim_judging.py; error is the root mean square.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import polars as pl

from m3h.core import seeds
from m3h.experiments.asking import Ask
from m3h.experiments.tim.design import weighted
from m3h.experiments.tim.games import random_game
from m3h.experiments.tim.measure import estimate
from m3h.experiments.tim.settings import Settings
from tim_judging import RESULTS, Place, Truth, judge, known, repetitions, show, summary

GAMES: dict[str, dict[str, float]] = {
    "additive": {"level": 1.0},
    "pairs of targets matter": {"level": 1.0, "bend": 0.4},
    "replicates differ": {"level": 1.0, "bend": 0.2, "replicate": 1.0},
    "more tasks help less": {"level": 1.0, "bend": 0.2, "replicate": 0.3, "spread": 0.7, "saturation": 3.0},
    "weak effects": {"level": 1.0, "bend": 0.1, "replicate": 0.3, "common": 0.1, "spread": 0.3},
}


def planted(repeats: int) -> pl.DataFrame:
    """All methods on games of eight tasks; a set of t tasks is said to cost 0.7 + 0.15 t seconds."""
    cost = {size: 0.7 + 0.15 * size for size in range(1, 9)}
    rows: list[dict[str, object]] = []
    for name, noise in GAMES.items():
        for seed in range(repeats):
            game = random_game(8, seed, training=1.0, **noise)
            place = Place(game.tasks, game.answer, lambda asks: {ask: cost[len(ask.tasks)] for ask in asks})
            truth = Truth(known(game.tasks, game.value()), known(game.tasks, game.value(0.0)))
            rows += [{"game": name} | row for row in repetitions(place, truth, cost, [seed % 10])]
    return summary(rows)


def random_pairs(tasks: Sequence[str], seed: int, *, anew: bool) -> list[tuple[Ask, float]]:
    """Twelve sets with their complements for three replicates, without balance; the same for all, or anew for each."""
    drawn = []
    for replicate in range(3):
        rng = seeds.generator(seed, "benchmark sets", replicate if anew else 0)
        for code in rng.choice(2 ** (len(tasks) - 1), 6, replace=False):
            inside = [bool(code >> place & 1) for place in range(len(tasks))]
            for side in (True, False):
                chosen = tuple(name for name, one in zip(tasks, inside, strict=True) if one is side)
                drawn += [(Ask(chosen, 0, replicate), 1.0)] if chosen else []
    return drawn


def designs(repeats: int) -> pl.DataFrame:
    """Ways to draw 12 sets for each of three replicates of eight tasks, and both estimators."""
    rows = []
    for name, noise in GAMES.items():
        for seed in range(repeats):
            game = random_game(8, seed, training=1.0, **noise)
            ways = {
                "balanced, anew": list(weighted(game.tasks, Settings(), seed)),
                "random, anew": random_pairs(game.tasks, seed, anew=True),
                "random, repeated": random_pairs(game.tasks, seed, anew=False),
            }
            for way, drawn in ways.items():
                scores = game.answer([ask for ask, _ in drawn])
                for estimator in ("ridge", "means"):
                    settings = Settings(estimator=estimator, draws=300)
                    found = estimate(game.tasks, settings, seed, scores, drawn=drawn)
                    judged = judge(found, known(game.tasks, game.value()))
                    error = float(np.nanmean((found.tim - game.value()) ** 2))
                    rows.append({"game": name, "sets": way, "estimator": estimator, "error": error, **judged})
    table = pl.DataFrame(rows).group_by("game", "sets", "estimator", maintain_order=True)
    columns = [pl.col("error").mean().sqrt(), *map(pl.mean, ("spearman", "sign", "cover"))]
    return table.agg(pl.len().alias("games"), *columns).with_columns(pl.col(pl.Float64).round(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=20, help="games of each kind")
    given = parser.parse_args()
    show(designs(given.games), RESULTS / "tim_designs.csv")
    show(planted(given.games), RESULTS / "tim_planted.csv")


if __name__ == "__main__":
    main()
