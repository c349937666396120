"""Maps of groups: dots where the file puts them, one picture a map, and which method it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.report import phenotypes as words
from m3h.report.contents import Contents, read
from m3h.report.figures import phenotypes
from m3h.report.page import render

Run = Callable[..., Path]


def written(
    folder: Path, roles: tuple[str, ...] = ("joint", "single"), method: str = "UMAP", rows: int = 60
) -> Contents:
    random = np.random.default_rng(2)
    table = pl.DataFrame(
        [
            {"task": "phenotype", "role": role, "preset": "paper", "method": method}
            | {"x": random.normal(), "y": random.normal(), "cluster": number % 3, "beside": (number + 1) % 3}
            for role in roles
            for number in range(rows)
        ]
    )
    table.write_csv(folder / "phenotype_map.csv")
    return read(folder)


def test_single_stands_beside_joint_with_the_silhouettes_of_their_spaces(run: Run) -> None:
    contents = written(run(["death", "phenotype"]))
    (panel,) = phenotypes.panels(contents)
    assert (panel.task, panel.method, panel.rows, panel.same) == ("phenotype", "UMAP", 60, False)
    assert [one.role for one in panel.maps] == ["single", "joint"]
    for one in panel.maps:
        own = contents.phenotype_map.filter(pl.col("role") == one.role)
        np.testing.assert_array_equal(one.x, own["x"])
        np.testing.assert_array_equal(one.group, own["beside"])
        scored = contents.scores.filter(
            (pl.col("task") == "phenotype") & (pl.col("metric") == "silhouette") & (pl.col("role") == one.role)
        )
        assert one.silhouette == scored.item(0, "value")


def test_dots_are_one_picture_a_map_and_cost_little(run: Run) -> None:
    (panel,) = phenotypes.panels(written(run(["death", "phenotype"]), rows=2000))
    made = phenotypes.draw(panel, "a")
    assert made.count("<image") == made.count("data:image/png;base64,") == 2
    assert len(made) < 500_000
    assert made == phenotypes.draw(panel, "a")


def test_a_number_stands_on_a_row_also_of_a_group_in_two_parts() -> None:
    x, y = np.array([0.0, 0.1, 0.2, 9.0, 9.1, 9.2, 9.3]), np.zeros(7)
    assert phenotypes.middle(x, y) == (9.0, 0.0)
    x = np.array([0.0, 1.0, 10.0, 11.0])  # medians lie between the parts
    assert phenotypes.middle(x, np.zeros(4))[0] in x


@pytest.mark.parametrize(("method", "said"), [("UMAP", "keeps neighbours together"), ("PCA", "not UMAP")])
def test_the_caption_says_which_method_it_was(run: Run, method: str, said: str) -> None:
    (plates,) = words.maps(written(run(["death", "phenotype"]), method=method))
    assert plates.title == f"Maps of the groups, by {method}"
    assert said in plates.plates[0].caption and "60 test rows" in plates.plates[0].caption


def test_one_network_is_drawn_once(run: Run) -> None:
    contents = written(run(["death", "phenotype"]))
    own = pl.col("task") == "phenotype"
    alone = dataclasses.replace(
        contents,
        scores=contents.scores.with_columns(task_set=pl.when(own).then(pl.lit("phenotype")).otherwise("task_set")),
    )
    (panel,) = phenotypes.panels(alone)
    assert panel.same and [one.role for one in panel.maps] == ["joint"]
    assert "same network" in words.maps(alone)[0].plates[0].caption
    (plates,) = words.maps(written(run(["death", "phenotype"]), roles=("single",)))
    assert "Only the single network" in plates.plates[0].caption


def test_equal_places_and_old_runs(run: Run) -> None:
    contents = written(run(["death", "phenotype"]))
    still = dataclasses.replace(contents, phenotype_map=contents.phenotype_map.with_columns(x=0.0, y=0.0))
    (panel,) = phenotypes.panels(still)
    assert phenotypes.draw(panel, "a").startswith("<svg")
    assert "Maps of the groups" in render(contents)
    (run(["death", "phenotype"]) / "phenotype_map.csv").unlink()
    assert words.maps(read(run(["death", "phenotype"]))) == []
