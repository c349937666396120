from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from called import call
from m3h.api.model import M3H
from m3h.cli.predict import predict
from m3h.core.errors import DataError, FolderError, M3HError, SettingError
from m3h.dataset.build import build
from m3h.study.presets import Protocol
from m3h.study.spec import Study


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_study: Callable[..., Path]) -> tuple[Path, Path]:
    """A run's folder, and its study's folder, whose tables serve as new patients'."""
    place = tmp_path_factory.mktemp("trained")
    study = small_study(place / "study")
    protocol = Protocol(epochs=1, batch_sizes=(64,), learning_rates=(3e-4,))
    model = M3H(protocol=protocol).fit(build(Study.read(study), cache=None))
    model.save(place / "run" / "model")
    return place / "run", study.parent


def called(*words: object) -> str:
    app = typer.Typer()
    app.command("predict")(predict)
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, M3HError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_both_kinds_of_file_hold_the_predictions(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = trained
    expected = M3H.load(run).predict(data)
    told = called(run, "--data", data, "--out", tmp_path / "new" / "p.csv")
    assert told == f"40 patients, 60 samples, 4 tasks: {tmp_path / 'new' / 'p.csv'}\n"
    called(run, "--data", data, "--out", tmp_path / "p.parquet")
    before = (tmp_path / "p.parquet").read_bytes()
    (tmp_path / "p.parquet").write_bytes(b"what nobody should lose")
    with pytest.raises(FolderError, match="there is a file already") as raised:
        called(run, "--data", data, "--out", tmp_path / "p.parquet")
    assert "--force" in str(raised.value)
    assert (tmp_path / "p.parquet").read_bytes() == b"what nobody should lose"
    called(run, "--data", data, "--out", tmp_path / "p.parquet", "--force")
    assert (tmp_path / "p.parquet").read_bytes() == before
    assert pl.read_parquet(tmp_path / "p.parquet").equals(expected)
    table = pl.read_csv(tmp_path / "new" / "p.csv", schema=expected.schema).with_columns(pl.col("class").fill_null(""))
    assert table.equals(expected)


def test_what_is_missing_or_unreadable_is_told(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = trained
    table = pl.read_csv(data / "samples.csv").drop("died", "outcome", "days", "part")
    (tmp_path / "new" / "images").mkdir(parents=True)
    table = table.with_columns(image=pl.lit("broken.png")).head(3)
    table.write_csv(tmp_path / "new" / "samples.csv")
    (tmp_path / "new" / "images" / "broken.png").write_text("no image")
    words = (run, "--data", tmp_path / "new", "--out", tmp_path / "p.csv")
    told = called(*words)
    assert told.splitlines()[0].startswith("3 patients, 3 samples, 4 tasks: ")
    assert told.splitlines()[1:] == [
        "taken as absent for everybody: vitals: no table vitals.csv",
        "taken as absent for everybody: notes: no table notes.parquet",
        "taken as absent for everybody: xray: its columns are there, 3 images that cannot be read",
        "3 images could not be read and counted as absent",
    ]
    assert json.loads(called(*words, "--json", "--force")) == {
        "out": str(tmp_path / "p.csv"),
        "patients": 3,
        "samples": 3,
        "tasks": ["died", "outcome", "days", "phenotype"],
        "missing_sources": ["vitals", "notes"],
        "absent": {
            "vitals": "no table vitals.csv",
            "notes": "no table notes.parquet",
            "xray": "its columns are there, 3 images that cannot be read",
        },
        "unreadable_images": 3,
        "uncalibrated": [],
    }


def test_a_study_file_there_tells_where_images_lie(trained: tuple[Path, Path], tmp_path: Path) -> None:
    """Their folder has another name or lies elsewhere: the same predictions as from one of the study's name."""
    run, data = trained
    new = Path(shutil.copytree(data, tmp_path / "new"))
    study = (new / "study.toml").read_text()
    (new / "images").rename(tmp_path / "elsewhere")
    (new / "study.toml").unlink()
    told = called(run, "--data", new, "--out", tmp_path / "without.csv").splitlines()[1:]
    assert told == ["taken as absent for everybody: xray: no folder images there, nor a study.toml that names another"]
    assert 'folder = "images"' in study
    (new / "study.toml").write_text(study.replace('folder = "images"', f'folder = "{tmp_path / "elsewhere"}"'))
    assert called(run, "--data", new, "--out", tmp_path / "with.csv").splitlines()[1:] == []
    called(run, "--data", data, "--out", tmp_path / "plain.csv")
    assert (tmp_path / "with.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert (tmp_path / "with.csv").read_bytes() != (tmp_path / "without.csv").read_bytes()


def test_what_was_renamed_is_guessed(trained: tuple[Path, Path], tmp_path: Path) -> None:
    """A table, the one column of a source, and keys that fit no sample."""
    run, data = trained
    new = Path(shutil.copytree(data, tmp_path / "new"))
    pl.read_csv(new / "samples.csv").rename({"image": "images"}).write_csv(new / "samples.csv")
    (new / "vitals.csv").rename(new / "vitals_2.csv")
    notes = pl.read_parquet(new / "notes.parquet")
    notes.with_columns(visit=pl.lit("another hospital's")).write_parquet(new / "notes.parquet")
    told = called(run, "--data", new, "--out", tmp_path / "p.csv").splitlines()[1:]
    assert told == [
        'taken as absent for everybody: vitals: no table vitals.csv; did you mean "vitals_2.csv"?',
        f"taken as absent for everybody: notes: {len(notes):,} rows, {len(notes):,} whose visit is no sample's",
        'taken as absent for everybody: xray: no column "image" in the samples table; did you mean "images"?',
    ]


def test_long_encodings_are_seen(trained: tuple[Path, Path], tmp_path: Path) -> None:
    """Progress goes to the screen of errors: the table's place and nothing else is on standard output."""
    run, data = trained
    done = call("predict", run, "--data", data, "--out", tmp_path / "p.csv")
    assert done.out.count("\n") == 1
    assert done.err.splitlines()[0] == "reading the new patients" and done.err.splitlines()[-1] == "predicting"


def test_a_samples_file_alone_will_do(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = trained
    pl.read_csv(data / "samples.csv").head(1).write_parquet(tmp_path / "one.parquet")
    told = called(run, "--data", tmp_path / "one.parquet", "--out", tmp_path / "p.parquet")
    assert told.startswith("1 patient, 1 sample, 4 tasks: ")


def test_mistakes_are_told_before_any_work(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = trained
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FolderError, match="a folder stands where a file should be"):
        called(run, "--data", data, "--out", tmp_path / "folder.csv")
    with pytest.raises(SettingError, match="no table of this kind can be written") as raised:
        called(run, "--data", data, "--out", tmp_path / "p.xlsx")
    assert 'got: a file of suffix ".xlsx"' in str(raised.value)
    assert "expected: a file of suffix .csv or .parquet" in str(raised.value)
    with pytest.raises(FolderError, match="no model here"):
        called(data, "--data", data, "--out", tmp_path / "p.csv")
    with pytest.raises(DataError, match="no such file or folder"):
        called(run, "--data", tmp_path / "nowhere", "--out", tmp_path / "p.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_importing_it_is_light() -> None:
    code = "import sys, m3h.cli.predict; print(sorted({'torch', 'duckdb', 'polars'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
