"""Tables on the terminal, and the lines of the final results, to which lines are only ever added."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from comparing.measured import Value

ROOT = Path(__file__).parents[2]
FINAL = ROOT / "docs" / "results" / "accuracy_final.csv"
HEAD = ("commit", "date", "study", "what", "model a", "model b", "measure", "value", "low", "high")


@dataclass(frozen=True)
class Line:
    """One number of a final comparison: of model ``a``, or of ``a`` minus ``b``."""

    what: str
    a: str
    b: str
    measure: str
    value: Value


def plain(measured: float) -> Value:
    """A number without an interval."""
    return Value(float(measured), float("nan"), float("nan"))


def append(lines: Sequence[Line], study: str, file: Path = FINAL) -> None:
    """Add lines at the end of the final results; nothing that stands there is touched."""
    commit, date = commit_name(), datetime.now(UTC).date().isoformat()
    new = not file.exists()
    with file.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(HEAD)
        for line in lines:
            numbers = (line.value.value, line.value.low, line.value.high)
            cells = ["" if np.isnan(number) else f"{number:.5f}" for number in numbers]
            writer.writerow([commit, date, study, line.what, line.a, line.b, line.measure, *cells])
    print(f"{len(lines)} lines added to {file.name}", flush=True)


def commit_name() -> str:
    """The commit that is checked out, with "+" where source files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "benchmarks")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns side by side, the first to the left, numbers to four decimals."""
    cells = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
