"""The run folder: written whole or not at all, and read again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError

from m3h.core.atomic import atomic_contents
from m3h.core.errors import FolderError

LEDGER = "ledger.sqlite"
#: The ledger and what SQLite keeps beside it: they outlive a run, whether it ended or was stopped.
KEPT = frozenset((LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm"))
#: What a run leaves; a folder that holds anything else is not replaced.
OWN = (
    KEPT
    | frozenset(("scores.csv", "differences.csv", "attention.csv", "predictions.parquet", "tim.csv", "search.csv"))
    | frozenset(("calibration.csv", "calibration_curve.csv", "decision.csv", "operating.csv", "conformal.csv"))
    | frozenset(("subgroups.csv", "sources.csv", "features.csv", "robustness.csv", "gates.csv"))
    | frozenset(("calibration_groups.csv", "departments.csv", "phenotype_map.csv"))
    | frozenset(("deletion.csv", "examples.csv", "phenotypes.csv", "stability.csv"))
    | frozenset(("held.parquet", "run.json", "report.html", "paper.csv", "tripod.csv", "model"))
)


def check_place(folder: Path) -> None:
    """Refuse, before any work is done, a place where no run folder can be made.

    What an earlier run left there is replaced, but for its ledger, if nothing else was put into the folder; so is a
    ledger of a run that was stopped gone on with. Any other file or folder with something in it is not touched.
    Errors: FolderError.
    """
    if folder.is_file():
        raise FolderError(
            "a file stands where the run folder should be", where=str(folder), next_step="choose another --out"
        )
    inside = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if inside and (inside - OWN or not inside & (KEPT | {"run.json"})):
        raise FolderError(
            "this folder has something in it that no run left",
            got=", ".join(sorted(inside - OWN)[:3]) or "no run.json",
            where=str(folder),
            expected="a new folder, or one of an earlier run, which is replaced",
            next_step="choose another --out",
        )
    above = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if not above.is_dir():
        raise FolderError("a file stands where a folder should be", where=str(above), next_step="choose another --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FolderError(
            "the run folder cannot be written: no permission",
            where=str(above),
            next_step="get write permission there, or choose another --out",
        )


@contextlib.contextmanager
def run_folder(folder: Path) -> Iterator[Path]:
    """A new run folder whose contents take their place only when the block ends well; an earlier run's are replaced.

    run.json comes last: a folder that has it is whole.
    Errors: FolderError where it cannot be written (disk full, no permission); nothing half-written stays.
    """
    check_place(folder)
    with atomic_contents(folder, keep=KEPT, last="run.json") as place:
        try:
            yield place
        except (SafetensorError, pl.exceptions.PolarsError) as error:
            raise FolderError(
                f"cannot be written: {error}",
                where=str(folder),
                next_step="free space there, or choose another --out; nothing half-written was left",
            ) from error


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write each table under its name, as CSV or Parquet by its ending."""
    writers: dict[str, Callable[[pl.DataFrame, Path], None]] = {
        ".csv": lambda table, path: table.write_csv(path),
        ".parquet": lambda table, path: table.write_parquet(path, compression="zstd"),
    }
    for name, table in tables.items():
        writers[Path(name).suffix](table, folder / name)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that a person can read."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
