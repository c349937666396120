"""The run folder: written whole or not at all, never over what is not ours."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from safetensors import SafetensorError

from m3h.core.errors import FolderError
from m3h.experiments.results import check_place, run_folder, write_json, write_tables


def earlier(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "run.json").write_text("{}")
    (place / "scores.csv").write_text("of an earlier run")
    return place


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_takes_its_name_when_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "x"
    with run_folder(target) as folder:
        (folder / "run.json").write_text("new")
        assert not target.exists() and folder.parent == target.parent
    assert contents(tmp_path) == {"runs/x/run.json": "new"}


def test_an_earlier_run_is_replaced_whole(tmp_path: Path) -> None:
    target = earlier(tmp_path / "x")
    with run_folder(target) as folder:
        assert not list(folder.iterdir())
        (folder / "run.json").write_text("new")
        assert (target / "scores.csv").read_text() == "of an earlier run"
    assert contents(tmp_path) == {"x/run.json": "new"}


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt(), FolderError("no"), SystemExit(3)])
def test_nothing_stays_of_what_did_not_end_well(error: BaseException, tmp_path: Path) -> None:
    target = earlier(tmp_path / "x")
    before = contents(tmp_path)
    with pytest.raises(type(error)), run_folder(target) as folder:
        (folder / "model").mkdir()
        (folder / "model" / "half").write_text("half")
        raise error
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), SafetensorError("os error 28"), pl.exceptions.ComputeError("os error 28")],
)
def test_what_writers_raise_becomes_one_message(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(FolderError) as caught, run_folder(tmp_path / "new" / "x") as folder:
        (folder / "half").write_text("half")
        raise error
    assert str(caught.value).startswith(f"{tmp_path / 'new' / 'x'}: cannot be written: ")
    assert "nothing half-written was left" in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_is_new_empty_or_of_an_earlier_run_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "not" / "yet" / "there", earlier(tmp_path / "old")):
        check_place(place)
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "old"}


def test_a_place_where_something_else_stands_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "run.txt").write_text("mine")
    cases = {
        tmp_path / "file": "a file stands where the run folder should be",
        tmp_path / "file" / "x" / "y": "a file stands where a folder should be",
        tmp_path / "thesis": "has something in it that no run left",
    }
    for place, told in cases.items():
        with pytest.raises(FolderError, match=told), run_folder(place):
            raise AssertionError("work was begun")
        with pytest.raises(FolderError, match="choose another --out"):
            check_place(place)
    assert contents(tmp_path) == {"file": "mine", "thesis/run.txt": "mine"}


def test_tables_are_written_by_their_ending_and_read_again(tmp_path: Path) -> None:
    frame = pl.DataFrame({"task": ["a,b", 'say "so"', None], "value": [0.1, None, -1e-06]})
    write_tables(tmp_path, {"scores.csv": frame, "predictions.parquet": frame})
    assert pl.read_csv(tmp_path / "scores.csv").equals(frame)
    assert pl.read_parquet(tmp_path / "predictions.parquet").equals(frame)
    assert (tmp_path / "scores.csv").read_text() == 'task,value\n"a,b",0.1\n"say ""so""",\n,-1e-6\n'


def test_json_is_written_for_people(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"title": "Größe", "counts": {"samples": 60}})
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"title": "Größe", "counts": {"samples": 60}}
    assert "Größe" in text and text.endswith("}\n") and text.count("\n") == 6
