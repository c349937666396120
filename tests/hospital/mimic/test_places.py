"""Folders that a study cannot be made from, or not be written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3h.core.errors import DataError, FolderError, M3HError
from m3h.hospital.mimic.build import make_study
from m3h.hospital.simulate.hospital import simulate


@pytest.fixture
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "hospital"
    simulate(folder, patients=3, seed=2, release="2.2", events_per_stay=20)
    return folder


@pytest.mark.parametrize("place", ["hosp/study", "cxr/files/p10/study"])
def test_a_study_does_not_lie_among_the_tables(place: str, hospital: Path) -> None:
    before = sorted(hospital.rglob("*"))
    with pytest.raises(FolderError, match="the study would lie in a folder of MIMIC"):
        make_study(hospital, hospital / place, encoders="offline")
    assert sorted(hospital.rglob("*")) == before


def test_modules_that_are_links(hospital: Path, tmp_path: Path) -> None:
    """Modules lie on other disks under other names; one link leads back up."""
    make_study(hospital, tmp_path / "plain", encoders="offline")
    for module in ("hosp", "icu"):
        (hospital / module).rename(tmp_path / f"disk_{module}")
        (hospital / module).symlink_to(tmp_path / f"disk_{module}")
    (hospital / "hosp" / "up").symlink_to(hospital)
    make_study(hospital, tmp_path / "linked", encoders="offline")
    plain, linked = ((tmp_path / name / "samples.parquet").read_bytes() for name in ("plain", "linked"))
    assert plain == linked


def test_places_that_do_not_fit(hospital: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    cases: list[tuple[dict[str, Path], Path, type[M3HError], str]] = [
        ({"folder": hospital}, file / "study", FolderError, "cannot be written"),
        ({"folder": hospital}, file, FolderError, "something already"),
        ({"folder": file}, tmp_path / "study", FolderError, "not a folder"),
        ({"folder": hospital, "notes": hospital / "icu"}, tmp_path / "study", DataError, "no table of the module note"),
        ({"folder": hospital, "cxr": hospital / "icu"}, tmp_path / "study", DataError, "no table of the module cxr"),
        ({"folder": hospital / "hosp"}, tmp_path / "study", DataError, "3 tables are missing"),
        ({"folder": tmp_path}, tmp_path / "study", DataError, "no table of MIMIC there"),
    ]
    for given, out, kind, message in cases:
        with pytest.raises(kind, match=message):
            make_study(out=out, encoders="offline", **given)  # type: ignore[misc]
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and file.read_text() == "mine"
