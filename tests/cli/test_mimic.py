"""m3h simulate, m3h mimic and m3h check as a person would call them, with things wrong on the way."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from called import Called, call


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "hospital"
    assert call("simulate", folder, "--patients", 40, "--events-per-stay", 20, "--seed", 5).status == 0
    return folder


@pytest.fixture
def mimic(hospital: Path, tmp_path: Path) -> Path:
    def copied(here: str, there: str) -> None:
        # images are large and nobody changes them in place
        os.link(here, there) if here.endswith(".jpg") else shutil.copy(here, there)

    return Path(shutil.copytree(hospital, tmp_path / "mimic", copy_function=copied))


def make(folder: Path, *words: object) -> Called:
    return call("mimic", folder, "--encoders", "offline", "--out", folder.parent / "study", *words)


def change(folder: Path, table: str, new: Callable[[str], str]) -> None:
    file = folder / f"{table}.csv.gz"
    file.write_bytes(gzip.compress(new(gzip.decompress(file.read_bytes()).decode()).encode(), mtime=0))


def refused(done: Called, *parts: str) -> None:
    assert done.status == 2 and not done.out
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err


def test_what_was_left_out_is_told(mimic: Path) -> None:
    change(mimic, "icu/chartevents", lambda text: text.replace(":00,", ":xx,", 50))
    (mimic / "note" / "echo.csv.gz").unlink()
    done = make(mimic)
    assert done.status == 0
    assert "rows of chartevents whose charttime cannot be read" in done.out
    assert "not there: echocardiogram notes (not public): the study has no source echo\n" in done.out
    assert done.out.splitlines()[-1] == f"next: m3h check {mimic.parent / 'study' / 'study.toml'}"


def test_as_json_every_count_is_there(mimic: Path) -> None:
    found = make(mimic, "--json").json
    assert found["samples"] > 0 and found["images"]
    assert [told.split(":")[0] for told in found["missing"]] == ["procedures"]
    assert "their columns are empty" in found["missing"][0]
    assert found["counts"]["admissions that end before they begin"] > 0
    assert found["counts"]["images of samples that are not among the files"] == 0


@pytest.mark.parametrize(
    ("table", "new", "parts"),
    [
        (
            "hosp/diagnoses_icd",
            lambda text: text.splitlines()[0] + "\n",
            ("diagnoses_icd.csv.gz: the table has no rows",),
        ),
        ("icu/icustays", lambda text: text.replace("intime", "in_time", 1), ('no column "intime"', "expected: intime")),
        ("icu/chartevents", lambda text: text + "1,2\n", ("chartevents.csv.gz: line", "next: correct the file")),
    ],
)
def test_refused_without_a_traceback(
    table: str, new: Callable[[str], str], parts: tuple[str, ...], mimic: Path
) -> None:
    change(mimic, table, new)
    refused(make(mimic), *parts)
    assert not (mimic.parent / "study").exists()


def test_options_that_do_not_fit(mimic: Path) -> None:
    refused(make(mimic, "--notes", mimic / "hosp"), "no table of the module note", "note/radiology.csv.gz")
    refused(make(mimic, "--profile", "strikt"), 'did you mean "strict"?')
    refused(make(mimic, "--at", 12), "--at 12 has no effect", "a sample is an image", "next: leave --at out")
    (mimic / "cxr" / "files").rename(mimic / "elsewhere")
    refused(make(mimic, "--single-pathology"), "--single-pathology has no effect", "no folder files")
    refused(make(mimic, "--out", mimic / "icu" / "study"), "the study would lie in a folder of MIMIC")
    refused(call("mimic", "--out", mimic.parent / "study"), "no MIMIC is named", "a folder, or --database")
    assert not (mimic.parent / "study").exists()


def test_weights_that_are_not_here_are_told_first(mimic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(mimic.parent / "home"))
    done = make(mimic, "--encoders", "paper")
    assert done.status == 0
    first, second, third, *_ = done.err.splitlines()
    assert "note: the weights of clinicalbert (notes) are not on this machine" in first
    assert "m3h weights --fetch clinicalbert" in first and "m3h weights --fetch densenet121-chex" in second
    assert "--encoders offline" in third
    shutil.rmtree(mimic.parent / "study")
    assert "weights" not in make(mimic).err


def test_an_image_that_does_not_open_is_counted_by_check(mimic: Path) -> None:
    assert make(mimic).status == 0
    import polars as pl

    image = pl.read_parquet(mimic.parent / "study" / "samples.parquet")["image"][0]
    file = mimic / "cxr" / "files" / image
    file.unlink()
    file.write_bytes(b"no picture")
    done = call("check", mimic.parent / "study" / "study.toml", "--no-cache", "--json")
    assert done.status == 0
    images = [source for source in done.json["sources"] if source["modality"] == "vision"]
    assert [source["unreadable"] for source in images] == [1] * len(images)
    # a small hospital has no row of some signals: their columns are there, and empty
    widths = {source["name"]: source["width"] for source in done.json["sources"]}
    assert (widths["chart"], widths["labs"], widths["procedures"]) == (99, 242, 110)


def test_a_full_disk_leaves_nothing_behind(mimic: Path) -> None:
    """In a process of its own: the limit on a file's size would hold for the rest of the tests."""
    import subprocess
    import sys

    command = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from m3h.core.errors import FolderError; from m3h.hospital.mimic.build import make_study\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))\n"
        "try: make_study(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except FolderError as error: print(error)\n"
    )
    place = mimic.parent / "study"
    done = subprocess.run([sys.executable, "-c", command, mimic, place], capture_output=True, text=True, check=False)
    assert "cannot be written" in done.stdout, done.stderr
    assert [path.name for path in mimic.parent.iterdir()] == ["mimic"]
