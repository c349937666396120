from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from m3h.core.atomic import atomic_contents, atomic_file, atomic_folder
from m3h.core.errors import FolderError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    with atomic_file(target) as path:
        path.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["a.txt"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ValueError, match="halfway"), atomic_file(target) as path:
        path.write_text("half")
        raise ValueError("halfway")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with atomic_folder(target) as folder:
        (folder / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert names(tmp_path) == ["run"]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "run") as folder:
        (folder / "a").write_text("1")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@pytest.mark.parametrize(("replace", "left"), [(False, "old"), (True, "new")])
def test_an_existing_folder_is_kept_or_exchanged_whole(tmp_path: Path, replace: bool, left: str) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").write_text("")
    with atomic_folder(target, replace=replace) as folder:
        (folder / "new").write_text("")
    assert names(target) == [left]
    assert names(tmp_path) == ["run"]


def test_a_failed_exchange_keeps_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(ValueError, match="halfway"), atomic_folder(target, replace=True):
        raise ValueError("halfway")
    assert names(target) == ["old"]
    assert names(tmp_path) == ["run"]


def test_a_file_where_a_folder_should_be_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FolderError, match="a file stands where a folder should be"), atomic_folder(tmp_path / "file"):
        pass
    with pytest.raises(FolderError, match="a folder stands where a file should be"), atomic_file(tmp_path / "folder"):
        pass
    with pytest.raises(FolderError, match="cannot be written"), atomic_file(tmp_path / "file" / "a.txt"):
        pass


def test_others_may_read_as_far_as_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "a"), atomic_folder(tmp_path / "b") as folder:
            (folder / "x").touch(0o600)  # as safetensors writes its files
        with atomic_contents(tmp_path / "b", keep=(), last="y") as folder:
            (folder / "x").touch(0o600)
            (folder / "y").touch()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o750
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b").iterdir()] == [0o640, 0o640]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from m3h.core.atomic import atomic_contents, atomic_file, atomic_folder
from m3h.core.errors import FolderError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
target = Path(sys.argv[1])
for writer, name in ((atomic_file, "a"), (atomic_folder, "b")):
    try:
        with writer(target / name) as path:
            (path / "c" if path.is_dir() else path).write_bytes(b"x" * 2000)
    except FolderError as error:
        print(error)
"""


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("cannot be written: File too large") == 2
    assert "nothing half-written was left" in done.stdout
    assert names(tmp_path) == []
