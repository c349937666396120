"""What a run folder holds, read once: everything the report says comes from here and from nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from m3h.core.errors import FolderError
from m3h.report import folder
from m3h.report.folder import NUMBER, TEXT, TRUTH, WHOLE, Schema
from m3h.study.task import HEADLINE, LOWER_IS_BETTER, METRICS

_SCORES: Schema = {
    **dict.fromkeys(("study", "task", "kind", "metric", "preset", "task_set", "role"), TEXT),
    "n_test": WHOLE,
    **dict.fromkeys(("value", "low", "high", "sd_paper"), NUMBER),
    "seed": WHOLE,
}
_DIFFERENCES: Schema = {
    **dict.fromkeys(("task", "metric", "role_a", "preset_a", "role_b", "preset_b"), TEXT),
    **dict.fromkeys(("difference", "relative", "low", "high"), NUMBER),
}
_ATTENTION: Schema = {
    **dict.fromkeys(("preset", "task_set", "task", "from_task"), TEXT),
    "weight": NUMBER,
}
_PREDICTIONS: Schema = {
    **dict.fromkeys(("task", "class", "preset", "task_set", "role"), TEXT),
    "seed": WHOLE,
    **dict.fromkeys(("truth", "prediction"), NUMBER),
}
_DEPARTMENTS: Schema = {
    **dict.fromkeys(("department", "task", "metric", "verdict"), TEXT),
    **dict.fromkeys(("questions", "counted", "ahead", "behind", "open", "equal"), WHOLE),
    **dict.fromkeys(("single", "joint", "relative", "relative_low", "relative_high"), NUMBER),
    **dict.fromkeys(("least", "most", "width_ratio"), NUMBER),
}
_PHENOTYPE_MAP: Schema = {
    **dict.fromkeys(("task", "role", "preset", "method"), TEXT),
    **dict.fromkeys(("x", "y"), NUMBER),
    **dict.fromkeys(("cluster", "beside"), WHOLE),
}
_TIM: Schema = {
    **dict.fromkeys(("source", "target"), TEXT),
    **dict.fromkeys(("tim", "low", "high", "q"), NUMBER),
    "trials": WHOLE,
    "rank": NUMBER,
    **dict.fromkeys(("method", "metric"), TEXT),
}
_SEARCH: Schema = {
    **dict.fromkeys(("task", "step", "task_set"), TEXT),
    "cv_score": NUMBER,
    "tried": WHOLE,
    "chosen": TRUTH,
}

_ESTIMATE: Schema = dict.fromkeys(("value", "low", "high"), NUMBER)
#: What a run says of its model beside scores, by file name without its ending.
APPRAISAL: Mapping[str, Schema] = {
    "calibration": {
        **dict.fromkeys(("task", "class", "stage", "metric"), TEXT),
        **dict.fromkeys(("n", "events"), WHOLE),
        **_ESTIMATE,
    },
    "calibration_curve": {
        **dict.fromkeys(("task", "class", "stage"), TEXT),
        "bin": WHOLE,
        **dict.fromkeys(("predicted", "observed", "low", "high"), NUMBER),
    },
    "calibration_groups": {
        **dict.fromkeys(("task", "group", "subgroup", "reason"), TEXT),
        **dict.fromkeys(("patients", "bin", "n"), WHOLE),
        **dict.fromkeys(("predicted", "observed", "low", "high"), NUMBER),
    },
    "decision": {"task": TEXT, **dict.fromkeys(("threshold", "model", "low", "high", "treat_all"), NUMBER)},
    "operating": {**dict.fromkeys(("task", "metric"), TEXT), "wanted": NUMBER, "threshold": NUMBER, **_ESTIMATE},
    "conformal": {
        **dict.fromkeys(("task", "group", "subgroup"), TEXT),
        "n": WHOLE,
        **dict.fromkeys(("level", "covered", "low", "high", "size"), NUMBER),
    },
    "subgroups": {
        **dict.fromkeys(("task", "group", "subgroup", "reason"), TEXT),
        "patients": WHOLE,
        **_ESTIMATE,
        **dict.fromkeys(("difference", "difference_low", "difference_high", "p", "holm"), NUMBER),
    },
    "sources": {**dict.fromkeys(("task", "source"), TEXT), **_ESTIMATE, "with_all": NUMBER, "with_none": NUMBER},
    "features": {
        **dict.fromkeys(("task", "source", "feature"), TEXT),
        **dict.fromkeys(("value", "direction", "unexplained"), NUMBER),
    },
    "deletion": {
        **dict.fromkeys(("task", "metric", "order"), TEXT),
        "count": WHOLE,
        **dict.fromkeys(("moved", "score"), NUMBER),
    },
    "examples": {
        **dict.fromkeys(("task", "group", "predicted", "truth", "source", "feature", "unit", "measured"), TEXT),
        **dict.fromkeys(("number", "rank"), WHOLE),
        **dict.fromkeys(("prediction", "adds"), NUMBER),
    },
    "robustness": {
        **dict.fromkeys(("task", "role", "preset", "change", "metric"), TEXT),
        **dict.fromkeys(("amount", "value"), NUMBER),
    },
    "phenotypes": {
        **dict.fromkeys(("task", "source", "feature", "unit"), TEXT),
        **dict.fromkeys(("cluster", "n", "patients", "rank"), WHOLE),
        **dict.fromkeys(("share", "smd", "mean", "mean_others", "measured", "measured_others"), NUMBER),
    },
    "stability": {
        "task": TEXT,
        **dict.fromkeys(("groups", "patients", "resamples"), WHOLE),
        **_ESTIMATE,
    },
    "gates": {"task": TEXT, "gate": NUMBER, "between_rows": NUMBER},
}

#: Which way a paired difference points, read from its interval: "same" where every redraw gave no difference at all,
#: "none" where there is no interval.
Verdict = Literal["ahead", "behind", "open", "same", "none"]
#: Columns that runs of older versions lack: they are read as empty.
_LATER = frozenset({"role", "preset"})

_ROLE_ORDER = ("single", "joint", "best", "baseline")
_KIND_OF = {metric: kind for kind, metrics in METRICS.items() for metric in metrics}


@dataclass(frozen=True)
class Contents:
    """One run folder. Frames that the folder lacks are empty, with their columns.

    ``scores`` and ``differences`` are sorted into the study's order of tasks; ``predictions`` holds no sample or
    patient id, so that none can reach the page. ``tim`` has one row per pair of tasks, source scored and target added;
    ``search`` the sets that were tried for each task, one of them chosen; ``appraisal`` a frame for each of
    :data:`APPRAISAL`; ``departments`` joint over single by department, a row with an empty task for each as a whole;
    ``phenotype_map`` places of test rows in the plane, by task and role.
    """

    run: Mapping[str, Any]
    scores: pl.DataFrame
    differences: pl.DataFrame
    attention: pl.DataFrame
    predictions: pl.DataFrame
    tim: pl.DataFrame
    search: pl.DataFrame
    appraisal: Mapping[str, pl.DataFrame] = field(
        default_factory=lambda: {name: pl.DataFrame(schema=dict(schema)) for name, schema in APPRAISAL.items()}
    )
    departments: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(_DEPARTMENTS)))
    phenotype_map: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(_PHENOTYPE_MAP)))

    @property
    def audit(self) -> Mapping[str, Any]:
        """What was counted before training; empty where the run kept no audit."""
        return self.run.get("audit") or {}

    @property
    def tasks(self) -> list[Mapping[str, Any]]:
        """The audit's tasks in the study's order; without an audit, names and kinds as the tables give them."""
        listed = {task["name"]: task for task in self.audit.get("tasks") or []}
        for name, kind in self.scores.select("task", "kind").iter_rows():
            listed.setdefault(name, {"name": name, "kind": kind})
        for name, metric in self.tim.select("source", "metric").iter_rows():
            listed.setdefault(name, {"name": name, "kind": _KIND_OF.get(metric, "")})
        for name in [*self.tim.get_column("target"), *self.search.get_column("task")]:
            listed.setdefault(name, {"name": name, "kind": ""})
        return list(listed.values())

    @property
    def headline(self) -> pl.DataFrame:
        """Scores of each kind's first metric."""
        pairs = pl.DataFrame({"kind": list(HEADLINE), "metric": list(HEADLINE.values())})
        return self.scores.join(pairs, on=["kind", "metric"], how="semi", maintain_order="left")

    @property
    def series(self) -> list[str]:
        """What was scored against what: single, joint, best, then each baseline by its name."""
        # a task that was left out has a row of no role
        scored = self.scores.filter(pl.col("role") != "")
        found = scored.select("role", "preset").unique().sort("role", "preset").rows()
        ordered = sorted(found, key=lambda pair: (_ROLE_ORDER.index(pair[0]) if pair[0] in _ROLE_ORDER else 9, pair))
        return list(dict.fromkeys(series_of(role, preset) for role, preset in ordered))

    @property
    def alone(self) -> list[str]:
        """Tasks whose joint network holds no other task: for them joint and single are one and the same network."""
        return self.alone_as("joint")

    def alone_as(self, role: str) -> list[str]:
        """Tasks whose network of that role holds no other task."""
        own = self.headline.filter((pl.col("role") == role) & (pl.col("task_set") == pl.col("task")))
        return own.get_column("task").unique(maintain_order=True).to_list()

    def facts(self, part: str) -> Mapping[str, Any]:
        """What run.json says of a part of the run, such as ``tim`` or ``search``; empty where it says nothing."""
        return self.run.get(part) or {}


def read(run_folder: Path) -> Contents:
    """The contents of ``run_folder``: run.json is needed, and scores.csv, tim.csv or search.csv; others may be absent.

    Where a run was repeated with several seeds, the rows of the lowest are kept. Errors: FolderError.
    """
    run = folder.json_object(run_folder / "run.json")
    _check_facts(run, run_folder / "run.json")
    tim, search = folder.csv(run_folder / "tim.csv", _TIM), folder.csv(run_folder / "search.csv", _SEARCH)
    _check_tim(tim, run_folder / "tim.csv")
    _check_search(search, run_folder / "search.csv")
    scores_file = run_folder / "scores.csv"
    scores = folder.csv(scores_file, _SCORES, needed=tim.is_empty() and search.is_empty())
    if scores.is_empty() and scores_file.exists():
        raise FolderError(
            "scores.csv has no row",
            where=str(run_folder),
            expected="one row per task and metric",
            next_step="repeat the run; this one did not get as far as its scores",
        )
    order = [task["name"] for task in (run.get("audit") or {}).get("tasks") or []]
    return Contents(
        run=run,
        scores=_in_order(_lowest_seed(scores), order),
        differences=_in_order(folder.csv(run_folder / "differences.csv", _DIFFERENCES), order),
        attention=folder.csv(run_folder / "attention.csv", _ATTENTION),
        predictions=_lowest_seed(folder.parquet(run_folder / "predictions.parquet", _PREDICTIONS)),
        tim=tim,
        search=_in_order(search, order),
        appraisal={
            name: _in_order(folder.csv(run_folder / f"{name}.csv", schema, later=_LATER), order)
            for name, schema in APPRAISAL.items()
        },
        departments=folder.csv(run_folder / "departments.csv", _DEPARTMENTS),
        phenotype_map=folder.csv(run_folder / "phenotype_map.csv", _PHENOTYPE_MAP),
    )


def _check_facts(run: Mapping[str, Any], file: Path) -> None:
    """What run.json says of the search and the interactions has the form that is read further on."""
    for part in ("tim", "search", "ledger"):
        facts = run.get(part) or {}
        if not isinstance(facts, dict):
            raise folder.not_a_run(file, "is not as written", got=f'"{part}" is no object')
        for entry in facts.get("left_out") or []:
            if not isinstance(entry, dict) or not {"task", "reason"} <= set(entry):
                raise folder.not_a_run(file, "is not as written", got=f'a task left out of "{part}" without a reason')


def _check_tim(frame: pl.DataFrame, file: Path) -> None:
    """Every pair once, every value with its rank, one method: what the heat map takes for granted."""
    pairs = frame.filter(pl.col("source") != pl.col("target"))
    if pairs.select("source", "target").is_duplicated().any():
        raise folder.not_a_run(file, "holds a pair of tasks twice")
    if pairs.filter(pl.col("tim").is_not_null() & pl.col("rank").is_null()).height:
        raise folder.not_a_run(file, "holds a value without its rank")
    if pairs.get_column("method").n_unique() > 1:
        methods = ", ".join(pairs.get_column("method").unique(maintain_order=True))
        raise folder.not_a_run(file, "holds values of several methods", got=methods)


def _check_search(frame: pl.DataFrame, file: Path) -> None:
    chosen = frame.group_by("task", maintain_order=True).agg(pl.col("chosen").fill_null(False).sum())
    wrong = chosen.filter(pl.col("chosen") != 1).height
    if wrong:
        raise folder.not_a_run(file, "does not name one chosen set per task", got=f"{wrong} tasks with none or several")


def series_of(role: str, preset: str) -> str:
    """The name under which scores are compared: the role, or for a baseline the model's name."""
    return preset if role == "baseline" else role


def verdict(metric: str, low: float | None, high: float | None) -> Verdict:
    """Whether an interval of a difference a - b excludes 0, and to whose side; a lower Brier score or MAE is better."""
    if low is None or high is None:
        return "none"
    if low == high == 0:
        return "same"
    if low <= 0 <= high:
        return "open"
    return "ahead" if (low > 0) != (metric in LOWER_IS_BETTER) else "behind"


def _lowest_seed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("seed").is_null() | (pl.col("seed") == pl.col("seed").min().over("role", "preset")))


def _in_order(frame: pl.DataFrame, tasks: Sequence[str]) -> pl.DataFrame:
    place = pl.DataFrame(
        {"task": list(tasks), "_place": range(len(tasks))}, schema={"task": pl.String(), "_place": pl.Int64()}
    )
    joined = frame.join(place, on="task", how="left", maintain_order="left")
    return joined.sort("_place", maintain_order=True, nulls_last=True).drop("_place")
