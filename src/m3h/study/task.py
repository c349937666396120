"""A task is data: one question about a sample. Plain values, so that learning needs no study file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["binary", "multiclass", "regression", "clustering"]

#: Metrics of each kind, the headline first. Direction: higher is better but for those in LOWER_IS_BETTER.
METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("auroc", "auprc", "brier"),
    "multiclass": ("macro_auroc",),
    "regression": ("r2", "mae"),
    "clustering": ("silhouette", "silhouette_fixed", "reconstruction_mse"),
}
LOWER_IS_BETTER = frozenset({"brier", "mae", "reconstruction_mse"})
#: The fixed PCA space does not depend on the network, so its silhouette is what clusterings are compared by.
HEADLINE = {kind: metrics[0] for kind, metrics in METRICS.items()}


@dataclass(frozen=True)
class Task:
    """One question: its name, kind and where its labels stand.

    ``classes`` of a binary task of two words: the negative, then the positive. ``exclude_sources`` would give the
    answer away; honoured for every task set holding the task. ``weight`` multiplies the task's loss.
    """

    name: str
    kind: Kind
    column: str | None = None
    unit: str = ""
    classes: tuple[str, ...] = ()
    department: str = ""
    clusters: int = 15
    exclude_sources: tuple[str, ...] = ()
    weight: float = 1.0
