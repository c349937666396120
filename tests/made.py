"""A small data set that can be learned, made of arrays alone."""

from __future__ import annotations

import numpy as np

from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block
from m3h.study.task import Task


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
