from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m3h.core.errors import FolderError
from m3h.dataset.dataset import Dataset
from m3h.dataset.disk import ARRAYS, FACTS, SAMPLES, load, save

Make = Callable[..., Dataset]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_saved_is_loaded(by_hand: Make, tmp_path: Path) -> None:
    dataset = by_hand()
    save(dataset, tmp_path / "d")
    again = load(tmp_path / "d")
    for name in ("name", "title", "seed", "fingerprint", "recipe", "facts"):
        assert getattr(again, name) == getattr(dataset, name)
    for name in ("ids", "patients", "split"):
        np.testing.assert_array_equal(getattr(again, name), getattr(dataset, name), strict=True)
    np.testing.assert_array_equal(again.subgroups["ward"], dataset.subgroups["ward"], strict=True)
    assert list(again.blocks) == ["labs", "notes"]
    for name, block in dataset.blocks.items():
        np.testing.assert_array_equal(again.blocks[name].values, block.values, strict=True)
        np.testing.assert_array_equal(again.blocks[name].present, block.present, strict=True)
        for part in ("source", "modality", "names", "units", "unreadable"):
            assert getattr(again.blocks[name], part) == getattr(block, part)
    assert again.tasks == dataset.tasks
    for name, labels in dataset.labels.items():
        np.testing.assert_array_equal(again.labels[name].values, labels.values, strict=True)
        for part in ("classes", "unknown_class", "unusable"):
            assert getattr(again.labels[name], part) == getattr(labels, part)
    for name, state in dataset.states.items():
        assert again.states[name].facts == state.facts
        for key, array in state.arrays.items():
            np.testing.assert_array_equal(again.states[name].arrays[key], array, strict=True)


def test_equal_datasets_are_equal_bytes(by_hand: Make, tmp_path: Path) -> None:
    save(by_hand(), tmp_path / "a")
    save(by_hand(), tmp_path / "b")
    save(load(tmp_path / "a"), tmp_path / "c")
    assert set(bytes_of(tmp_path / "a")) == {ARRAYS, SAMPLES, FACTS}
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b") == bytes_of(tmp_path / "c")


def test_values_are_mapped_and_writing_into_them_changes_no_file(by_hand: Make, tmp_path: Path) -> None:
    save(by_hand(), tmp_path / "d")
    before = bytes_of(tmp_path / "d")
    values = load(tmp_path / "d").blocks["labs"].values
    base = values
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    values[0, 0] = 99
    assert bytes_of(tmp_path / "d") == before


def test_a_folder_that_is_there_is_kept_unless_replaced(by_hand: Make, tmp_path: Path) -> None:
    save(by_hand(), tmp_path / "d")
    save(by_hand(title="Other"), tmp_path / "d")
    assert load(tmp_path / "d").title == "Made by hand"
    save(by_hand(title="Other"), tmp_path / "d", replace=True)
    assert load(tmp_path / "d").title == "Other"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_file_in_the_way_is_named(by_hand: Make, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("mine")
    with pytest.raises(FolderError, match="a file stands where a folder should be"):
        save(by_hand(), tmp_path / "d")
    assert (tmp_path / "d").read_text() == "mine"


SAVE_UNDER_LIMIT = """
import resource, sys
from pathlib import Path
from m3h.core.errors import FolderError
from m3h.dataset.disk import load, save
dataset = load(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    save(dataset, Path(sys.argv[2]))
except FolderError as error:
    print(error)
"""


@pytest.mark.parametrize("name", [ARRAYS, SAMPLES, FACTS])
def test_a_full_disk_leaves_nothing(by_hand: Make, tmp_path: Path, name: str) -> None:
    """A process that may write no file as long as this one."""
    save(by_hand(), tmp_path / "whole")
    limit = (tmp_path / "whole" / name).stat().st_size - 1
    arguments = [sys.executable, "-c", SAVE_UNDER_LIMIT, str(tmp_path / "whole"), str(tmp_path / "d"), str(limit)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60)
    assert "cannot be written" in done.stdout
    assert "nothing half-written was left" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no dataset here") as raised:
        load(tmp_path / "none")
    assert FACTS in str(raised.value)


@pytest.mark.parametrize("name", [ARRAYS, SAMPLES])
def test_a_truncated_changed_or_missing_file_is_found(by_hand: Make, tmp_path: Path, name: str) -> None:
    save(by_hand(), tmp_path / "d")
    path = tmp_path / "d" / name
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-20] ^= 1
    for content in (whole[: len(whole) // 2], bytes(changed), b""):
        path.write_bytes(content)
        with pytest.raises(FolderError, match=f"{name} is damaged or missing"):
            load(tmp_path / "d")
    path.unlink()
    with pytest.raises(FolderError, match=f"{name} is damaged or missing") as raised:
        load(tmp_path / "d")
    assert "build the dataset again" in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 1, "files": {}}'])
def test_damaged_facts_are_found(by_hand: Make, tmp_path: Path, text: str) -> None:
    save(by_hand(), tmp_path / "d")
    (tmp_path / "d" / FACTS).write_text(text)
    with pytest.raises(FolderError, match=f"{FACTS} is damaged or missing"):
        load(tmp_path / "d")


def test_another_version_is_named(by_hand: Make, tmp_path: Path) -> None:
    save(by_hand(), tmp_path / "d")
    path = tmp_path / "d" / FACTS
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(FolderError, match="a dataset of another version") as raised:
        load(tmp_path / "d")
    assert "format 99" in str(raised.value)


def test_nothing_is_pickled(by_hand: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    for name in ("load", "loads", "dump", "dumps"):
        monkeypatch.setattr(f"pickle.{name}", refuse)
    save(by_hand(), tmp_path / "d")
    load(tmp_path / "d")
