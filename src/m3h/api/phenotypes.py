"""The groups that a run's clusterings make: what distinguishes each, and whether they come again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core import seeds
from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.phenotypes import Profile, profiles, stability
from m3h.experiments.scoring import table_of
from m3h.explain.changes import MEASURED, signal_of
from m3h.training import predict
from m3h.training.clusters import assign, centres
from m3h.training.trained import TrainedNetwork

PHENOTYPES = {
    **dict.fromkeys(("task", "role"), pl.String),
    **dict.fromkeys(("cluster", "n", "patients"), pl.Int64),
    "share": pl.Float64,
    "rank": pl.Int64,
    **dict.fromkeys(("source", "feature", "unit"), pl.String),
    **dict.fromkeys(
        ("smd", "mean", "sd", "median", "q1", "q3", "mean_others", "measured", "measured_others"), pl.Float64
    ),
}
STABILITY = {
    **dict.fromkeys(("task", "role"), pl.String),
    **dict.fromkeys(("groups", "patients", "resamples"), pl.Int64),
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
}
#: Groups of fewer patients are counted and not described.
LEAST_PATIENTS = 10
#: So many features of a group are listed.
LISTED = 20
#: Resamples of the training patients.
RESAMPLES = 20


def phenotype_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """phenotypes.csv: each group of test rows, and the measured features in which it differs most from all others
    (standardised mean difference, above 0 where the group's are higher); a row per feature, of a signal's statistics
    the one that differs most.

    A group of fewer than 10 patients has one row without its size.
    """
    made: list[dict[str, Any]] = []
    named, columns = _columns(data, network)
    for name in tasks:
        clusters, patients = _clusters(data, network, name), data.patients[data.test_rows]
        for one in profiles(columns, [str(place) for place in range(len(named))], clusters):
            count = len(np.unique(patients[clusters == one.cluster]))
            common: dict[str, Any] = {"task": name, "role": role, "cluster": one.cluster}
            if count < LEAST_PATIENTS:
                made.append(common)
            else:
                common |= {"n": one.n, "patients": count, "share": one.share}
                made += [common | row for row in _described(data, one, named, columns, clusters)]
    return table_of(made, PHENOTYPES)


def _described(
    data: Dataset,
    one: Profile,
    named: Sequence[tuple[str, str, str]],
    columns: NDArray[np.float64],
    clusters: NDArray[np.int64],
) -> list[dict[str, Any]]:
    others = columns[(clusters >= 0) & (clusters != one.cluster)]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for part in one.columns:
        source, feature, unit = named[int(part.name)]
        key = source, signal_of(data.blocks[source], feature)
        if key in found or not np.isfinite(part.smd) or part.smd == 0 or len(found) == LISTED:
            continue
        row = {name: value for name, value in vars(part).items() if name in PHENOTYPES}
        row |= {"mean_others": float(np.nanmean(others[:, int(part.name)]))}
        found[key] = row | {"rank": len(found) + 1, "source": source, "feature": feature, "unit": unit}
    return list(found.values())


def _columns(data: Dataset, network: TrainedNetwork) -> tuple[list[tuple[str, str, str]], NDArray[np.float64]]:
    """Source, name and unit of what was measured of the test rows, and their values (row, column); of texts and images
    whether there is one, 1 or 0."""
    named, values = [], []
    for source in network.trial.sources:
        block = data.blocks[source]
        if block.modality in MEASURED:
            named += [(source, *one) for one in zip(block.names, block.units, strict=True)]
            values.append(block.values[data.test_rows].astype(np.float64))
        else:
            named.append((source, "at hand", ""))
            values.append(block.present[data.test_rows, None].astype(np.float64))
    return named, np.concatenate(values, 1)


def _clusters(data: Dataset, network: TrainedNetwork, task: str) -> NDArray[np.int64]:
    """The group of each test row, -1 for those that take no part."""
    found = network.predictions[task].clusters
    assert found is not None
    return np.where(data.labels[task].known[data.test_rows], found, -1)


def stability_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """stability.csv: the adjusted Rand index, on test rows, of a clustering with those that k-means finds in the same
    network after redrawing the training patients: mean, and middle 95 % of the redraws. 1: the same groups, 0: as alike
    as chance. The network is not trained again, which would change the groups further."""
    taught = data.train_rows
    said, _ = predict.apply(network, data, taught)
    draws = patient_draws(data.patients[taught], seeds.small(data.seed, "stability"), RESAMPLES)
    made = []
    for name in tasks:
        own, known = said[name].latent, data.labels[name].known[taught]
        asked = network.predictions[name].latent
        assert own is not None and asked is not None
        count = len(network.centres[name])
        # each patient once or not at all: copies would be groups of their own
        kept = [np.flatnonzero((draw > 0) & known) for draw in draws]
        latents = [own[rows].astype(np.float32) for rows in kept if len(rows)]
        found = centres(latents, [count] * len(latents), data.seed)
        again = np.array([assign(asked.astype(np.float32), one) for one in found], np.int64)
        reference = _clusters(data, network, name)
        again = np.where(reference >= 0, again.reshape(len(found), len(reference)), -1)
        told = stability(again, reference)
        made.append(
            {"task": name, "role": role, "groups": count, "resamples": told.pairs}
            | {"patients": len(np.unique(data.patients[data.test_rows][reference >= 0]))}
            | {"value": told.mean, "low": told.low, "high": told.high}
        )
    return table_of(made, STABILITY)
