"""Run folders made up for the report's tests: every file in the form that m3h run writes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pools
from m3h.study.task import METRICS

NAMES = (
    "death",
    "length_of_stay",
    "icu_type",
    "hypotension",
    "phenotype",
    "tachycardia",
    "fever",
    "coma",
    "oliguria",
    "sofa",
    "thrombocytopenia",
    "anemia",
    "hyperglycemia",
    "hyponatremia",
    "hyperkalemia",
    "acidosis",
    "leukocytosis",
    "hyperlactatemia",
    "kidney_injury",
    "ventilation",
)
KINDS = {
    "length_of_stay": "regression",
    "sofa": "regression",
    "icu_type": "multiclass",
    "phenotype": "clustering",
}
DEPARTMENTS = ("Cardiology", "Emergency and intensive care", "Nephrology", "Surgery")
CLASSES = ("coronary", "medical", "surgical", "trauma")
PRESETS = {"single": "paper", "joint": "paper", "lightgbm": "lightgbm", "linear": "linear"}


def task_names(count: int) -> list[str]:
    return [
        NAMES[index] if index < len(NAMES) else f"{NAMES[index % len(NAMES)]}_within_{index}_hours"
        for index in range(count)
    ]


def kind_of(name: str) -> str:
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), "binary")


def audit(names: Sequence[str], *, departments: bool, rows: int) -> dict[str, object]:
    def side(kind: str, count: int) -> dict[str, object]:
        base: dict[str, object] = {"labelled": count, "patients": count}
        if kind == "binary":
            return base | {"positive": count // 7, "prevalence": (count // 7) / count}
        if kind == "multiclass":
            return base | {"shares": dict(zip(CLASSES, (0.4, 0.3, 0.2, 0.1), strict=True))}
        if kind == "regression":
            return base | {"mean": 13.1, "sd": 11.9, "median": 10.0, "q1": 6.0, "q3": 17.0}
        return base

    tasks = [
        {
            "name": name,
            "kind": kind_of(name),
            "department": DEPARTMENTS[index % 4] if departments else "",
            "unit": "days" if kind_of(name) == "regression" else "",
            "classes": list(CLASSES) if kind_of(name) == "multiclass" else [],
            "excluded_sources": ["findings"] if index == 1 else [],
            "unusable": None,
            "unknown_class": 0,
            "train": side(kind_of(name), 4 * rows),
            "test": side(kind_of(name), rows),
        }
        for index, name in enumerate(names)
    ]
    numbers = {"known": 4 * rows, "mean": 64.2, "sd": 17.3, "median": 67.0, "q1": 53.0, "q3": 78.0}
    sources = [
        {
            "name": name,
            "modality": modality,
            "encoder": encoder,
            "width": width,
            "coverage_train": train,
            "coverage_test": train - 0.02,
            "counts": counts,
            "unreadable": 2 if modality == "vision" else 0,
            "constant_columns": ["urine"] if modality == "tabular" else [],
            "identical_columns": [],
        }
        for name, modality, encoder, width, train, counts in (
            ("demographics", "tabular", "tabular", 4, 1.0, {}),
            (
                "bedside",
                "timeseries",
                "statistics",
                518,
                0.99,
                {"rows": 3_497_123, "unmatched": 12, "missing_time": 7, "later": 1_650_111, "missing_value": 0}
                | {"used": 1_846_993},
            ),
            ("note", "language", "tfidf", 128, 0.62, {}),
            ("xray", "vision", "hog", 96, 0.31, {}),
        )
    ]
    return {
        "samples": {
            "rows": 5 * rows,
            "patients": 5 * rows - 3,
            "train_rows": 4 * rows,
            "test_rows": rows,
            "train_patients": 4 * rows - 3,
            "test_patients": rows,
            "split": "given",
        },
        "sources": sources,
        "tasks": tasks,
        "subgroups": [
            {"name": "sex", "levels": [{"level": "male", "train": 2 * rows, "test": rows // 2}]},
        ],
        "table_one": [
            {"source": "demographics", "column": "age", "unit": "years", "train": numbers, "test": numbers},
            {"source": "demographics", "column": "height", "unit": "cm", "train": numbers, "test": {"known": 0}},
        ],
        "alarms": [
            {"kind": "times left out", "text": "5 rows"},
            {"kind": "feature equals label", "text": "lab_9 of bedside equals the label of coma"},
        ],
    }


def scores(names: Sequence[str], series: Sequence[str], random: np.random.Generator, rows: int) -> pl.DataFrame:
    found = []
    for name in names:
        kind = kind_of(name)
        base = random.uniform(0.6, 0.92) if kind in ("binary", "multiclass") else random.uniform(0.05, 0.5)
        for one in series:
            for metric in METRICS[kind]:
                if kind == "clustering" and one in ("lightgbm", "linear"):
                    continue
                value = base + random.normal(0, 0.015)
                found.append(
                    {
                        "study": "made-up",
                        "task": name,
                        "kind": kind,
                        "metric": metric,
                        "preset": PRESETS[one],
                        "task_set": "+".join(names) if one == "joint" else name,
                        "role": "baseline" if one in ("lightgbm", "linear") else one,
                        "n_test": rows,
                        "value": value,
                        "low": value - 0.03,
                        "high": value + 0.03,
                        "sd_paper": 0.01,
                        "seed": 7,
                    }
                )
    return pl.DataFrame(found)


def differences(frame: pl.DataFrame) -> pl.DataFrame:
    found = []
    heads = {kind: metrics[0] for kind, metrics in METRICS.items()}
    wanted = frame.filter(pl.struct("kind", "metric").is_in([{"kind": k, "metric": m} for k, m in heads.items()]))
    joint = {row["task"]: row for row in wanted.filter(pl.col("role") == "joint").iter_rows(named=True)}
    for row in wanted.filter(pl.col("role") != "joint").iter_rows(named=True):
        if row["task"] in joint:
            gap = joint[row["task"]]["value"] - row["value"]
            found.append(
                {
                    "task": row["task"],
                    "metric": row["metric"],
                    "role_a": "joint",
                    "preset_a": "paper",
                    "role_b": row["role"],
                    "preset_b": row["preset"],
                    "difference": gap,
                    "relative": 100 * gap / row["value"],
                    "low": gap - 0.02,
                    "high": gap + 0.02,
                }
            )
    return pl.DataFrame(found)


def predictions(names: Sequence[str], series: Sequence[str], random: np.random.Generator, rows: int) -> pl.DataFrame:
    parts = []

    def add(name: str, label: str, role: str, truth: np.ndarray, prediction: np.ndarray) -> None:
        parts.append(
            pl.DataFrame(
                {
                    "sample": [f"sample-{index}" for index in range(rows)],
                    "patient": [f"secret-{index}" for index in range(rows)],
                    "task": name,
                    "class": label,
                    "preset": "paper",
                    "task_set": "+".join(names) if role == "joint" else name,
                    "role": role,
                    "seed": 7,
                    "truth": truth.astype(float),
                    "prediction": prediction.astype(float),
                }
            )
        )

    for name in names:
        kind = kind_of(name)
        noise = random.normal(size=rows)
        number = random.gamma(2, 6, rows)
        choice = random.choice(len(CLASSES), rows, p=[0.4, 0.3, 0.2, 0.1])
        yes = (noise + random.normal(size=rows) > 1).astype(float)
        for role in [one for one in series if one in ("single", "joint")]:
            if kind == "binary":
                add(name, "", role, yes, 1 / (1 + np.exp(-noise - random.normal(0, 0.6, rows))))
            elif kind == "regression":
                add(name, "", role, number, 0.6 * number + 5 + random.normal(0, 3, rows))
            elif kind == "multiclass":
                for index, label in enumerate(CLASSES):
                    truth = (choice == index).astype(float)
                    add(name, label, role, truth, truth * 0.3 + random.uniform(0, 0.7, rows))
            else:
                add(name, "", role, np.full(rows, np.nan), random.integers(0, 15, rows).astype(float))
    return pl.concat(parts)


def attention(names: Sequence[str], random: np.random.Generator) -> pl.DataFrame:
    rows = []
    for name in names:
        weights = random.gamma(2, 1, len(names)) + np.array([4.0 * (other == name) for other in names])
        for other, weight in zip(names, weights / weights.sum(), strict=True):
            rows.append(
                {
                    "preset": "paper",
                    "task_set": "+".join(names),
                    "task": name,
                    "from_task": other,
                    "weight": float(weight),
                }
            )
    return pl.DataFrame(rows)


def make_run(
    folder: Path,
    names: Sequence[str],
    *,
    series: Sequence[str] = ("single", "joint", "lightgbm", "linear"),
    departments: bool = False,
    rows: int = 60,
    title: str = "A hospital that does not exist",
) -> Path:
    """Write every file of a run folder; a test takes away what it wants to be missing."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(11)
    table = scores(names, series, random, rows)
    table.write_csv(folder / "scores.csv")
    compared = differences(table)
    if not compared.is_empty():
        compared.write_csv(folder / "differences.csv")
    predictions(names, series, random, rows).write_parquet(folder / "predictions.parquet")
    if "joint" in series:
        attention(names, random).write_csv(folder / "attention.csv")
    groups = [name for name in names if kind_of(name) == "clustering"]
    run = {
        "m3h": "0.1.0",
        "created": "2025-06-01T10:20:30+00:00",
        "command": "m3h run study.toml --baseline --out runs/made-up",
        "study": {"name": "made-up", "title": title, "seed": 7, "notes": ""},
        "settings": {
            "preset": "paper",
            "fields": {"modality_width": 128, "dropout": 0.1, "decoder_widths": [256, 512]},
            "protocol": {"epochs": 15, "batch_sizes": [512, 256], "grid": False},
            "grid": False,
            "setting": "one setting: batch 256, learning rate 0.0003, 15 epochs",
            "device": "cpu",
            "threads": 2,
        },
        "versions": {"python": "3.11", "torch": "2.15"},
        "data": {"fingerprint": "0123456789abcdef0123456789abcdef", "tables": {}},
        "seconds": {"read": 3.2, "encode": 41.7, "train": 205.0},
        "peak_memory_mb": {"read": 410, "train": 1388.4},
        "audit": audit(names, departments=departments, rows=rows),
        "task_sets": [
            {
                "tasks": list(names),
                "role": "joint",
                "sources": ["demographics", "bedside"],
                "weights": 1_234_567,
                "update": "joint",
                "seconds": 61.2,
                "batch_size": 256,
                "learning_rate": 0.0003,
            },
            *(
                {
                    "tasks": [name],
                    "role": "single",
                    "sources": ["demographics", "bedside"],
                    "weights": 234_567,
                    "update": "sequential",
                    "seconds": 9.5,
                    "batch_size": 256,
                    "learning_rate": 0.0003,
                }
                for name in names
            ),
        ],
        "clusters": {name: {"task_set": name, "sizes": [12, 0, *range(1, 14)]} for name in groups},
        "left_out": [{"task": "trauma", "reason": "no test row says yes"}],
        "warnings": ["2 images could not be read and count as absent"],
        "failed": [],
    }
    (folder / "run.json").write_text(json.dumps(run))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """``run(5, departments=True)`` writes a run folder of that many tasks, or of the names given, and returns it."""

    def made(tasks: int | Sequence[str], **options: object) -> Path:
        names = task_names(tasks) if isinstance(tasks, int) else tasks
        return make_run(tmp_path / "run", names, **options)  # type: ignore[arg-type]

    return made


@pytest.fixture
def pooled(tmp_path: Path) -> Callable[..., Path]:
    """``pooled(5, tim="exact", search=True)`` writes a run folder with those parts; unless ``scored``, TIM alone."""

    def made(
        tasks: int, *, tim: str = "", search: bool = False, joint: bool = True, scored: bool = True, **options: object
    ) -> Path:
        names = task_names(tasks)
        kinds = {name: kind_of(name) for name in names}
        series = ("single", "joint") if joint else ("single",)
        folder = make_run(tmp_path / "pooled", names, series=series, **options)  # type: ignore[arg-type]
        if search:
            pools.add_search(folder, names, kinds, joint=joint)
        if tim:
            pools.add_tim(folder, names, kinds, method=tim)
        if not scored:
            pools.without_scores(folder)
        return folder

    return made
