"""A study of 44 tasks of all kinds on wide, correlated inputs with missing values, made of random numbers."""

from __future__ import annotations

import numpy as np

from m3h.dataset.dataset import Dataset, Labels
from m3h.encoders.block import Block
from m3h.study.task import Task

#: Columns of the sources: those of the paper's hospital file, and of the icu2012 study.
PAPER = (6, 451, 2304, 2084)
ICU = (4, 518)
SOURCES = (("demo", "tabular"), ("labs", "timeseries"), ("note", "language"), ("xray", "vision"))


def study(rows: int, widths: tuple[int, ...], tasks: int = 44, *, whole: bool = False, seed: int = 0) -> Dataset:
    """``rows`` samples, a patient every two and a half; the last three tasks are a multiclass, a regression and a
    clustering, the others binary. ``whole``: every value, source and label is there, and each sample is a patient."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(rows, 32)).astype(np.float32)
    blocks = {}
    for number, ((name, modality), width) in enumerate(zip(SOURCES, widths, strict=False)):
        values = factors @ random.normal(size=(32, width)).astype(np.float32) / 6
        values += random.normal(size=values.shape).astype(np.float32)
        present = random.random(rows) < (0.97 if number and not whole else 2)
        if not whole:
            values[random.random(values.shape) < 0.05] = np.nan
            values[~present] = np.nan
        columns = tuple(f"{name}{column}" for column in range(width))
        blocks[name] = Block(name, modality, values, present, columns, ("",) * width)
    kinds = ["binary"] * (tasks - 3) + ["multiclass", "regression", "clustering"]
    labels = {}
    for number, kind in enumerate(kinds):
        signal = factors @ random.normal(size=32) / 5 + random.normal(size=rows)
        labels[f"task{number:02d}"] = _labels(f"task{number:02d}", kind, signal, None if whole else random)
    patient = np.arange(rows) if whole else np.arange(rows) * 2 // 5
    return Dataset(
        name="fleet speed",
        title="fleet speed",
        seed=0,
        ids=np.array([f"s{number:06d}" for number in range(rows)]),
        patients=np.array([f"p{number:06d}" for number in patient]),
        split=np.where(patient % 5 == 4, "test", "train"),
        blocks=blocks,
        labels=labels,
        fingerprint=f"fleet speed {rows} {widths} {tasks} {whole} {seed}",
    )


def _labels(name: str, kind: str, signal: np.ndarray, random: np.random.Generator | None) -> Labels:
    task = Task(name, kind)  # type: ignore[arg-type]
    if kind == "clustering":
        return Labels(task, np.zeros(len(signal)))
    values, classes = {
        "binary": ((signal > 1).astype(float), ("0", "1")),
        "multiclass": (np.digitize(signal, np.linspace(-2, 2, 7)).astype(float), tuple("abcdefgh")),
        "regression": (2 * signal + 5, ()),
    }[kind]
    if random is not None:
        values[random.random(len(values)) < 0.1] = np.nan
    return Labels(task, values, classes)
