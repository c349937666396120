"""m3h simulate: what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

from called import call


def test_a_hospital_is_written_and_told(tmp_path: Path) -> None:
    words = ("simulate", tmp_path / "h", "--patients", 3, "--seed", 5, "--layout", "3.1", "--events-per-stay", 4)
    done = call(*words, "--json")
    assert (done.status, done.err) == (0, "")
    told = done.json
    written = json.loads((tmp_path / "h" / "truth.json").read_text(encoding="utf-8"))
    assert told == {"folder": str(tmp_path / "h")} | written
    assert (written["patients"], written["seed"], written["layout"]) == (3, 5, "3.1")
    again = call(*("simulate", tmp_path / "again", *words[2:]))
    assert again.status == 0 and "3 patients" in again.out and "hosp/labevents" in again.out
    assert (tmp_path / "again" / "truth.json").read_bytes() == (tmp_path / "h" / "truth.json").read_bytes()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    done = call("simulate", tmp_path)
    assert done.status == 2 and "the folder is not empty" in done.err and "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_layout_is_told(tmp_path: Path) -> None:
    done = call("simulate", tmp_path / "h", "--layout", "2.0")
    assert done.status == 2 and 'no layout "2.0"' in done.err
    assert not (tmp_path / "h").exists()
