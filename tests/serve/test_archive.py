"""Zip files that nobody should unpack, and those that a study needs."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from m3h.serve.archive import image_folders, needed_folders, unpack
from m3h.serve.limits import Limits, Refusal
from m3h.serve.served import Served
from m3h.study.spec import Study

LIMITS = Limits(entries=100, unpacked=5_000_000, ratio=50.0)


@pytest.fixture
def study(served: Served) -> Study:
    return served.model.study


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as into:
        for name, content in entries:
            into.writestr(name, content)
    return written


def unpacked(file: io.BytesIO, into: Path, study: Study, limits: Limits = LIMITS) -> list[str]:
    into.mkdir(exist_ok=True)
    unpack(file, into, study, limits)
    return sorted(path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file())


def test_tables_and_pictures_are_unpacked(study: Study, tmp_path: Path) -> None:
    assert {folder.as_posix() for folder in needed_folders(study) | image_folders(study)} == {".", "images"}
    names = ("samples.csv", "vitals.csv.gz", "notes.parquet", "images/a.png", "images/b/c.JPG")
    file = packed(*((name, b"x") for name in names), ("images/", b""))
    assert unpacked(file, tmp_path / "plain", study) == sorted(names)
    around = packed(
        *((f"new data/{name}", b"x") for name in names), ("__MACOSX/._a", b"x"), ("new data/.DS_Store", b"")
    )
    assert unpacked(around, tmp_path / "around", study) == sorted(names)


@pytest.mark.parametrize(
    "name",
    [
        *("../samples.csv", "images/../../samples.csv", "/etc/samples.csv", "..\\samples.csv", "C:\\samples.csv"),
        *("C:/samples.csv", "images\\..\\a.png", "images/" + "a" * 300 + ".png"),
    ],
)
def test_names_that_leave_the_folder(name: str, study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"entry 2 of the zip file (would leave its folder|is neither)") as raised:
        unpacked(packed(("samples.csv", b"x"), (name, b"x")), tmp_path / "in", study)
    assert name not in str(raised.value)
    assert not list((tmp_path / "in").iterdir()) and [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    "name",
    [
        *("study.toml", "query.sql", "more/samples.csv", "images/notes.csv", "run.py", "a.png", "samples.csv.exe"),
        "deep/deeper/samples.csv",
    ],
)
def test_what_a_study_does_not_need(name: str, study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="neither a table nor a picture of this study, or lies elsewhere"):
        unpacked(packed(("samples.csv", b"x"), (name, b"x")), tmp_path / "in", study)
    assert not list((tmp_path / "in").iterdir())


def link(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices(kind: int, study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="entry 1 of the zip file is a link, or no file"):
        unpacked(packed((link("samples.csv", kind), b"/etc/passwd")), tmp_path / "in", study)


def test_the_same_place_twice(study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="entry 2 of the zip file stands twice"):
        unpacked(packed(("samples.csv", b"x"), ("SAMPLES.csv", b"y")), tmp_path / "in", study)


def test_too_many_and_too_much(study: Study, tmp_path: Path) -> None:
    many = packed(*((f"images/{number}.png", b"") for number in range(101)))
    zeros = packed(("samples.csv", b"0" * 4_000_000))
    large = packed(("samples.csv", b"0" * 6_000_000))
    for file, told, limits in (
        (many, "101 entries", LIMITS),
        (zeros, "unpacks to suspiciously much", LIMITS),
        (large, "too much in the zip file", Limits(unpacked=5_000_000, ratio=1e9)),
    ):
        with pytest.raises(Refusal, match=told) as raised:
            unpacked(file, tmp_path / "in", study, limits)
        assert raised.value.status == 413


def test_what_a_zip_file_says_of_its_sizes_is_not_believed(study: Study, tmp_path: Path) -> None:
    """An entry of 4 MB that says it has 10 bytes: unpacking ends there, or the file is called damaged."""
    content = bytearray(packed(("samples.csv", b"0" * 4_000_000)).getvalue())
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = content.index(mark) + place
        content[at : at + 4] = struct.pack("<I", 10)
    with pytest.raises(Refusal, match=r"damaged|too much"):
        unpacked(io.BytesIO(bytes(content)), tmp_path / "in", study)
    assert all(path.stat().st_size <= 1 << 20 for path in (tmp_path / "in").rglob("*"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"no zip file at all", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_zip_file(content: bytes, study: Study, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"damaged|holds no table"):
        unpacked(io.BytesIO(content), tmp_path / "in", study)


def test_one_that_is_locked(study: Study, tmp_path: Path) -> None:
    content = bytearray(packed(("samples.csv", b"x")).getvalue())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(mark) + place] |= 1
    with pytest.raises(Refusal, match="locked by a password"):
        unpacked(io.BytesIO(bytes(content)), tmp_path / "in", study)
