"""What the database says of a damaged CSV file, in words and without any value."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from m3h.core.errors import DataError


def csv_damage(error: duckdb.Error, name: str) -> DataError | None:
    """The error for rows that are not CSV, with their line; None if the database complains of something else.

    ``name`` is the table's, for where the database does not name the file.
    """
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if line:
        return DataError(_reason(text, line.group(1)), where=_file(text) or name, next_step="correct the file")
    if "state machine reached an invalid state" in text:
        return DataError(
            "not one kind of line ends or quotes throughout",
            where=_file(text) or name,
            expected="the same line ends in all lines, quotes doubled within quotes",
            next_step="export the file again",
        )
    return None


def _file(text: str) -> str:
    found = re.search(r"^\s*file = (.+)$", text, re.MULTILINE)
    return Path(found.group(1)).name if found else ""


def _reason(text: str, line: str) -> str:
    widths = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if widths:
        return f"line {line} has {widths.group(2)} fields, the header {widths.group(1)}; truncated or a stray delimiter"
    if "unterminated quote" in text:
        return f"line {line} has a quote that does not close; truncated or damaged"
    if "unicode" in text.lower():
        return f"line {line} is not UTF-8"
    return f"line {line} cannot be read"
