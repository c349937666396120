"""Tables of task interactions and of a search, made up: what m3h tim and m3h search add to a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control, norm, rankdata

from m3h.evaluation.compare import COMPARED

_NOISE = 0.004


def signed_ranks(values: np.ndarray) -> np.ndarray:
    """Positive values rank from 1 up, negative ones from -1 down, 0 is 0; NaN stays."""
    ranks = np.where(np.isnan(values), np.nan, 0.0)
    for side in (1.0, -1.0):
        chosen = side * values > 0
        ranks[chosen] = side * rankdata(side * values[chosen])
    return ranks


def tim_table(
    names: Sequence[str], kinds: Mapping[str, str], *, method: str = "shared", missing: int = 3
) -> pl.DataFrame:
    """Effects of a few related groups of tasks among noise; ``missing`` cells of the last source have no value."""
    random = np.random.default_rng(5)
    count = len(names)
    family = np.arange(count) % max(2, count // 5)
    truth = np.where(family[:, None] == family[None, :], 0.012, -0.001) * random.uniform(0, 1.6, (count, count))
    truth -= 0.012 * (random.uniform(size=(count, count)) < 0.08)
    tim = truth + random.normal(0, _NOISE, (count, count))
    np.fill_diagonal(tim, np.nan)
    if missing and count > missing + 1:
        tim[-1, :missing] = np.nan
    p = 2 * norm.sf(np.abs(tim) / _NOISE)
    q = np.full_like(p, np.nan)
    q[~np.isnan(p)] = false_discovery_control(p[~np.isnan(p)])
    ranks = np.array([signed_ranks(row) for row in tim])
    rows = [
        {
            "source": source,
            "target": target,
            "tim": tim[i, j],
            "low": tim[i, j] - 1.96 * _NOISE,
            "high": tim[i, j] + 1.96 * _NOISE,
            "q": q[i, j],
            "trials": 0 if np.isnan(tim[i, j]) else 96,
            "rank": ranks[i, j],
            "method": method,
            "metric": COMPARED[kinds[source]],
        }
        for i, source in enumerate(names)
        for j, target in enumerate(names)
        if i != j
    ]
    frame = pl.DataFrame(rows)
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None).round(6))


def search_table(names: Sequence[str]) -> pl.DataFrame:
    """Singles, pairs and triples of each task; every fourth task is best alone."""
    random = np.random.default_rng(6)
    rows = []
    for place, task in enumerate(names):
        others = [name for name in names if name != task]
        base = random.uniform(0.6, 0.9)
        tried = [("single", (task,), base)]
        tried += [("pairs", (task, other), base + random.normal(0, 0.006)) for other in others[:8]]
        best = max(tried, key=lambda one: one[2])
        tried += [("triples", (*best[1], name), best[2] + random.normal(0.001, 0.004)) for name in others[8:10]]
        best = tried[0] if place % 4 == 3 or len(names) == 1 else max(tried[1:], key=lambda one: one[2])
        rows += [
            {
                "task": task,
                "step": step,
                "task_set": "+".join(sorted(members, key=list(names).index)),
                "cv_score": round(score, 6),
                "tried": len(tried),
                "chosen": members == best[1],
            }
            for step, members, score in tried
        ]
    return pl.DataFrame(rows)


def add_tim(folder: Path, names: Sequence[str], kinds: Mapping[str, str], *, method: str = "shared") -> None:
    """Write tim.csv and what run.json says of it."""
    table = tim_table(names, kinds, method=method)
    table.write_csv(folder / "tim.csv")
    _tell(
        folder,
        tim={
            "method": method,
            "folds": 1,
            "replicates": 3,
            "sets": 8 * len(names),
            "trainings": 24 * len(names),
            "pool": list(names),
            "left_out": [{"task": "trauma", "reason": "it excludes other sources than the rest"}],
            "metric": {name: COMPARED[kinds[name]] for name in names},
        },
        ledger={"finished": 24 * len(names) + 1, "failed": 1, "new": 24 * len(names)},
    )


def add_search(folder: Path, names: Sequence[str], kinds: Mapping[str, str], *, joint: bool = True) -> None:
    """Write search.csv, scores of the chosen sets into scores.csv, and their differences."""
    random = np.random.default_rng(7)
    table = search_table(names)
    table.write_csv(folder / "search.csv")
    chosen = dict(table.filter(pl.col("chosen")).select("task", "task_set").rows())
    scores = pl.read_csv(folder / "scores.csv")
    single = scores.filter(pl.col("role") == "single")
    gains = {name: 0.0 if chosen[name] == name else float(random.normal(0.004, 0.006)) for name in names}
    gain = pl.col("task").replace_strict(gains, return_dtype=pl.Float64)
    best = single.with_columns(
        pl.lit("best").alias("role"),
        pl.col("task").replace_strict(chosen, return_dtype=pl.String).alias("task_set"),
        *(pl.col(name) + gain for name in ("value", "low", "high")),
    )
    kept = scores if joint else scores.filter(pl.col("role") == "single")
    pl.concat([kept, best]).write_csv(folder / "scores.csv")
    rows = [
        {
            "task": name,
            "metric": COMPARED[kinds[name]],
            "role_a": a,
            "preset_a": "paper",
            "role_b": b,
            "preset_b": "paper",
            "difference": round(side * gains[name] + shift, 6),
            "relative": round(100 * (side * gains[name] + shift) / 0.8, 6),
            "low": round(side * gains[name] + shift - 0.006, 6),
            "high": round(side * gains[name] + shift + 0.006, 6),
        }
        for name in names
        for a, b, side, shift in [("best", "single", 1, 0.0), *([("joint", "best", -1, 0.002)] if joint else [])]
    ]
    file = folder / "differences.csv"
    made = pl.DataFrame(rows)
    (pl.concat([pl.read_csv(file), made]) if joint and file.exists() else made).write_csv(file)
    _tell(
        folder,
        search={
            "method": "planned",
            "folds": 5,
            "trainings": 40 * len(names),
            "sets_tried": table.get_column("task_set").n_unique(),
            "pool": list(names),
            "left_out": [],
        },
    )


def without_scores(folder: Path) -> None:
    """Leave what m3h tim alone leaves."""
    for name in ("scores.csv", "differences.csv", "predictions.parquet", "attention.csv"):
        (folder / name).unlink(missing_ok=True)
    kept = json.loads((folder / "run.json").read_text())
    for part in ("task_sets", "clusters"):
        kept.pop(part, None)
    (folder / "run.json").write_text(json.dumps(kept))


def _tell(folder: Path, **parts: object) -> None:
    kept = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(kept | parts))
