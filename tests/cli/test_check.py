"""m3h check: what it counts is what is in the tables, and it changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from called import call
from m3h.cli.check import SHARED
from m3h.dataset.audit import LEAKS

Writes = Callable[..., Path]


@pytest.fixture(scope="module")
def study(small_study: Writes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One vital sign without a time, two after the sample's time; a constant column, and one that is a label."""

    def edit(tables: dict[str, list[dict[str, object]]]) -> None:
        tables["vitals"][0]["hour"] = None
        tables["vitals"][1]["hour"] = tables["vitals"][2]["hour"] = 90.0
        for row in tables["samples"]:
            row["site"], row["fate"] = 1, row["died"]

    def text(toml: str) -> str:
        return toml.replace('["age", "ward"]', '["age", "ward", "site", "fate"]')

    return small_study(tmp_path_factory.mktemp("check") / "study", edit=edit, text=text)


@pytest.fixture(scope="module")
def found(study: Path) -> dict[str, object]:
    done = call("check", study, "--no-cache", "--json")
    assert done.status == 0 and done.err == ""
    content: dict[str, object] = done.json
    return content


def test_json_lists_what_is_promised(found) -> None:
    assert set(found) == {"tasks", "sources", "samples", "audit"}
    assert [task["name"] for task in found["tasks"]] == ["died", "outcome", "days", "phenotype"]
    assert [source["name"] for source in found["sources"]] == ["basics", "vitals", "notes", "xray"]
    assert found["samples"] == found["audit"]["samples"]


def test_the_counts_are_those_of_the_tables(study: Path, found) -> None:
    samples = pl.read_csv(study.parent / "samples.csv")
    vitals = pl.read_csv(study.parent / "vitals.csv")
    told = found["samples"]
    assert (told["rows"], told["patients"]) == (samples.height, samples["patient"].n_unique())
    assert told["train_rows"] + told["test_rows"] == samples.height
    assert told["train_patients"] + told["test_patients"] == told["patients"]
    by_name = {source["name"]: source for source in found["sources"]}
    counts = by_name["vitals"]["counts"]
    assert (counts["rows"], counts["missing_time"], counts["later"]) == (vitals.height, 1, 2)
    assert counts["used"] == vitals.height - 3
    images = (samples["image"].is_not_null()).sum()
    assert by_name["xray"]["counts"]["used"] == images
    shares = (by_name["xray"]["coverage_train"], by_name["xray"]["coverage_test"])
    assert shares[0] * told["train_rows"] + shares[1] * told["test_rows"] == pytest.approx(images)
    died = next(task for task in found["tasks"] if task["name"] == "died")
    assert died["train"]["labelled"] + died["test"]["labelled"] == samples["died"].count()
    assert died["train"]["positive"] + died["test"]["positive"] == samples["died"].sum()


def test_the_alarms_are_raised(found) -> None:
    alarms = {(alarm["kind"], alarm["text"].split(":")[0]) for alarm in found["audit"]["alarms"]}
    assert ("times left out", 'source "vitals"') in alarms
    assert ("constant column", 'source "basics"') in alarms
    assert ("feature equals label", 'task "died"') in alarms


def test_the_screen_says_the_same(study: Path, found) -> None:
    done = call("check", study, "--no-cache")
    assert done.status == 0
    for name in ("basics", "vitals", "notes", "xray", "died", "outcome", "days", "phenotype", "statistics", "tfidf"):
        assert name in done.out
    for alarm in found["audit"]["alarms"]:
        head = "sign of a leak" if alarm["kind"] in LEAKS else "note"
        assert f"{head} ({alarm['kind']}): {alarm['text']}" in done.out


def test_nothing_is_changed(study: Path) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in study.parent.rglob("*")}

    before = files()
    assert call("check", study, "--no-cache").status == 0
    assert files() == before


def test_the_cache_goes_where_it_is_told_and_changes_no_count(study: Path, found, tmp_path: Path) -> None:
    first = call("check", study, "--cache", tmp_path / "cache", "--json")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    assert kept
    second = call("check", study, "--cache", tmp_path / "cache", "--json")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == kept
    assert first.json == second.json == found


def test_names_that_look_like_markup_are_shown_as_they_are(small_study: Writes, tmp_path: Path) -> None:
    def text(toml: str) -> str:
        return toml.replace('name = "days"', 'name = "days [bold] [d]"').replace('"vitals"', '"vitals [red]"')

    study = small_study(tmp_path / "study", text=text)
    done = call("check", study, "--no-cache")
    assert done.status == 0
    assert "days [bold] [d]" in done.out and "vitals [red]" in done.out
    assert json.loads(call("check", study, "--no-cache", "--json").out)["sources"][1]["name"] == "vitals [red]"


def test_rows_that_count_more_than_once_are_explained(small_study: Writes, tmp_path: Path) -> None:
    """Vital signs of a patient, whose every visit uses them: more rows are used than there are."""

    def edit(tables: dict[str, list[dict[str, object]]]) -> None:
        of = {row["visit"]: row["patient"] for row in tables["samples"]}
        for row in tables["vitals"]:
            row["patient"] = of[row.pop("visit")]

    by_patient = ('table = "vitals.csv"\nkey = "visit"', 'table = "vitals.csv"\nkey = "patient"')
    shared = small_study(tmp_path / "shared", edit=edit, text=lambda text: text.replace(*by_patient))
    assert SHARED in call("check", shared, "--no-cache").out
    assert SHARED not in call("check", small_study(tmp_path / "plain"), "--no-cache").out


def test_a_folder_of_a_study_is_told_from_one_of_a_run(small_study: Writes, tmp_path: Path) -> None:
    study = small_study(tmp_path / "study")
    done = call("check", study.parent)
    assert done.status == 2 and "this is the folder of a study, not of a run" in done.err
    assert f"next: m3h check {study}\n" in done.err
    assert "no model here" in call("check", tmp_path).err
