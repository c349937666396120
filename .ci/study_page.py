"""Write the key, type and default columns of docs/study.md from the specs; the meanings are written by hand.

python .ci/study_page.py            writes them; a new key gets an empty meaning, to be filled in
python .ci/study_page.py --check    writes nothing; 1 if the page would change or a meaning is missing

A table stands between `<!-- keys: name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from m3h.core.registry import ENCODERS
from m3h.study import declared
from m3h.study.presets import DEFAULT_PRESET, PRESETS, PROTOCOLS, Preset, Protocol, SearchOptions, TimOptions
from m3h.study.spec import Diagnoses, Samples, Source, Study
from m3h.study.task import Codes, Task

PAGE = Path(__file__).parents[1] / "docs" / "study.md"
BLOCK = re.compile(r"(?P<open><!-- keys: (?P<name>[\w./-]+) -->)(?P<body>.*?)(?P<close><!-- end -->)", re.DOTALL)
ROW = re.compile(r"^\| `(?P<key>[^`]+)` \|.*?\|.*?\| (?P<meaning>.*?) ?\|$", re.MULTILINE)
HEAD = ("| key | type | default | meaning |", "| --- | --- | --- | --- |")
NEEDED = "**needed**"
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
#: What the reader decides where a spec alone does not tell.
DEFAULTS = {
    ("study", "name"): "the folder's name",
    ("source", "encoder"): "the modality's",
    ("search", "tasks"): "the largest group that excludes the same sources",
    ("search", "folds"): "all of the protocol's",
    ("tim", "tasks"): "the largest group that excludes the same sources",
    ("tim", "sets"): "by the number of tasks",
}

Row = tuple[str, str, str]  # key, type, default


def described(hint: Any) -> str:
    """A type in the words of a study file."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(described(part) for part in parts if part is not types.NoneType)
    if origin is Literal:
        return ", ".join(f'`"{part}"`' for part in parts)
    if origin is tuple and dataclasses.is_dataclass(parts[0]):
        return "table, or list of tables"
    if origin is tuple:
        return f"list of {described(parts[0])}s"
    if dataclasses.is_dataclass(hint):
        return "table"
    if origin is dict:
        return "table" if parts[1] is Any else f"table of {described(parts[1])}s"
    return WORDS[hint]


def shown(value: Any) -> str:
    """A default as a study file would say it."""
    if value in (None, "", ()) or value == {}:
        return "none"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 0.001 else str(value)


def rows_of(name: str, spec: type, keys: tuple[str, ...] | None = None) -> list[Row]:
    """Rows for the fields of a pydantic model or a dataclass, all of them or those of ``keys``."""
    hints, defaults = get_type_hints(spec), _defaults(spec)
    chosen = tuple(defaults) if keys is None else keys
    return [(key, described(hints[key]), DEFAULTS.get((name, key), defaults[key])) for key in chosen]


def by_preset(rows: list[Row], presets: Mapping[str, Any]) -> list[Row]:
    """The rows with the default of every preset where they differ, the default preset's first."""
    found = []
    for key, type_, _ in rows:
        values = {
            name: shown(getattr(presets[name], key)) for name in sorted(presets, key=lambda n: n != DEFAULT_PRESET)
        }
        same = len(set(values.values())) == 1
        told = next(iter(values.values())) if same else "; ".join(f"{name}: {value}" for name, value in values.items())
        found.append((key, type_, told))
    return found


def _defaults(spec: Any) -> dict[str, str]:
    found = {}
    if issubclass(spec, BaseModel):
        for key, info in spec.model_fields.items():
            value = info.get_default(call_default_factory=True, validated_data={})
            found[key] = NEEDED if value is PydanticUndefined else shown(value)
        return found
    for entry in dataclasses.fields(spec):
        found[entry.name] = NEEDED if entry.default is dataclasses.MISSING else shown(entry.default)
    return found


def tables() -> dict[str, list[Row]]:
    """The rows of every table of the page, by name."""
    return {
        "study": rows_of("study", Study, ("name", "title", "seed", "notes")),
        "samples": rows_of("samples", Samples),
        "diagnoses": rows_of("diagnoses", Diagnoses),
        "source": rows_of("source", Source),
        "task": rows_of("task", Task),
        "codes": rows_of("codes", Codes),
        "tasks": [("columns", "list of texts", NEEDED), *rows_of("tasks", Task, declared.SHARED)],
        "catalog": [
            ("catalog", "text", NEEDED),
            ("only", "list of texts", "all"),
            *rows_of("catalog", Task, declared.SHARED_OF_CATALOG),
        ],
        "network": [("preset", "text", shown(DEFAULT_PRESET)), *by_preset(rows_of("network", Preset), PRESETS)],
        "protocol": by_preset(rows_of("protocol", Protocol), PROTOCOLS),
        "search": rows_of("search", SearchOptions),
        "tim": rows_of("tim", TimOptions),
    } | {name: rows_of(name, ENCODERS.load(name)) for name in ENCODERS.names()}


def table(rows: list[Row], meanings: Mapping[str, str]) -> str:
    """One table; an encoder without options has none."""
    if not rows:
        return "It has no options."
    return "\n".join([*HEAD, *(f"| `{k}` | {t} | {d} | {meanings.get(k, '')} |" for k, t, d in rows)])


def filled(page: str) -> tuple[str, list[str]]:
    """The page with every table written anew, and what is wrong with it: tables or meanings that are missing."""
    known, wrong = tables(), []
    named = [block["name"] for block in BLOCK.finditer(page)]
    wrong += [f'no table "{name}"' for name in known if name not in named]
    wrong += [f'table "{name}" is of nothing that exists' for name in named if name not in known]

    def write(block: re.Match[str]) -> str:
        rows = known.get(block["name"], [])
        meanings = {row["key"]: row["meaning"].strip() for row in ROW.finditer(block["body"])}
        wrong.extend(f"{block['name']}.{key} has no meaning" for key, _, _ in rows if not meanings.get(key))
        return f"{block['open']}\n{table(rows, meanings)}\n{block['close']}"

    return BLOCK.sub(write, page), wrong


def main(arguments: list[str], target: Path) -> int:
    """0 if the page is, or was made, what the specs say, and every key has a meaning."""
    parser = argparse.ArgumentParser(description="Write the tables of keys of docs/study.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page would change")
    check = parser.parse_args(arguments).check
    before = target.read_text(encoding="utf-8")
    after, wrong = filled(before)
    if after != before:
        if check:
            wrong.append("it does not match the specs: run python .ci/study_page.py")
        else:
            target.write_text(after, encoding="utf-8")
    for message in wrong:
        print(f"docs/{target.name}: {message}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PAGE))
