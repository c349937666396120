"""A task is data: one question about a sample. Plain values, so that learning needs no study file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
class Codes:
    """Diagnosis codes that make a label 1: any code of the sample that fits ``icd9`` or ``icd10``, or codes that
    together fit every group of ``icd10_all_of``.

    Tokens (m3h.study.codes) are separated by ";", the groups of ``icd10_all_of`` by "&". ``name`` tells the parts of
    a question with several from each other.
    """

    icd9: str = ""
    icd10: str = ""
    icd10_all_of: str = ""
    name: str = ""


@dataclass(frozen=True)
class Task:
    """One question: its name, kind and where its labels stand.

    ``classes`` of a binary task of two words: the negative, then the positive. ``exclude_sources`` would give the
    answer away; honoured for every task set holding the task. ``weight`` multiplies the task's loss. ``codes``
    instead of ``column``: the label of a binary task is 1 where any of them holds.
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
    title: str = ""
    codes: tuple[Codes, ...] = ()

    @staticmethod
    def of(content: Mapping[str, Any]) -> Task:
        """The task that ``dataclasses.asdict`` wrote, also where JSON made lists of its tuples."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content.items()
        }
        values["codes"] = tuple(Codes(**part) for part in content.get("codes", ()))
        return Task(**values)
