"""A run of chosen tasks is of these alone: in counts, tables, audit and report; it trains what the whole would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from called import call
from m3h.api.given import of_tasks
from m3h.core.errors import SettingError
from made import make_dataset

Writes = Callable[..., Path]

MORE = """
[[task]]
name = "unheard"
kind = "binary"
column = "unheard"

[protocol]
epochs = 1
"""


def unheard(tables: dict[str, list[dict[str, object]]]) -> None:
    """A task that cannot be used: nobody has it."""
    for row in tables["samples"]:
        row["unheard"] = 0


def test_only_the_chosen_tasks_appear(small_study: Writes, tmp_path: Path) -> None:
    study = small_study(tmp_path / "study", edit=unheard, text=lambda text: text + MORE)
    words = ("run", study, "--no-cache", "--ledger", tmp_path / "ledger.sqlite")
    whole = call(*words, "--out", tmp_path / "all", "--json").json
    assert whole["counts"]["tasks"] == 4 and [one["task"] for one in whole["left_out"]] == ["unheard"]
    done = call(*words, "--out", tmp_path / "few", "--tasks", "died,days")
    assert done.status == 0, done.err
    assert "2 tasks, 3 networks; 1 training;" in done.out  # each alone was trained before: only the pair is new
    facts = json.loads((tmp_path / "few" / "run.json").read_text())
    assert facts["counts"]["tasks"] == 2 and facts["left_out"] == []
    assert [task["name"] for task in facts["audit"]["tasks"]] == ["died", "days"]
    scores = pl.read_csv(tmp_path / "few" / "scores.csv")
    assert set(scores["task"]) == {"died", "days"}
    same = pl.read_csv(tmp_path / "all" / "scores.csv").filter(
        (pl.col("role") == "single") & pl.col("task").is_in(["died", "days"])
    )
    assert scores.filter(pl.col("role") == "single").equals(same)
    for name in ("unheard", "outcome", "phenotype"):
        assert f">{name}<" not in (tmp_path / "few" / "report.html").read_text()
        assert name not in done.out
    checked = call("check", study, "--no-cache", "--tasks", "died,days", "--json").json
    assert [task["name"] for task in checked["tasks"]] == ["died", "days"]


def test_what_the_tables_tell_of_other_tasks_is_left_out() -> None:
    data = make_dataset(samples=40)
    seen = {"beside": [{"task": "death"}, {"task": "stay"}], "words": {}}
    data = replace(data, facts={"tables": seen})
    few = of_tasks(data, ("stay", "unit"))
    assert tuple(few.labels) == ("unit", "stay")  # in the study's order
    assert few.facts["tables"] == {"beside": [{"task": "stay"}], "words": {}}
    assert np.array_equal(few.ids, data.ids) and few.fingerprint == data.fingerprint
    assert of_tasks(data, ()) is data
    with pytest.raises(SettingError, match='unknown task "stray"; did you mean "stay"'):
        of_tasks(data, ("stray",))
