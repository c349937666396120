"""A zip file of a study's tables, looked at before a byte of it is unpacked, and unpacked no further than it says."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from m3h.hospital.files import suffix
from m3h.serve.limits import Limits, Refusal, size
from m3h.study.spec import Study, Table

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
#: What macOS puts into a zip file beside what it was asked to.
_MACOS = ("__MACOSX", ".DS_Store")
_BLOCK = 1 << 20


def unpack(file: BinaryIO, into: Path, study: Study, limits: Limits) -> None:
    """Unpack the tables and pictures of a study into the folder ``into``, which exists.

    One folder around all of them is left out. Errors: Refusal for what is no zip file, for more or larger entries than
    ``limits`` allow, for names that leave the folder, for links, and for whatever a study does not need.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            wanted = _checked(packed, study, limits)
            left = limits.unpacked
            for entry, name in wanted:
                left -= _extract(packed, entry, into / name, left, limits)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        # what the library says may name an entry, and an entry may be named for a patient
        raise Refusal(
            "the zip file is damaged, or packed in a way that is not read", next_step="pack it anew"
        ) from error


def _checked(packed: zipfile.ZipFile, study: Study, limits: Limits) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The entries to unpack, with the places they go to."""
    infos = packed.infolist()
    if len(infos) > limits.entries:
        raise Refusal(f"{len(infos):,} entries in the zip file", status=413, expected=f"at most {limits.entries:,}")
    _check_sizes(infos, limits)
    entries = [(info, _name(number, info)) for number, info in enumerate(infos, start=1)]
    entries = [(info, name) for info, name in entries if not info.is_dir() and not set(name.parts) & set(_MACOS)]
    if not entries:
        raise Refusal("the zip file holds no table", expected="the tables of the study")
    folders = needed_folders(study)
    tops = {name.parts[0] for _, name in entries}
    if (
        len(tops) == 1
        and all(len(name.parts) > 1 for _, name in entries)
        and not tops & {one.parts[0] for one in folders if one.parts}
    ):
        entries = [(info, PurePosixPath(*name.parts[1:])) for info, name in entries]
    places: set[str] = set()
    for number, (_, name) in enumerate(entries, start=1):
        _check_place(number, name, folders, pictures=image_folders(study))
        if str(name).casefold() in places:
            raise Refusal(f"entry {number} of the zip file stands twice")
        places.add(str(name).casefold())
    return entries


def _check_sizes(infos: Iterable[zipfile.ZipInfo], limits: Limits) -> None:
    whole = sum(info.file_size for info in infos)
    if whole > limits.unpacked:
        raise Refusal("too much in the zip file", status=413, expected=f"at most {size(limits.unpacked)} unpacked")
    packed = sum(info.compress_size for info in infos)
    # a small file may well pack better than that: zeros, or one line over and over
    if whole > _BLOCK and whole > limits.ratio * max(packed, 1):
        raise Refusal(
            "the zip file unpacks to suspiciously much",
            status=413,
            expected=f"at most {limits.ratio:g} times its own size",
            next_step="send the tables as they are, or as .csv.gz or .parquet",
        )


def _name(number: int, info: zipfile.ZipInfo) -> PurePosixPath:
    """The place of an entry. Errors: Refusal for one that leaves the folder, for links and for locked ones."""
    raw, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    path = PurePosixPath(raw)
    outside = path.is_absolute() or ".." in path.parts or "\\" in raw or ":" in raw or "\0" in raw
    if outside or not path.parts or any(len(part.encode()) > 200 for part in path.parts):
        raise Refusal(
            f"entry {number} of the zip file would leave its folder",
            expected="plain names, without .., drive letters and backslashes",
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refusal(f"entry {number} of the zip file is a link, or no file", expected="files and folders alone")
    if info.flag_bits & 0x1:
        raise Refusal(f"entry {number} of the zip file is locked by a password", next_step="pack it without one")
    return path


def _check_place(
    number: int, name: PurePosixPath, folders: frozenset[PurePosixPath], pictures: frozenset[PurePosixPath]
) -> None:
    table = suffix(name.name) and name.parent in folders
    picture = name.suffix.lower() in PICTURES and any(one in (name.parent, *name.parents) for one in pictures)
    # a study.toml or a query would be followed to places of this machine
    if not table and not picture:
        named = ", ".join(sorted(f"{folder}/" for folder in (folders | pictures) if folder.parts))
        raise Refusal(
            f"entry {number} of the zip file is neither a table nor a picture of this study, or lies elsewhere",
            expected="tables (.csv, .csv.gz, .parquet) side by side" + (f", and the folders {named}" if named else ""),
            next_step="leave out everything else, folders within folders as well",
        )


def needed_folders(study: Study) -> frozenset[PurePosixPath]:
    """Folders in which tables of the study may lie, relative to its own."""
    owners: list[Table] = [study.samples, *study.sources, *([study.diagnoses] if study.diagnoses else [])]
    named = [PurePosixPath(owner.table).parent for owner in owners if owner.table]
    return frozenset({PurePosixPath("."), *(one for one in named if _within(one))})


def image_folders(study: Study) -> frozenset[PurePosixPath]:
    """Folders in which pictures of the study lie, relative to its own."""
    named = [PurePosixPath(source.folder) for source in study.sources if source.folder]
    return frozenset(one for one in named if _within(one))


def _within(folder: PurePosixPath) -> bool:
    return not folder.is_absolute() and ".." not in folder.parts


def _extract(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int, limits: Limits) -> int:
    """Unpack one entry; how many bytes it had. What an entry says of its size is not believed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with packed.open(entry) as stream, target.open("xb") as out:
        while block := stream.read(_BLOCK):
            done += len(block)
            if done > left or done > entry.file_size:
                raise Refusal(
                    "too much in the zip file", status=413, expected=f"at most {size(limits.unpacked)} unpacked"
                )
            out.write(block)
    return done
