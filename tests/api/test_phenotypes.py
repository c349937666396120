"""The tables of groups against hand-made groups and other people's numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from m3h.api import phenotypes
from m3h.dataset.dataset import Dataset
from m3h.evaluation.scores import Prediction
from m3h.study.presets import PRESETS, Protocol
from m3h.training import clusters, predict
from m3h.training.fleet import train
from m3h.training.trained import TrainedNetwork
from m3h.training.trial import make_trial
from made import make_dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    data = make_dataset(samples=200)
    labs = data.blocks["labs"]
    names = tuple(f"{signal}.{statistic}" for signal in ("HR", "BUN") for statistic in ("max", "min", "mean", "count"))
    return replace(data, blocks={**data.blocks, "labs": replace(labs, names=names)})


@pytest.fixture(scope="module")
def network(data: Dataset) -> TrainedNetwork:
    protocol = Protocol(epochs=1, batch_sizes=(64,), learning_rates=(3e-3,), update="joint")
    return next(train(data, [make_trial(data, ("group",), preset=PRESETS["paper"], protocol=protocol)]))


def _grouped(data: Dataset, network: TrainedNetwork, groups: np.ndarray) -> TrainedNetwork:
    return replace(network, predictions={"group": replace(network.predictions["group"], clusters=groups)})


def test_groups_made_of_one_signal_are_told_by_it(data: Dataset, network: TrainedNetwork) -> None:
    heart = np.nan_to_num(data.blocks["labs"].values[data.test_rows, 0])
    high = (heart > np.median(heart)).astype(np.int64)
    frame = phenotypes.phenotype_table(data, _grouped(data, network, high), "joint", ["group"])
    for cluster, part in enumerate(frame.partition_by("cluster")):
        first = part.row(0, named=True)
        assert (first["source"], first["feature"], first["rank"]) == ("labs", "HR.max", 1)
        assert (first["smd"] > 0) == (cluster == 1)
        values = data.blocks["labs"].values[data.test_rows, 0][high == cluster]
        assert first["mean"] == pytest.approx(np.nanmean(values), abs=1e-5)
        others = data.blocks["labs"].values[data.test_rows, 0][high != cluster]
        assert first["mean_others"] == pytest.approx(np.nanmean(others), abs=1e-5)
        assert first["n"] == (high == cluster).sum()
        assert first["patients"] == len(set(data.patients[data.test_rows][high == cluster]))
        # one statistic of each signal, and of the note only whether there is one
        assert [name for name in part["feature"] if name.startswith("HR")] == ["HR.max"]
        assert not [name for name in part["feature"] if name.startswith("note")]


def test_small_groups_are_not_described(data: Dataset, network: TrainedNetwork) -> None:
    few = np.zeros(len(data.test_rows), np.int64)
    few[:18] = 1  # two samples a patient: nine patients
    frame = phenotypes.phenotype_table(data, _grouped(data, network, few), "joint", ["group"])
    small = frame.filter(pl.col("cluster") == 1)
    assert small.height == 1
    assert small.row(0)[3:] == (None,) * (len(frame.columns) - 3)
    few[:20] = 1
    frame = phenotypes.phenotype_table(data, _grouped(data, network, few), "joint", ["group"])
    assert frame.filter(pl.col("cluster") == 1)["patients"].unique().to_list() == [10]


def test_stability_is_the_rand_index_of_redrawn_groups(
    data: Dataset, network: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phenotypes, "RESAMPLES", 4)
    made: list[np.ndarray] = []

    def kept(*given: object) -> list[np.ndarray]:
        made.extend(clusters.centres(*given))  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(phenotypes, "centres", kept)
    row = phenotypes.stability_table(data, network, "joint", ["group"]).row(0, named=True)
    said, _ = predict.apply(network, data, data.test_rows)
    latent, own = said["group"].latent, said["group"].clusters
    assert latent is not None
    again = [np.linalg.norm(latent[:, None] - one[None], axis=2).argmin(1) for one in made]
    assert len({one.tobytes() for one in made}) == 4
    assert row["value"] == pytest.approx(np.mean([adjusted_rand_score(own, one) for one in again]), abs=1e-5)
    assert (row["groups"], row["resamples"]) == (3, 4)
    assert row["patients"] == len(set(data.patients[data.test_rows]))


def test_groups_that_cannot_but_come_again_are_stable(data: Dataset, network: TrainedNetwork) -> None:
    """Two far clouds in the place of the latent space."""
    apart = np.where(np.arange(data.samples) % 3 == 0, 50.0, 0.0)[:, None] + np.random.default_rng(0).normal(
        size=(data.samples, 2)
    )
    two = replace(network, centres={"group": np.array([[0, 0], [50, 50]], np.float32)})

    def latent(rows: np.ndarray) -> Prediction:
        return Prediction(latent=apart[rows], clusters=(apart[rows, 0] > 25).astype(np.int64))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "apply", lambda _network, _data, rows: ({"group": latent(rows)}, None))
        told = replace(two, predictions={"group": latent(data.test_rows)})
        row = phenotypes.stability_table(data, told, "joint", ["group"]).row(0, named=True)
    assert (row["value"], row["low"], row["high"], row["resamples"]) == (1.0, 1.0, 1.0, 20)
