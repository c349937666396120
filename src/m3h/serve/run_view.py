"""What is told of a run: plain values, the same for pages and for JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.report import interactions as tims
from m3h.report import summary, titles
from m3h.report.contents import series_of, verdict
from m3h.serve.served import Served
from m3h.study.task import HEADLINE, LOWER_IS_BETTER, Task

#: Bars of a distribution, and shades of a matrix beside the lightest.
BINS, DEPTHS = 20, 4
#: Shares of attention from which a shade is deeper.
SHARES = (0.05, 0.1, 0.25, 0.5)


def about(served: Served) -> dict[str, Any]:
    """The run at a glance."""
    run = served.contents.run
    counts = run.get("counts") or {}
    return {
        "name": (run.get("study") or {}).get("name") or served.model.study.name,
        "title": served.title,
        "notes": (run.get("study") or {}).get("notes") or "",
        "created": run.get("created") or "",
        "version": run.get("m3h") or "",
        "preset": (run.get("settings") or {}).get("preset") or "",
        "counts": {name: counts.get(name) for name in ("samples", "patients", "sources", "tasks", "networks")},
        "cautions": summary.cautions(titles.titled(served.contents)) if not served.contents.scores.is_empty() else [],
        "sources": [{"name": one.name, "modality": one.modality} for one in served.model.study.sources],
        "series": served.contents.series,
        "tasks": tasks(served),
        "report": (served.run / "report.html").is_file(),
        "cohort": None if served.cohort is None else {"title": served.cohort.title, "samples": len(served.cohort)},
    }


def tasks(served: Served) -> list[dict[str, Any]]:
    """Every task of the model with its headline scores by series."""
    headline = served.contents.headline
    found = []
    for task in served.model.tasks:
        own = headline.filter(pl.col("task") == task.name)
        scores = {
            series_of(row["role"], row["preset"]): _score(row) for row in own.iter_rows(named=True) if row["role"]
        }
        found.append(_named(served, task) | {"metric": HEADLINE[task.kind], "scores": scores})
    return found


def task(served: Served, name: str) -> dict[str, Any]:
    """All that is known of one task. Errors: Refusal (404) if there is none of this name."""
    one = served.task(name)
    contents = served.contents
    scores = contents.scores.filter((pl.col("task") == name) & (pl.col("role") != ""))
    gaps = contents.differences.filter((pl.col("task") == name) & pl.col("difference").is_not_null())
    return _named(served, one) | {
        "sources": list(served.model.sources[name]),
        "task_set": served.model.sets[name].split("+") if len(served.model.tasks) > 1 else [name],
        "scores": [_full_score(row) for row in scores.iter_rows(named=True)],
        "differences": [_difference(row) for row in gaps.iter_rows(named=True)],
        "interactions": _tim(served, name),
        "attention": _attention(served, name),
        "distribution": distribution(served, one),
    }


def interactions(served: Served) -> dict[str, Any]:
    """TIM and attention of the run: every pair that was measured."""
    made = tims.matrix(titles.titled(served.contents))
    return {
        "tim": _tim(served, None),
        "attention": _attention(served, None),
        "about": tims.explanation(made, served.contents.facts("tim")) if made else [],
        "caution": tims.caution(made) if made else "",
    }


def distribution(served: Served, one: Task) -> dict[str, Any] | None:
    """How the answers to a task are spread over the patients served: bars of equal width with their ``counts``, or for
    classes and groups the patients of whom each is most likely. None where there are no patients."""
    cohort = served.cohort
    if cohort is None:
        return None
    values = cohort.answers[one.name]
    if one.kind == "multiclass":
        counts = np.bincount(values.argmax(1), minlength=values.shape[1])
        return {"labels": list(served.model.classes[one.name]), "counts": counts.tolist(), "edges": None}
    if one.kind == "clustering":
        counts = np.bincount(values.astype(np.int64), minlength=one.clusters)
        return {"labels": [str(number) for number in range(len(counts))], "counts": counts.tolist(), "edges": None}
    return {"labels": None, **_bars(values, (0.0, 1.0) if one.kind == "binary" else None)}


def _bars(values: NDArray[np.float64], ends: tuple[float, float] | None) -> dict[str, Any]:
    low, high = ends or (float(values.min()), float(values.max()))
    counts, edges = np.histogram(values, bins=BINS, range=(low, high if high > low else low + 1))
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def _named(served: Served, one: Task) -> dict[str, Any]:
    return {
        "task": one.name,
        "title": served.named.get(one.name, one.name),
        "kind": one.kind,
        "unit": one.unit,
        "department": one.department,
        "classes": list(served.model.classes.get(one.name, ())) if one.kind == "multiclass" else [],
    }


def _score(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"n": row["n_test"], "value": row["value"], "low": row["low"], "high": row["high"]}


def _full_score(row: Mapping[str, Any]) -> dict[str, Any]:
    return _score(row) | {
        "metric": row["metric"],
        "role": row["role"],
        "series": series_of(row["role"], row["preset"]),
        "preset": row["preset"],
        "task_set": row["task_set"],
        "better": "lower" if row["metric"] in LOWER_IS_BETTER else "higher",
    }


def _difference(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metric": row["metric"],
        "of": series_of(row["role_a"], row["preset_a"]),
        "less": series_of(row["role_b"], row["preset_b"]),
        **{name: row[name] for name in ("difference", "relative", "low", "high")},
        "verdict": verdict(row["metric"], row["low"], row["high"]),
    }


def _tim(served: Served, name: str | None) -> list[dict[str, Any]]:
    """Measured pairs, those of one task, or all: ``source`` is the task scored, ``target`` the one added."""
    frame = served.contents.tim.filter((pl.col("source") != pl.col("target")) & pl.col("tim").is_not_null())
    if name is not None:
        frame = frame.filter((pl.col("source") == name) | (pl.col("target") == name))
    found = []
    for row in frame.iter_rows(named=True):
        marked = row["q"] is not None and row["q"] <= tims.FALSE_DISCOVERY and row["tim"] != 0
        titled = {f"{key}_title": served.named.get(row[key], row[key]) for key in ("source", "target")}
        kept = {key: row[key] for key in ("source", "target", "metric", "tim", "low", "high", "q", "rank", "trials")}
        found.append(kept | titled | {"marked": marked})
    return found


def _attention(served: Served, name: str | None) -> list[dict[str, Any]]:
    """Mean attention of the sets that answer, what one task asks, or all; the weights of a task add up to 1."""
    used = set(served.model.sets.values())
    frame = served.contents.attention.filter(pl.col("task_set").is_in(list(used)))
    frame = frame.filter(pl.col("weight").is_not_null())
    if name is not None:
        frame = frame.filter(pl.col("task") == name)
    return [
        {
            "task": row["task"],
            "task_title": served.named.get(row["task"], row["task"]),
            "from_task": row["from_task"],
            "from_title": served.named.get(row["from_task"], row["from_task"]),
            "weight": row["weight"],
        }
        for row in frame.iter_rows(named=True)
        if served.model.sets.get(row["task"]) == row["task_set"]
    ]


def matrix(
    pairs: list[dict[str, Any]], row: str, column: str, depth: Callable[[dict[str, Any]], int]
) -> dict[str, Any] | None:
    """Pairs as a square: names as they come, titles, and (row, column) -> pair with the ``depth`` of its colour."""
    if not pairs:
        return None
    titled = {one[row]: one[f"{row}_title"] for one in pairs}
    other = "from_title" if column == "from_task" else f"{column}_title"
    titled |= {one[column]: one[other] for one in pairs}
    cells = {(one[row], one[column]): one | {"depth": depth(one)} for one in pairs}
    return {"names": list(titled), "titles": titled, "cells": cells}


def beside_row(pairs: list[dict[str, Any]]) -> Callable[[dict[str, Any]], int]:
    """How deep a measured pair is coloured, 0 to 4: its size beside the largest of its row, for rows have units of
    their own."""
    largest: dict[str, float] = {}
    for one in pairs:
        largest[one["source"]] = max(largest.get(one["source"], 0.0), abs(one["tim"]))

    def depth(one: dict[str, Any]) -> int:
        most = largest[one["source"]]
        return min(DEPTHS, math.ceil(DEPTHS * abs(one["tim"]) / most)) if most > 0 else 0

    return depth


def share(one: dict[str, Any]) -> int:
    """How deep a share of attention is coloured, 0 to 4."""
    return sum(one["weight"] >= bound for bound in SHARES)
