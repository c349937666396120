"""The two real studies, unchanged, through the command line."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from called import call

STUDIES = Path(os.environ.get("STUDIES", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(
    not STUDIES.is_dir(), reason="the real studies are not here: set STUDIES to their folder"
)


def test_x_rays_with_notes_run_and_predict(tmp_path: Path) -> None:
    """311 images of 156 patients; every task is scored alone and together, and the saved model predicts them anew."""
    study = STUDIES / "covid-cxr" / "study.toml"
    done = call("run", study, "--out", tmp_path / "run", "--epochs", 1, "--cache", tmp_path / "cache", "--json")
    assert done.status == 0, done.err
    assert done.json["counts"] == {"samples": 311, "patients": 156, "sources": 4, "tasks": 6, "networks": 7}
    scores = pl.read_csv(tmp_path / "run" / "scores.csv")
    assert set(scores["role"]) == {"single", "joint"}
    assert scores["value"].null_count() == 0
    again = call("predict", tmp_path / "run", "--data", study.parent, "--out", tmp_path / "new.csv")
    assert again.status == 0, again.err
    assert pl.read_csv(tmp_path / "new.csv", infer_schema_length=None)["sample"].n_unique() == 311


def test_intensive_care_is_checked() -> None:
    done = call("check", STUDIES / "icu2012" / "study.toml", "--no-cache", "--json")
    assert done.status == 0, done.err
    audit = done.json["audit"]
    assert (audit["samples"]["train_rows"], audit["samples"]["test_rows"]) == (4000, 4000)
    assert {task["name"]: task["unusable"] for task in audit["tasks"]}["death"] == ""
    bedside = next(source for source in audit["sources"] if source["name"] == "bedside")
    assert bedside["counts"]["rows"] == bedside["counts"]["used"] == 1_889_233
    assert bedside["width"] == 37 * 14
