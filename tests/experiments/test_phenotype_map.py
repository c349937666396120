"""phenotype_map.csv: no ids, few rows, the same for every network."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from m3h.evaluation import projection
from m3h.evaluation.scores import Prediction
from m3h.experiments import phenotype_map as module
from m3h.experiments.phenotype_map import PHENOTYPE_MAP, map_notes, phenotype_map
from m3h.experiments.scoring import Model
from made import make_dataset

DATA = make_dataset(samples=240)
ROWS = len(DATA.test_rows)


def model(role: str, seed: int, *, broken: bool = False) -> Model:
    latent = np.random.default_rng(seed).normal(size=(ROWS, 6)) * (9, 1, 1, 1, 1, 1)
    groups = Prediction(clusters=(latent[:, 0] > 0).astype(np.int64), latent=latent * (np.nan if broken else 1))
    return Model(role, "paper", role, 7, {"group": groups, "death": Prediction(values=np.zeros(ROWS))})


def test_rows_are_placed_where_the_network_groups_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    models = [model("single", 1), model("joint", 2), model("best", 3)]
    table = phenotype_map(DATA, models)
    assert dict(table.schema) == PHENOTYPE_MAP and set(table["method"]) == {"PCA"}
    assert table["role"].unique(maintain_order=True).to_list() == ["joint", "single"] and table.height == 2 * ROWS
    for role, one in (("single", models[0]), ("joint", models[1])):
        said, own = one.predictions["group"], table.filter(table["role"] == role)
        assert said.clusters is not None and said.latent is not None
        whole = np.abs(projection.plane(said.latent, 7).places[:, 0])
        # the same rows in another order
        np.testing.assert_allclose(np.sort(np.abs(own["x"].to_numpy())), np.sort(whole), atol=1e-3)
        assert not np.allclose(np.abs(own["x"].to_numpy()), whole, atol=1e-3)
        assert np.bincount(own["cluster"]).tolist() == np.bincount(said.clusters).tolist()
    joint = table.filter(table["role"] == "joint")
    assert joint["cluster"].equals(joint["beside"].alias("cluster"))
    assert phenotype_map(DATA, models).equals(table)
    assert "umap-learn is not installed" in map_notes(table)[0]
    assert map_notes(table.with_columns(method=pl.lit("UMAP"))) == map_notes(table.head(0)) == []


def test_many_rows_are_drawn_by_lot_the_same_of_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 20)
    table = phenotype_map(DATA, [model("single", 1), model("joint", 1)])
    joint, single = (table.filter(table["role"] == role).drop("role") for role in ("joint", "single"))
    assert joint.height == 20 and joint.equals(single)


def test_what_cannot_be_placed_is_not() -> None:
    assert phenotype_map(DATA, [model("joint", 1, broken=True)]).is_empty()
    assert phenotype_map(DATA, []).is_empty()
    few = DATA.with_labels({"death": DATA.labels["death"]})
    assert phenotype_map(few, [model("joint", 1)]).is_empty()
