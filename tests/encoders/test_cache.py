"""The cache: found again, never stale, mended when damaged, private, and of equal bytes."""

import json
import resource
import stat
import sys

import numpy as np
import pytest

from m3h.core.errors import DataError, FolderError
from m3h.encoders.cache import default_cache, encode, encode_new
from m3h.hospital.sources import Counts, Images, TableColumns, Texts
from m3h.study.spec import Source

TRAIN = np.array([True, True, True, False])
SOURCE = Source(name="facts", modality="tabular")


def table():
    texts = np.array(["pa", "ap", None, "ll"], dtype=object)
    return TableColumns({"age": np.array([1.0, np.nan, 3.0, 4.0]), "view": texts}, Counts(rows=4, used=4))


def never():
    raise AssertionError("data were read although the cache has the block")


def same(first, second):
    assert first.block.values.tobytes() == second.block.values.tobytes()
    assert first.block.present.tobytes() == second.block.present.tobytes()
    assert (first.block.names, first.block.units, first.block.unreadable) == (
        second.block.names,
        second.block.units,
        second.block.unreadable,
    )
    assert first.state.facts == second.state.facts
    assert {name: array.tobytes() for name, array in first.state.arrays.items()} == {
        name: array.tobytes() for name, array in second.state.arrays.items()
    }
    assert first.counts == second.counts


def test_second_time_reads_nothing(tmp_path):
    first = encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)
    second = encode(SOURCE, never, TRAIN, key="k", cache=tmp_path)
    assert (first.cached, second.cached) == (False, True)
    same(first, second)
    same(first, encode(SOURCE, table, TRAIN, key="k", cache=None))


@pytest.mark.parametrize(
    ("source", "train", "key"),
    [
        (SOURCE, TRAIN, "other"),
        (SOURCE, ~TRAIN, "k"),
        (SOURCE.model_copy(update={"name": "other"}), TRAIN, "k"),
        (SOURCE.model_copy(update={"options": {"max_categories": 9}}), TRAIN, "k"),
    ],
)
def test_anything_that_matters_is_part_of_the_address(tmp_path, source, train, key):
    encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)
    assert not encode(source, table, train, key=key, cache=tmp_path).cached


def test_a_raised_version_is_another_address(tmp_path, monkeypatch):
    encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)
    monkeypatch.setattr("m3h.encoders.tabular.Tabular.version", 2)
    assert not encode(SOURCE, table, TRAIN, key="k", cache=tmp_path).cached


def test_entries_of_two_makings_are_equal_byte_for_byte(tmp_path):
    for folder in ("a", "b"):
        encode(SOURCE, table, TRAIN, key="k", cache=tmp_path / folder)
    files = [sorted((tmp_path / folder).rglob("block.*")) for folder in ("a", "b")]
    assert [path.name for path in files[0]] == ["block.json", "block.safetensors"]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def rename(path):
    entry = json.loads(path.read_text())
    entry["content"]["names"][0] = "weight"
    path.write_text(json.dumps(entry))


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("block.safetensors", cut),
        ("block.safetensors", flip),
        ("block.safetensors", lambda path: path.unlink()),
        ("block.json", cut),
        ("block.json", rename),
        ("block.json", lambda path: path.unlink()),
        ("block.json", lambda path: path.write_text("[]")),
    ],
)
def test_a_damaged_entry_is_made_anew(tmp_path, file, harm):
    first = encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)
    (path,) = tmp_path.rglob(file)
    harm(path)
    second = encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)
    assert not second.cached
    same(first, second)
    assert encode(SOURCE, never, TRAIN, key="k", cache=tmp_path).cached


def test_the_folder_is_its_owners_alone(tmp_path):
    cache = tmp_path / "new" / "cache"
    encode(SOURCE, table, TRAIN, key="k", cache=cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)  # a folder of other people's making
    assert stat.S_IMODE((tmp_path / "blocks").stat().st_mode) == 0o700


def test_default_cache_is_named_but_not_made(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    usual = "Library/Caches/m3h" if sys.platform == "darwin" else ".cache/m3h"
    assert default_cache() == tmp_path / usual
    if sys.platform != "darwin":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
        assert default_cache() == tmp_path / "x" / "m3h"
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_told_before_work_begins(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cache folder cannot be made"):
        encode(SOURCE, never, TRAIN, key="k", cache=tmp_path / "file" / "cache")


def test_errors_name_the_source_and_leave_no_entry(tmp_path):
    source = Source(name="my notes", modality="language")
    empty = Texts(((), (), (), ("words words",)), ((), (), (), (0.0,)))
    with pytest.raises(DataError, match='source "my notes": no training sample has a text'):
        encode(source, lambda: empty, TRAIN, key="k", cache=tmp_path)
    assert not list(tmp_path.rglob("block.*"))


def test_a_source_without_training_samples_is_refused(tmp_path):
    nothing = TableColumns({"age": np.array([np.nan, np.nan, np.nan, 1.0])})
    with pytest.raises(DataError, match='source "facts": nothing of it reaches a training sample'):
        encode(SOURCE, lambda: nothing, TRAIN, key="k", cache=None)
    broken = Images(((tmp_path / "gone.png",),) * 4, ((0.0,),) * 4)
    with pytest.raises(DataError, match="got: 4 images could not be read"):
        encode(Source(name="xray", modality="vision"), lambda: broken, TRAIN, key="k", cache=None)


def test_new_samples_are_encoded_with_what_training_taught():
    made = encode(SOURCE, table, TRAIN, key="k", cache=None)
    new = encode_new(SOURCE, TableColumns({"age": np.array([7.0]), "view": np.array(["ll"], dtype=object)}), made.state)
    assert new.names == made.block.names
    assert new.values.tolist() == [[7, 0, 0, 1]]
    with pytest.raises(DataError, match='source "facts": no column "view"'):
        encode_new(SOURCE, TableColumns({"age": np.array([7.0])}), made.state)


def test_a_full_disk_is_a_clear_error_and_leaves_no_entry(tmp_path):
    """Files may not grow beyond 100 bytes: as on a full disk, the arrays cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(FolderError, match="cannot be written"):
            encode(SOURCE, table, TRAIN, key="k", cache=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not encode(SOURCE, table, TRAIN, key="k", cache=tmp_path).cached
