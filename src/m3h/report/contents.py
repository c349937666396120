"""What a run folder holds, read once: everything the report says comes from here and from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from m3h.core.errors import FolderError
from m3h.study.task import HEADLINE, LOWER_IS_BETTER

_TEXT, _NUMBER, _WHOLE = pl.String(), pl.Float64(), pl.Int64()
_SCORES: dict[str, pl.DataType] = {
    **dict.fromkeys(("study", "task", "kind", "metric", "preset", "task_set", "role"), _TEXT),
    "n_test": _WHOLE,
    **dict.fromkeys(("value", "low", "high", "sd_paper"), _NUMBER),
    "seed": _WHOLE,
}
_DIFFERENCES: dict[str, pl.DataType] = {
    **dict.fromkeys(("task", "metric", "role_a", "preset_a", "role_b", "preset_b"), _TEXT),
    **dict.fromkeys(("difference", "relative", "low", "high"), _NUMBER),
}
_ATTENTION: dict[str, pl.DataType] = {
    **dict.fromkeys(("preset", "task_set", "task", "from_task"), _TEXT),
    "weight": _NUMBER,
}
_PREDICTIONS: dict[str, pl.DataType] = {
    **dict.fromkeys(("task", "class", "preset", "task_set", "role"), _TEXT),
    "seed": _WHOLE,
    **dict.fromkeys(("truth", "prediction"), _NUMBER),
}

#: Which way a paired difference points, read from its interval; "none" where there is no interval.
Verdict = Literal["ahead", "behind", "open", "none"]
_ROLE_ORDER = ("single", "joint", "best", "baseline")


@dataclass(frozen=True)
class Contents:
    """One run folder. Frames that the folder lacks are empty, with their columns.

    ``scores`` and ``differences`` are sorted into the study's order of tasks; ``predictions`` holds no sample or
    patient id, so that none can reach the page.
    """

    run: Mapping[str, Any]
    scores: pl.DataFrame
    differences: pl.DataFrame
    attention: pl.DataFrame
    predictions: pl.DataFrame

    @property
    def audit(self) -> Mapping[str, Any]:
        """What was counted before training; empty where the run kept no audit."""
        return self.run.get("audit") or {}

    @property
    def tasks(self) -> list[Mapping[str, Any]]:
        """The audit's tasks in the study's order; without an audit, names and kinds as the scores give them."""
        listed = list(self.audit.get("tasks") or [])
        known = {task["name"] for task in listed}
        for row in self.scores.select("task", "kind").unique(maintain_order=True).iter_rows(named=True):
            if row["task"] not in known:
                listed.append({"name": row["task"], "kind": row["kind"]})
        return listed

    @property
    def headline(self) -> pl.DataFrame:
        """Scores of each kind's first metric."""
        pairs = pl.DataFrame({"kind": list(HEADLINE), "metric": list(HEADLINE.values())})
        return self.scores.join(pairs, on=["kind", "metric"], how="semi", maintain_order="left")

    @property
    def series(self) -> list[str]:
        """What was scored against what: single, joint, best, then each baseline by its name."""
        found = self.scores.select("role", "preset").unique().sort("role", "preset").rows()
        ordered = sorted(found, key=lambda pair: (_ROLE_ORDER.index(pair[0]) if pair[0] in _ROLE_ORDER else 9, pair))
        return list(dict.fromkeys(series_of(role, preset) for role, preset in ordered))

    @property
    def alone(self) -> list[str]:
        """Tasks whose joint network holds no other task: for them joint and single are one and the same network."""
        joint = self.headline.filter((pl.col("role") == "joint") & (pl.col("task_set") == pl.col("task")))
        return joint.get_column("task").unique(maintain_order=True).to_list()


def read(run_folder: Path) -> Contents:
    """The contents of ``run_folder``: run.json and scores.csv are needed, the other files may be absent.

    Where a run was repeated with several seeds, the rows of the lowest are kept. Errors: FolderError.
    """
    run = _json(run_folder / "run.json")
    scores = _csv(run_folder / "scores.csv", _SCORES)
    if scores.is_empty():
        raise FolderError(
            "scores.csv has no row",
            where=str(run_folder),
            expected="one row per task and metric",
            next_step="repeat the run; this one did not get as far as its scores",
        )
    order = [task["name"] for task in (run.get("audit") or {}).get("tasks") or []]
    scores = _in_order(_lowest_seed(scores), order)
    return Contents(
        run=run,
        scores=scores,
        differences=_in_order(_csv(run_folder / "differences.csv", _DIFFERENCES, needed=False), order),
        attention=_csv(run_folder / "attention.csv", _ATTENTION, needed=False),
        predictions=_lowest_seed(_parquet(run_folder / "predictions.parquet", _PREDICTIONS)),
    )


def series_of(role: str, preset: str) -> str:
    """The name under which scores are compared: the role, or for a baseline the model's name."""
    return preset if role == "baseline" else role


def verdict(metric: str, low: float | None, high: float | None) -> Verdict:
    """Whether an interval of a difference a - b excludes 0, and to whose side; a lower Brier score or MAE is better."""
    if low is None or high is None:
        return "none"
    if low <= 0 <= high:
        return "open"
    return "ahead" if (low > 0) != (metric in LOWER_IS_BETTER) else "behind"


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _not_a_run(file, "cannot be read") from error
    if not isinstance(content, dict):
        raise _not_a_run(file, "is not a JSON object")
    return content


def _csv(file: Path, schema: Mapping[str, pl.DataType], *, needed: bool = True) -> pl.DataFrame:
    if not file.exists():
        if needed:
            raise _not_a_run(file, "is not there")
        return pl.DataFrame(schema=dict(schema))
    try:
        frame = pl.read_csv(file, schema_overrides=dict(schema))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _not_a_run(file, "cannot be read as a table") from error
    return _fitted(frame, file, schema)


def _parquet(file: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    if not file.exists():
        return pl.DataFrame(schema=dict(schema))
    try:
        # sorted, so that the page's bytes do not follow the order in which trainings finished
        frame = pl.read_parquet(file).sort(pl.all())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _not_a_run(file, "cannot be read as a table") from error
    return _fitted(frame, file, schema)


def _fitted(frame: pl.DataFrame, file: Path, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of ``schema`` alone, not-a-number made missing."""
    absent = [name for name in schema if name not in frame.columns]
    if absent:
        raise _not_a_run(file, "lacks a column", got=", ".join(absent))
    return frame.select(_column(name, kind) for name, kind in schema.items())


def _column(name: str, kind: pl.DataType) -> pl.Expr:
    """A column of its kind; an empty word is a word, a number that is none is missing."""
    column = pl.col(name).cast(kind)
    if kind == _TEXT:
        return column.fill_null("")
    return column.fill_nan(None) if kind == _NUMBER else column


def _not_a_run(file: Path, what: str, got: str | None = None) -> FolderError:
    return FolderError(
        f"{file.name} {what}",
        where=str(file.parent),
        got=got,
        expected="a folder that m3h run has written",
        next_step="give the folder named by --out of that run, or repeat the run",
    )


def _lowest_seed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("seed").is_null() | (pl.col("seed") == pl.col("seed").min().over("role", "preset")))


def _in_order(frame: pl.DataFrame, tasks: Sequence[str]) -> pl.DataFrame:
    place = pl.DataFrame(
        {"task": list(tasks), "_place": range(len(tasks))}, schema={"task": pl.String(), "_place": pl.Int64()}
    )
    joined = frame.join(place, on="task", how="left", maintain_order="left")
    return joined.sort("_place", maintain_order=True, nulls_last=True).drop("_place")
