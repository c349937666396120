"""A small data set that can be learned, made of arrays alone."""

from __future__ import annotations

import numpy as np

from m3h.dataset.dataset import Dataset, Labels
from m3h.dataset.split import folds
from m3h.encoders.block import Block
from m3h.study.task import Task
from m3h.training.additive import Ground


def make_dataset(*, samples: int = 240, seed: int = 0, names: dict[str, str] | None = None) -> Dataset:
    """Three modalities (one half absent), tasks of four kinds that follow from the inputs, two samples a patient."""
    random = np.random.default_rng(seed)
    called = names or {}
    x = {"demo": random.normal(size=(samples, 5)), "labs": random.normal(size=(samples, 8)) * 3 + 1}
    x["note"] = random.normal(size=(samples, 6))
    blocks = {}
    for (name, values), modality in zip(x.items(), ("tabular", "timeseries", "language"), strict=True):
        present = np.ones(samples, bool) if name != "note" else random.random(samples) < 0.5
        array = values.astype(np.float32)
        array[random.random(array.shape) < 0.1] = np.nan
        array[~present] = np.nan
        columns = tuple(f"{name}{i}" for i in range(array.shape[1]))
        blocks[name] = Block(name, modality, array, present, columns, ("",) * len(columns))
    signal = x["demo"][:, 0] + x["labs"][:, 0] / 3
    targets = {
        "death": Labels(Task("death", "binary"), (signal + random.normal(size=samples) > 1).astype(float), ("0", "1")),
        "sepsis": Labels(Task("sepsis", "binary"), (x["demo"][:, 1] > 1.5).astype(float), ("0", "1")),
        "unit": Labels(Task("unit", "multiclass"), np.digitize(signal, (-1.0, 1.0)).astype(float), ("a", "b", "c")),
        "stay": Labels(Task("stay", "regression", unit="days"), 5 + 2 * signal),
        "group": Labels(Task("group", "clustering", clusters=3), np.zeros(samples)),
    }
    for name in ("sepsis", "stay"):
        targets[name].values[random.random(samples) < 0.3] = np.nan
    labels = {
        called.get(name, name): Labels(
            Task(called.get(name, name), old.task.kind, clusters=old.task.clusters), old.values, old.classes
        )
        for name, old in targets.items()
    }
    patients = np.array([f"p{i // 2:04d}" for i in range(samples)])
    return Dataset(
        name="made",
        title="made",
        seed=7,
        ids=np.array([f"s{i:04d}" for i in range(samples)]),
        patients=patients,
        split=np.where(np.arange(samples) // 2 % 5 == 4, "test", "train"),
        blocks=blocks,
        labels=labels,
        fingerprint=f"made-{samples}-{seed}",
    )


def make_wide(*, rows: int, widths: tuple[int, ...], seed: int = 0, kinds: dict[str, str] | None = None) -> Dataset:
    """Wide correlated sources with missing values, one sample in forty without a source but the first, a patient every
    two and a half samples; the tasks of :func:`make_dataset` by kind, or those named in ``kinds``."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(rows, 32)).astype(np.float32)
    sources = zip(
        ("demo", "labs", "note", "xray"), ("tabular", "timeseries", "language", "vision"), widths, strict=False
    )
    blocks = {}
    for number, (name, modality, width) in enumerate(sources):
        values = factors @ random.normal(size=(32, width)).astype(np.float32) / 6
        values += random.normal(size=values.shape).astype(np.float32)
        values[random.random(values.shape) < 0.05] = np.nan
        present = random.random(rows) < (0.975 if number else 2)
        values[~present] = np.nan
        blocks[name] = Block(name, modality, values, present, tuple(f"{name}{i}" for i in range(width)), ("",) * width)
    usual = {"death": "binary", "sepsis": "binary", "unit": "multiclass", "stay": "regression", "group": "clustering"}
    labels = {}
    for name, kind in (kinds or usual).items():
        signal = factors @ random.normal(size=32) / 5 + random.normal(size=rows)
        values, classes = _of_kind(kind, signal)
        if kind != "clustering":
            values[random.random(rows) < 0.1] = np.nan
        labels[name] = Labels(Task(name, kind), values, classes)  # type: ignore[arg-type]
    patient = np.arange(rows) * 2 // 5
    return Dataset(
        name="wide",
        title="wide",
        seed=7,
        ids=np.array([f"s{i:06d}" for i in range(rows)]),
        patients=np.array([f"p{i:06d}" for i in patient]),
        split=np.where(patient % 5 == 4, "test", "train"),
        blocks=blocks,
        labels=labels,
        fingerprint=f"wide-{rows}-{widths}-{seed}-{kinds}",
    )


def _of_kind(kind: str, signal: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    if kind == "binary":
        return (signal > 1).astype(float), ("0", "1")
    if kind == "multiclass":
        return np.digitize(signal, np.linspace(-2, 2, 7)).astype(float), tuple("abcdefgh")
    return (5 + 2 * signal, ()) if kind == "regression" else (np.zeros(len(signal)), ())


def make_ground(x: np.ndarray, train: int, modality: str = "tabular", patients: np.ndarray | None = None) -> Ground:
    """Ground of columns x (row, columns) whose first ``train`` rows are fitted on; of ``patients``, or a patient
    each."""
    names = tuple(f"c{number}" for number in range(x.shape[1]))
    block = Block("labs", modality, x.astype(np.float32), np.ones(len(x), bool), names, ("",) * len(names))
    rows = np.arange(train)
    patients = np.array([f"{row:05d}" for row in range(len(x))]) if patients is None else patients
    return Ground.of({"labs": block}, rows, patients, folds(patients, rows, 4, 0))
