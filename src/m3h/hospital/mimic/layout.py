"""Where a MIMIC's tables are: modules found below a folder, whatever the version is called."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from m3h.core.errors import DataError, FolderError
from m3h.hospital import files

#: Folders below the given one that are looked into.
DEPTH = 4
SUFFIXES = (".csv.gz", ".csv", ".parquet")
#: What a module's own folder must hold some of.
MODULES = {"note": ("radiology", "echo"), "cxr": ("cxr_metadata", "cxr_chexpert"), "ecg": ("ecg",)}


@dataclass(frozen=True)
class Wanted:
    """A table as it is read: the files that may hold it, and its columns (name -> SQL type, other names, needed).

    Of a ``whole`` table every value must be readable, ``filled`` columns must not be empty, and ``key`` names a row.
    Of others the rows whose ``counted`` columns cannot be read are counted.
    """

    name: str
    files: tuple[str, ...]
    optional: bool
    columns: Mapping[str, Column]
    whole: bool = False
    filled: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()


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
            whole=table.get("whole", False),
            **{part: tuple(table.get(part, ())) for part in ("filled", "key", "counted")},
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

    def folders(self) -> frozenset[Path]:
        """The folders that belong to MIMIC: those of its tables and of its images."""
        return frozenset(path.parent for path in self.tables.values()) | ({self.images} if self.images else set())


def find(
    folder: Path | None,
    *,
    notes: Path | None = None,
    cxr: Path | None = None,
    ecg: Path | None = None,
    read: Mapping[str, Path] | None = None,
    needed: Collection[str] | None = None,
) -> Layout:
    """Look for the modules below ``folder``, and below the others where they lie elsewhere.

    ``read`` are tables that were read from a database; files stand for those it lacks. ``needed`` are the tables
    without which nothing can be made (None: all that are not optional). Errors: FolderError for a folder that is not
    there; DataError where a needed table is missing, where one is there twice, and where a module's own folder holds
    none of its tables.
    """
    places = {"": folder, "note": notes, "cxr": cxr, "ecg": ecg}
    below = {module: _below(module, place) for module, place in places.items() if place is not None}
    for module in [name for name in MODULES if name in below]:
        names = MODULES[module]
        if not any(_found(wanted()[name], [below[module]]) for name in names):
            raise DataError(
                f"no table of the module {module} there",
                where=str(places[module]),
                expected=" or ".join(_file(name) for name in names),
                next_step="name the folder that holds it, or leave the option out",
            )
    tables: dict[str, Path] = dict(read or {})
    for table in wanted().values():
        found = None if table.name in tables else _found(table, list(below.values()))
        if found is not None:
            tables[table.name] = found
    _check_needed(folder, tables, needed)
    missing = tuple(name for name in wanted() if name not in tables)
    return Layout(tables, _images(tables), "in PostgreSQL" if read else _release(tables), missing)


def _check_needed(folder: Path | None, tables: Mapping[str, Path], needed: Collection[str] | None) -> None:
    asked = [table.name for table in wanted().values() if not table.optional] if needed is None else needed
    lacking = [name for name in asked if name not in tables]
    if lacking:
        are = "1 table is" if len(lacking) == 1 else f"{len(lacking)} tables are"
        raise DataError(
            f"{are} missing: {', '.join(lacking)}",
            where=str(folder or "the database"),
            got=f"{len(tables)} tables of MIMIC there" if tables else "no table of MIMIC there",
            expected=", ".join(_file(name) for name in lacking[:3]),
            next_step="name the folder that holds hosp and icu (and core in version 1.0)",
        )


def _file(table: str) -> str:
    return f"{wanted()[table].files[0]}.csv.gz"


def _below(module: str, place: Path) -> dict[Path, str]:
    """The table files below a folder, each as it is looked for: those of a module's own folder lie in it."""
    # by the names of the links on the way, which say hosp and icu where the disks behind them may not
    return {path.resolve(): f"/{module}/{path.name}" if module else path.as_posix() for path in _files(place)}


def _files(folder: Path) -> list[Path]:
    """Table files below a folder, without going into the folders of images."""
    if not folder.is_dir():
        raise FolderError(
            "not a folder" if folder.exists() else "no such folder",
            where=str(folder),
            expected="a folder with the tables of MIMIC",
        )
    found = []
    for place, names, here in os.walk(folder, onerror=_refused, followlinks=True):
        # a link to a folder above ends here too
        depth = len(Path(place).relative_to(folder).parts)
        names[:] = sorted(name for name in names if depth < DEPTH and name != "files" and not name.startswith("."))
        found += [Path(place) / name for name in here if name.lower().endswith(SUFFIXES)]
    return [path.absolute() for path in found]


def _refused(error: OSError) -> None:
    raise FolderError(
        f"cannot be looked into: {error.strerror}",
        where=str(error.filename),
        next_step="have the rights to read it, or name a folder without it",
    )


def _found(table: Wanted, below: Collection[Mapping[Path, str]]) -> Path | None:
    for stem in table.files:
        ends = tuple(f"/{stem}{suffix}" for suffix in SUFFIXES)
        fitting = sorted({path for one in below for path, name in one.items() if name.lower().endswith(ends)})
        if len(fitting) > 1:
            raise DataError(
                f"the table {table.name} is there {len(fitting)} times",
                where=str(fitting[0].parent),
                got=", ".join(str(path) for path in fitting[:3]),
                expected="one file for each table",
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
    if not {"patients", "admissions", "chartevents"} <= tables.keys():
        return "in part"
    if (tables["patients"].parent.parent / "demo_subject_id.csv").is_file():
        return "demo 2.2"
    if tables["admissions"].parent.name == "core":
        return "1.0"
    names, _ = files.header(tables["chartevents"])
    return "2.2 or later" if "caregiver_id" in [name.lower() for name in names] else "2.0 or 2.1"
