"""How measured task interactions are judged against a reference; used by tim_planted.py and tim_methods.py.

Columns: spearman, mean over sources; sign, share of values with the reference's sign, and sign_sure of those whose
reference interval excludes 0 (sure: their number); cover, share of values whose difference from the reference is within
both 95 % intervals, half-widths added as squares, since the reference has an error too; better, share of repetitions in
which spearman against Banzhaf is above that of pairs. Pairs are also judged against their own estimand, pairs; that of
shared is Banzhaf. _sd is the standard deviation over repetitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from m3h.experiments.asking import Answer, Ask, Scores
from m3h.experiments.tim.design import design
from m3h.experiments.tim.interactions import Interactions
from m3h.experiments.tim.measure import estimate
from m3h.experiments.tim.settings import Settings

RESULTS = Path(__file__).parents[1] / "docs" / "results"
PAIRS = Settings("pairs")
Asks = Sequence[Ask]
#: Seconds of a training by the number of its tasks.
Cost = Mapping[int, float]


@dataclass(frozen=True)
class Place:
    """Where scores come from, and how many seconds each training took."""

    tasks: tuple[str, ...]
    answer: Answer
    seconds: Callable[[Asks], Mapping[Ask, float]]

    def shifted(self, by: int) -> Place:
        """The same with other replicates."""

        def there(ask: Ask) -> Ask:
            return replace(ask, replicate=ask.replicate + by)

        def answer(asks: Asks) -> dict[Ask, Scores]:
            found = self.answer([there(ask) for ask in asks])
            return {ask: found[there(ask)] for ask in asks}

        def seconds(asks: Asks) -> dict[Ask, float]:
            found = self.seconds([there(ask) for ask in asks])
            return {ask: found[there(ask)] for ask in asks}

        return Place(self.tasks, answer, seconds)


@dataclass(frozen=True)
class Truth:
    """What methods are judged against: the Banzhaf values and the values of pairs."""

    banzhaf: Interactions
    pairs: Interactions


def known(tasks: tuple[str, ...], values: np.ndarray) -> Interactions:
    """Values without error."""
    return Interactions(tasks, "exact", values, values, values, np.zeros_like(values), np.zeros_like(values))


def judge(found: Interactions, truth: Interactions) -> dict[str, float]:
    both = np.isfinite(found.tim) & np.isfinite(truth.tim)
    rows = [
        spearmanr(found.tim[i, row], truth.tim[i, row])[0]
        for i, row in enumerate(both)
        if row.sum() > 2 and np.ptp(found.tim[i, row]) > 0 and np.ptp(truth.tim[i, row]) > 0
    ]
    right = (np.sign(found.tim) == np.sign(truth.tim))[both]
    sure = ((truth.low > 0) | (truth.high < 0))[both]
    reach = np.hypot(found.high - found.low, truth.high - truth.low)[both] / 2
    inside = np.abs(found.tim - truth.tim)[both] <= reach
    return {
        "spearman": float(np.mean(rows)) if rows else float("nan"),
        "sign": float(right.mean()) if right.size else float("nan"),
        "sign_sure": float(right[sure].mean()) if sure.any() else float("nan"),
        "sure": float(sure.sum()),
        "cover": float(inside.mean()) if inside.size else float("nan"),
    }


def expected(tasks: Sequence[str], settings: Settings, seed: int, cost: Cost) -> float:
    return sum(cost[len(ask.tasks)] for ask in design(tasks, settings, seed))


def methods(tasks: Sequence[str], seed: int, cost: Cost) -> Iterator[tuple[str, Settings]]:
    """Pairs, and shared with as many sets as fit into half its seconds, its trainings and its seconds."""
    budget, trainings = expected(tasks, PAIRS, seed, cost), len(design(tasks, PAIRS, seed))
    yield "pairs", PAIRS
    yield "shared, default", Settings()

    def largest(fits: Callable[[Settings], bool]) -> Settings:
        sets = 2
        while fits(Settings(sets=sets + 2)) and sets < 2 ** len(tasks):
            sets += 2
        return Settings(sets=sets)

    yield "shared, half the seconds", largest(lambda one: expected(tasks, one, seed, cost) <= budget / 2)
    equal = largest(lambda one: expected(tasks, one, seed, cost) <= budget)
    yield "shared, equal seconds", equal
    yield "shared, equal seconds, in minus out", replace(equal, estimator="means")
    yield "shared, equal trainings", largest(lambda one: len(design(tasks, one, seed)) <= trainings)


def repetitions(place: Place, truth: Truth, cost: Cost, numbers: Sequence[int]) -> Iterator[dict[str, object]]:
    for number in numbers:
        here = place.shifted(10 * number)
        agreement = float("nan")
        for name, settings in methods(place.tasks, number, cost):
            asks = design(place.tasks, settings, number)
            found = estimate(place.tasks, settings, number, here.answer(asks))
            spent = {"trainings": float(len(asks)), "seconds": sum(here.seconds(asks).values())}
            own = [("pairs", truth.pairs)] if settings.method == "pairs" else []
            for against, judged in [("Banzhaf", truth.banzhaf), *own]:
                scores = judge(found, judged)
                if against == "Banzhaf":
                    agreement = scores["spearman"] if name == "pairs" else agreement
                    scores["better"] = float(scores["spearman"] > agreement)
                yield {"method": name, "against": against, **spent, **scores}


def summary(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Means and standard deviations over repetitions."""
    table = pl.DataFrame(rows, infer_schema_length=None)
    spread = [pl.col(name).std().alias(f"{name}_sd") for name in ("spearman", "sign", "cover")]
    names = ("trainings", "seconds", "spearman", "better", "sign", "sign_sure", "sure", "cover")
    keys = [name for name in ("game", "method", "against") if name in table.columns]
    made = table.group_by(keys, maintain_order=True).agg(pl.len().alias("repetitions"), *map(pl.mean, names), *spread)
    pairs = pl.col("seconds").filter(pl.col("method") == "pairs").first()
    share = (pl.col("seconds") / (pairs.over("game") if "game" in keys else pairs)).alias("seconds_of_pairs")
    made = made.with_columns(share, pl.col("trainings", "seconds").round(0).cast(pl.Int64))
    spread_names = ["spearman", "spearman_sd", "better", "sign", "sign_sd", "sign_sure", "sure", "cover", "cover_sd"]
    order = [*keys, "repetitions", "trainings", "seconds", "seconds_of_pairs", *spread_names]
    return made.select(order).with_columns(pl.col(pl.Float64).round(3).fill_nan(None))


def show(table: pl.DataFrame, file: Path) -> None:
    table.write_csv(file)
    print(f"{file.name}: {table.height} rows")
