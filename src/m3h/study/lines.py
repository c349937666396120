"""Where things stand in a study file: line numbers of tables and keys, for messages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from m3h.study.spec import Study

_HEADER = re.compile(r"\[\[?\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*(?:\.|=)")
_MULTILINE = ('"' * 3, "'" * 3)


@dataclass
class _Table:
    """One table's header and the lines of its keys; ``line`` 0 is the file's top."""

    name: str
    line: int
    keys: dict[str, int] = field(default_factory=dict)


class Lines:
    """Line numbers of one TOML text; a light scan that tomllib's values are laid beside.

    Entries of ``[[source]]`` and the like are counted per table name, from 0.
    """

    def __init__(self, text: str) -> None:
        self._tables: dict[str, list[_Table]] = {}
        self._top = _Table("", 1)
        current = self._top
        for number, line in _logical(text):
            header = _HEADER.match(line)
            if header:
                current = _Table(header.group(1).strip("\"' "), number)
                self._tables.setdefault(current.name, []).append(current)
            elif key := _KEY.match(line):
                current.keys.setdefault(key.group(1).strip("\"'"), number)

    def line(self, table: str, index: int = 0, key: str | None = None) -> int:
        """Line of the table's entry ``index``, or of ``key`` in it where that is found."""
        entries = self._tables.get(table, [])
        if index < len(entries):
            return entries[index].keys.get(key or "", entries[index].line)
        return self._top.keys.get(table, self._top.keys.get(key or "", 1))


class Places:
    """Texts such as ``line 21, [[source]] "bedside"`` for the entries of one study file."""

    def __init__(self, text: str = "") -> None:
        self._lines = Lines(text) if text else None
        content = tomllib.loads(text)
        self._names = {table: [_name(entry) for entry in _list(content, table)] for table in ("source", "task")}
        self._columns = [_columns(entry) for entry in _list(content, "tasks")]
        self._catalogs = [isinstance(entry, dict) and "catalog" in entry for entry in _list(content, "tasks")]

    def names(self, table: str) -> tuple[str, ...]:
        """Names of all entries of ``[[source]]`` or ``[[task]]``, also of those that hold mistakes."""
        return tuple(self._names.get(table, []))

    @staticmethod
    def of(study: Study) -> Places:
        """The places of a study that was read from a file; without lines if it has none or the file is gone."""
        if study.file is None or not study.file.is_file():
            return Places()
        try:
            return Places(study.file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            return Places()

    def table(self, table: str, key: str | None = None) -> str:
        """The place of a table that stands once: ``line 8, [samples]``."""
        return self._with_line(f"[{table}]", table, 0, key)

    def source(self, name: str, key: str | None = None) -> str:
        """The place of a source, by name."""
        return self.entry("source", self._index("source", name), name, key)

    def task(self, name: str, key: str | None = None) -> str:
        """The place of a task, by name; also of one declared by ``[[tasks]]`` (of several catalogs, the first)."""
        if name not in self._names["task"]:
            for index, columns in enumerate(self._columns):
                if name in columns:
                    return self.entry("tasks", index, name, "columns" if key in (None, "name", "column") else key)
            if any(self._catalogs):
                return self.entry("tasks", self._catalogs.index(True), name, "catalog" if key == "name" else key)
        return self.entry("task", self._index("task", name), name, key)

    def entry(self, table: str, index: int, name: str = "", key: str | None = None) -> str:
        """The place of entry ``index`` of ``[[table]]``."""
        label = f'[[{table}]] "{name}"' if name else f"[[{table}]] number {index + 1}"
        return self._with_line(label, table, index, key)

    def _with_line(self, label: str, table: str, index: int, key: str | None) -> str:
        if self._lines is None:
            return label
        return f"line {self._lines.line(table, index, key)}, {label}"

    def _index(self, table: str, name: str) -> int:
        names = self._names.get(table, [])
        return names.index(name) if name in names else 0


def line_of(place: str) -> int:
    """The line number in a place's text, 0 if there is none."""
    found = re.match(r"line (\d+)", place)
    return int(found.group(1)) if found else 0


def _list(content: dict[str, Any], table: str) -> list[Any]:
    entries = content.get(table, [])
    return entries if isinstance(entries, list) else []


def _name(entry: Any) -> str:
    name = entry.get("name", "") if isinstance(entry, dict) else ""
    return name if isinstance(name, str) else ""


def _columns(entry: Any) -> list[str]:
    columns = entry.get("columns", []) if isinstance(entry, dict) else []
    return [column for column in columns if isinstance(column, str)] if isinstance(columns, list) else []


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """(line number, stripped line) of the lines that begin outside of any multi-line string or open bracket."""
    closing, depth = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not closing and depth == 0 and stripped and not stripped.startswith("#"):
            yield number, stripped
            if _HEADER.match(stripped):
                continue
        closing, depth = _scan(line, closing, depth)


def _scan(line: str, closing: str, depth: int) -> tuple[str, int]:
    """The state after a line: the quotes that must still close, and how many brackets are open."""
    at = 0
    while at < len(line):
        if closing:
            at, closing = _inside(line, at, closing)
        elif line.startswith(_MULTILINE, at):
            closing, at = line[at : at + 3], at + 3
        elif line[at] in "\"'":
            closing, at = line[at], at + 1
        elif line[at] == "#":
            break
        else:
            depth += (line[at] in "[{") - (line[at] in "]}")
            at += 1
    return (closing if len(closing) == 3 else ""), max(depth, 0)


def _inside(line: str, at: int, closing: str) -> tuple[int, str]:
    """One step within a string: past an escape, past its end, or one character on."""
    if line[at] == "\\" and closing[0] == '"':
        return at + 2, closing
    if line.startswith(closing, at):
        return at + len(closing), ""
    return at + 1, closing
