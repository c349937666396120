"""Where a MIMIC's tables are: modules found below a folder, whatever the version is called."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from m3h.core.errors import DataError, FolderError
from m3h.hospital import files

#: Folders below the given one that are looked into.
DEPTH = 4
SUFFIXES = (".csv.gz", ".csv")


@dataclass(frozen=True)
class Wanted:
    """A table as it is read: the files that may hold it, and its columns (name -> SQL type, other names, needed)."""

    name: str
    files: tuple[str, ...]
    optional: bool
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Column:
    """A column: its SQL type, the names it may have, and whether some versions lack it."""

    kind: str
    names: tuple[str, ...]
    optional: bool


@cache
def wanted() -> dict[str, Wanted]:
    """The tables that are read, by name."""
    found = tomllib.loads(resources.files(__package__).joinpath("tables.toml").read_text(encoding="utf-8"))
    return {
        name: Wanted(
            name=name,
            files=tuple(table["files"]),
            optional=table.get("optional", False),
            columns=dict(_column(text, kind) for text, kind in table["columns"].items()),
        )
        for name, table in found.items()
    }


def _column(text: str, kind: str) -> tuple[str, Column]:
    names = tuple(text.removesuffix("?").split(" or "))
    return names[0], Column(kind, names, text.endswith("?"))


@dataclass(frozen=True)
class Layout:
    """The tables that are there (name -> file), the folder of chest images or None, and what release it looks like."""

    tables: Mapping[str, Path]
    images: Path | None
    release: str
    missing: tuple[str, ...] = field(default=())

    def has(self, *tables: str) -> bool:
        """Whether all of these tables are there."""
        return all(name in self.tables for name in tables)


def find(
    folder: Path | None,
    *,
    notes: Path | None = None,
    cxr: Path | None = None,
    ecg: Path | None = None,
    read: Mapping[str, Path] | None = None,
) -> Layout:
    """Look for the modules below ``folder``, and below the others where they lie elsewhere.

    ``read`` are tables that were read from a database; files stand for those it lacks. Errors: FolderError for a
    folder that is not there; DataError where a table that every study needs is missing, or where one is there
    twice.
    """
    places = [("", folder), ("note", notes), ("cxr", cxr), ("ecg", ecg)]
    below: dict[Path, str] = {}
    for module, place in places:
        if place is not None:
            if not place.is_dir():
                raise FolderError("no such folder", where=str(place), expected="a folder with the tables of MIMIC")
            below |= {path: f"/{module}/{path.name}" if module else path.as_posix() for path in _files(place)}
    tables: dict[str, Path] = dict(read or {})
    for table in wanted().values():
        found = None if table.name in tables else _found(table, below)
        if found is not None:
            tables[table.name] = found
    missing = [table.name for table in wanted().values() if table.name not in tables]
    needed = [name for name in missing if not wanted()[name].optional]
    if needed:
        raise DataError(
            f"{len(needed)} tables are missing: {', '.join(needed)}",
            where=str(folder or "the database"),
            got=f"{len(tables)} tables of MIMIC there" if tables else "no table of MIMIC there",
            expected=", ".join(f"{wanted()[name].files[0]}.csv.gz" for name in needed[:3]),
            next_step="name the folder that holds hosp and icu (and core in version 1.0)",
        )
    return Layout(tables, _images(tables), "in PostgreSQL" if read else _release(tables), tuple(missing))


def _files(folder: Path) -> list[Path]:
    """Table files below a folder, without going into the folders of images."""
    found = []
    for place, names, here in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        names[:] = sorted(name for name in names if depth < DEPTH and name != "files" and not name.startswith("."))
        found += [Path(place) / name for name in here if name.lower().endswith(SUFFIXES)]
    return [path.resolve() for path in found]


def _found(table: Wanted, below: Mapping[Path, str]) -> Path | None:
    for stem in table.files:
        ends = tuple(f"/{stem}{suffix}" for suffix in SUFFIXES)
        fitting = sorted(path for path, name in below.items() if name.lower().endswith(ends))
        if len(fitting) > 1:
            raise DataError(
                f"the table {table.name} is there {len(fitting)} times",
                got=", ".join(str(path) for path in fitting[:3]),
                next_step="name the folder of one version, or remove the copies",
            )
        if fitting:
            return fitting[0]
    return None


def _images(tables: Mapping[str, Path]) -> Path | None:
    if "cxr_metadata" not in tables:
        return None
    folder = tables["cxr_metadata"].parent / "files"
    return folder if folder.is_dir() else None


def _release(tables: Mapping[str, Path]) -> str:
    """What the columns say of the version; for people to read, nothing depends on it."""
    if (tables["patients"].parent.parent / "demo_subject_id.csv").is_file():
        return "demo 2.2"
    if tables["admissions"].parent.name == "core":
        return "1.0"
    names, _ = files.header(tables["chartevents"])
    return "2.2 or later" if "caregiver_id" in [name.lower() for name in names] else "2.0 or 2.1"
