"""Groups that clustering tasks found, drawn in the plane: where test rows lie, single beside joint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from m3h.core import seeds
from m3h.dataset.dataset import Dataset
from m3h.evaluation import projection
from m3h.evaluation.scores import Prediction
from m3h.experiments.scoring import Model

PHENOTYPE_MAP = {
    **dict.fromkeys(("task", "role", "preset", "method"), pl.String),
    **dict.fromkeys(("x", "y"), pl.Float64),
    **dict.fromkeys(("cluster", "beside"), pl.Int64),
}
#: Networks that are drawn; the first that a task has is what the others' numbers are matched with.
ROLES = ("joint", "single")
#: Test rows that are placed at most, drawn by lot: the same of all networks.
MOST_ROWS = 2_000
#: Digits after the point: finer than any dot.
DIGITS = 3


def phenotype_map(data: Dataset, models: Sequence[Model]) -> pl.DataFrame:
    """phenotype_map.csv: a row per test row placed, clustering task and network, in random order and without ids.

    ``x`` and ``y`` place the row's latent, the space in which k-means grouped it and its silhouette is measured, in the
    plane (``method``: UMAP or PCA); each network has a space of its own, so places of different roles do not compare.
    ``cluster`` is the group's number, ``beside`` that of the joint network's group with which it is matched.
    """
    count = len(data.test_rows)
    chosen = seeds.generator(data.seed, "phenotype map").permutation(count)[:MOST_ROWS]
    parts = [pl.DataFrame(schema=PHENOTYPE_MAP)]
    if len(chosen) < projection.LEAST_ROWS:
        return parts[0]
    for name, labels in data.labels.items():
        if labels.task.kind != "clustering":
            continue
        beside = None
        for model, said in _drawn(name, models):
            assert said.clusters is not None and said.latent is not None
            groups = said.clusters[chosen]
            beside = groups if beside is None else beside
            made = projection.plane(said.latent[chosen], data.seed)
            table = pl.DataFrame(
                {"x": made.places[:, 0], "y": made.places[:, 1]}
                | {"cluster": groups, "beside": projection.matched(groups, beside)}
            )
            texts = {"task": name, "role": model.role, "preset": model.preset, "method": made.method}
            table = table.with_columns(pl.lit(text).alias(key) for key, text in texts.items())
            parts.append(table.select(pl.col(key).cast(kind) for key, kind in PHENOTYPE_MAP.items()))
    return pl.concat(parts).with_columns(pl.col("x", "y").round(DIGITS))


def _drawn(task: str, models: Sequence[Model]) -> list[tuple[Model, Prediction]]:
    """The networks that group ``task`` and their predictions, in the order of ROLES."""
    own = {model.role: model for model in models if task in model.predictions}
    found = [(own[role], own[role].predictions[task]) for role in ROLES if role in own]
    # a network that went wrong has places that are no numbers
    return [(model, said) for model, said in found if said.latent is not None and np.isfinite(said.latent).all()]


def map_notes(table: pl.DataFrame) -> list[str]:
    """What whoever ran a study should know of its phenotype_map.csv."""
    if "PCA" not in table.get_column("method"):
        return []
    return ["maps of groups are of principal components, not UMAP: umap-learn is not installed (extra umap)"]
