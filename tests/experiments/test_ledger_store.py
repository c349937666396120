"""Files that are no ledger, or a damaged, locked, full or unreachable one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m3h.core.errors import FolderError
from m3h.experiments.ledger import Ledger, place, store
from m3h.experiments.outcome import Outcome
from outcomes import TRIAL, ended, plain, trials

FINAL = replace(TRIAL, fold=None)
NETWORK = np.random.default_rng(0).bytes(30_000)
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """A closed ledger with 60 trials, one of them with a network."""
    path = tmp_path_factory.mktemp("written") / "ledger.sqlite"
    outcomes = [ended(FINAL, network=NETWORK)] + [ended(trial) for trial in trials(59)]
    with Ledger(path) as ledger:
        ledger.record(outcomes, study="made")
    return path, {one.trial.id: one for one in outcomes}


@pytest.fixture
def no_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o077, "0o600"), (0o027, "0o640"), (0o002, "0o664")])
def test_who_may_read_follows_from_the_umask(path: Path, no_mask: None, mask: int, mode: str) -> None:
    os.umask(mask)
    with Ledger(path) as ledger:
        ledger.record([ended(TRIAL)], study="made")
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == ["ledger.sqlite", "ledger.sqlite-shm", "ledger.sqlite-wal"]
        assert [oct(stat.S_IMODE(file.stat().st_mode)) for file in files] == [mode] * 3
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_is_an_empty_ledger_and_keeps_its_permissions(path: Path) -> None:
    path.touch()
    path.chmod(0o660)
    with Ledger(path, writing=False) as ledger:
        assert ledger.counts() == {"finished": 0, "failed": 0, "claimed": 0} and ledger.table().is_empty()
        refused_to_write = pytest.raises(FolderError, match="cannot be written")
        with refused_to_write:
            ledger.record([ended(TRIAL)], study="made")
    assert path.read_bytes() == b"" and list(path.parent.iterdir()) == [path]
    with Ledger(path) as ledger:
        ledger.record([ended(TRIAL)], study="made")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with Ledger(path, writing=False) as ledger:
        assert ledger.names() == {"study": ("made",), "task": tuple(sorted(TRIAL.tasks)), "preset": ("paper",)}


def test_what_is_written_is_synchronised_with_the_disk(path: Path) -> None:
    with Ledger(path) as ledger:
        asked = [ledger._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert asked == ["wal", 2]


def test_many_may_make_the_same_ledger_at_once(tmp_path: Path) -> None:
    def use(number: int) -> int:
        with Ledger(tmp_path / str(number // 8) / "ledger.sqlite", timeout=20) as ledger:
            ledger.record([ended(trials(8)[number % 8])], study="made")
        return number

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(use, range(40)))) == 40
    for folder in range(5):
        with Ledger(tmp_path / str(folder) / "ledger.sqlite", writing=False) as ledger:
            assert ledger.counts()["finished"] == 8


def refused(act: Callable[[], object], *words: str) -> None:
    with pytest.raises(FolderError) as caught:
        act()
    for word in (*words, "next: "):
        assert word in str(caught.value)
    assert TRIAL.id not in str(caught.value)


def unchanged(path: Path, act: Callable[[], object], *words: str) -> None:
    """Refused by a writer and a reader, with the file as it was and nothing beside it."""
    before = path.read_bytes()
    refused(act, str(path), *words)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("content", [b"id,score\n1,2\n", b"x", b"SQLite format 3\x00", bytes(5000)])
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes, writing: bool) -> None:
    path.write_bytes(content)
    unchanged(path, lambda: Ledger(path, writing=writing), "this file is not a ledger", "another kind")


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_of_another_program_is_refused(path: Path, mode: str, writing: bool) -> None:
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA journal_mode = {mode}")
    other.execute("CREATE TABLE trial (id)")
    other.commit()
    other.close()
    unchanged(path, lambda: Ledger(path, writing=writing), "this file is not a ledger", "another program")


@pytest.mark.parametrize("writing", [True, False])
def test_a_newer_format_is_refused(path: Path, writing: bool) -> None:
    Ledger(path).close()
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {store.FORMAT + 1}")
    other.close()
    unchanged(path, lambda: Ledger(path, writing=writing), "newer m3h", f"got: format {store.FORMAT + 1}", "install")


def test_places_where_no_ledger_can_be(path: Path) -> None:
    refused(lambda: Ledger(path.parent), "a folder stands where the ledger should be")
    refused(lambda: Ledger(path, writing=False), "there is no ledger here")
    assert not path.exists()
    (path.parent / "file").touch()
    place = path.parent / "file" / "deep" / "ledger.sqlite"
    for act in (lambda: Ledger(place), lambda: store.check_place(place)):
        refused(act, "a file stands where a folder should be", str(path.parent / "file"), str(place), "--ledger")


def test_a_place_is_looked_at_without_changing_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = path.parent / "not" / "yet" / "ledger.sqlite"
    store.check_place(deep)
    assert not list(path.parent.iterdir())
    refused(lambda: store.check_place(path.parent), "a folder stands", str(path.parent))
    path.write_text("no ledger")
    refused(lambda: store.check_place(path), "this file is not a ledger", str(path))
    path.unlink()
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    refused(lambda: store.check_place(path), "no permission", str(path), "--ledger")


def check_whole_or_refused(path: Path, outcomes: dict[str, Outcome]) -> bool:
    """Whether a changed ledger was refused; if not, all of it must be as it was written."""
    asked = [one.trial for one in outcomes.values()]
    try:
        with Ledger(path) as ledger:
            assert {key: plain(one) for key, one in ledger.found(asked).items()} == {
                key: plain(one) for key, one in outcomes.items()
            }
            assert ledger.network(FINAL.id) == NETWORK
            assert ledger.table()["id"].to_list() == list(outcomes)[::-1]
    except FolderError as error:
        assert "this ledger is damaged" in str(error) or "not a ledger" in str(error) or "newer" in str(error)
        assert "next: " in str(error)
        return True
    return False


def test_an_overwritten_page_is_never_taken_for_content(written: tuple[Path, dict[str, Outcome]], path: Path) -> None:
    whole = written[0].read_bytes()
    assert not check_whole_or_refused(Path(shutil.copy(written[0], path)), written[1])
    harmless = []
    for begin in range(0, len(whole), PAGE):
        path.write_bytes(whole[:begin] + b"\xa5" * PAGE + whole[begin + PAGE :])
        if not check_whole_or_refused(path, written[1]):
            harmless.append(begin // PAGE)
    # empty tables of claims and of their index are pages too; what holds something must be noticed
    assert len(harmless) <= 1 and len(whole) // PAGE > 15


def test_a_changed_bit_is_never_taken_for_content(written: tuple[Path, dict[str, Outcome]], path: Path) -> None:
    whole = bytearray(written[0].read_bytes())
    draw = np.random.default_rng(5)
    places = [*range(100), *draw.integers(100, len(whole), 200).tolist()]  # every byte of the header, and others
    found = 0
    for number in places:
        changed = bytearray(whole)
        changed[number] ^= 1 << int(draw.integers(8))
        path.write_bytes(changed)
        found += check_whole_or_refused(path, written[1])
    assert found > 100


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_truncated_ledger_is_refused(written: tuple[Path, dict[str, Outcome]], path: Path, share: float) -> None:
    whole = written[0].read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert check_whole_or_refused(path, written[1])


def test_a_locked_ledger_says_so_and_goes_on_later(path: Path) -> None:
    with Ledger(path, timeout=0.1) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused(lambda: ledger.record([ended(TRIAL)], study="made"), "locked for 0.1 seconds", "is safe")
        refused(lambda: ledger.claim([TRIAL.id]), "locked")
        assert ledger.found([TRIAL]) == {}  # reading does not wait
        other.execute("ROLLBACK")
        other.close()
        ledger.record([ended(TRIAL)], study="made")
        assert list(ledger.found([TRIAL])) == [TRIAL.id]


def test_a_full_disk_loses_nothing(path: Path) -> None:
    kept, large = ended(TRIAL), ended(FINAL, network=bytes(4 << 20))
    with Ledger(path) as ledger:
        ledger.record([kept], study="made")
        ledger.claim([FINAL.id])
        ledger._connection.execute("PRAGMA max_page_count = 100")
        refused(lambda: ledger.record([ended(trials(2)[1]), large], study="made"), "disk is full", "free space")
        assert ledger.counts() == {"finished": 1, "failed": 0, "claimed": 1}
        assert plain(ledger.found([TRIAL])[TRIAL.id]) == plain(kept)
        ledger._connection.execute(f"PRAGMA max_page_count = {1 << 30}")
        ledger.record([large], study="made")
        assert ledger.network(FINAL.id) == bytes(4 << 20)


LIMITED = """
import resource, sys
from pathlib import Path
from m3h.core.errors import FolderError
from m3h.experiments.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.claim(["a"])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    ledger.claim([str(number) for number in range(20_000)])
except FolderError as error:
    print(error)
print(ledger.counts()["claimed"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(ledger.claim(["b"])))
"""


def test_a_file_that_may_not_grow_loses_nothing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert "refused to read or write" in done.stdout or "disk is full" in done.stdout
    assert "what the ledger held before is safe" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["1", "1"]


def test_a_ledger_that_may_not_be_written_can_be_read(
    written: tuple[Path, dict[str, Outcome]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(written[0], path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Ledger(path, writing=False) as ledger:
        assert ledger.counts()["finished"] == len(written[1])
        assert list(path.parent.iterdir()) == [path]
        refused(lambda: ledger.record([ended(FINAL)], study="made"), "cannot be written", "permission")


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = path.parent / "far away"
    (far / "near").mkdir(parents=True)
    mounts = path.parent / "mounts"
    name = str(far).replace(" ", "\\040")
    mounts.write_text(f"disk / ext4 rw 0 0\nauto {name} autofs rw 0 0\nserver:/x {name} nfs4 rw 0 0\n"
                      f"disk {name}/near xfs rw 0 0\n")  # fmt: skip
    monkeypatch.setattr(place, "MOUNTS", mounts)
    assert [place.file_system(one) for one in (path, far, far / "near" / "x", far / "nearer")] == [
        *("ext4", "nfs4", "xfs", "nfs4")
    ]
    refused(
        lambda: Ledger(far / "deep" / "ledger.sqlite"), "network file system", "got: nfs4", "--ledger", "local disk"
    )
    (path.parent / "link").symlink_to(far)
    refused(lambda: Ledger(path.parent / "link" / "ledger.sqlite"), "network file system")
    Ledger(far / "near" / "ledger.sqlite").close()
    monkeypatch.setattr(place, "MOUNTS", path.parent / "none")
    assert place.file_system(path) == ""
    Ledger(path).close()


def test_a_file_system_without_write_ahead_is_refused(path: Path) -> None:
    memory = sqlite3.connect(":memory:")  # knows no other journal than its own
    refused(lambda: store._write_ahead(memory, path, 0.1), "write-ahead", "got: journal mode memory", "local disk")
    memory.close()
