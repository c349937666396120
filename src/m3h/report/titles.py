"""Titles of tasks in place of their names, wherever a reader meets them; files and commands keep the names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from m3h.report.contents import Contents

_JOIN = "+"


def shown(contents: Contents) -> dict[str, str]:
    """What the report calls each task: its title; its name where it has none, or where the title would be taken for
    another task or another set of tasks."""
    given = contents.run.get("titles") or {}
    names = dict.fromkeys([*(task["name"] for task in contents.tasks), *given])
    titles = {name: " ".join(str(given.get(name) or "").split()) for name in names}
    often = Counter(titles.values())
    return {
        name: title if title and often[title] == 1 and title not in titles and _JOIN not in title else name
        for name, title in titles.items()
    }


def titled(contents: Contents) -> Contents:
    """The contents with every task under what :func:`shown` calls it; the audit's tasks keep their name as ``id``."""
    called = shown(contents)
    if all(name == title for name, title in called.items()):
        return contents
    return replace(
        contents,
        run=_facts(contents.run, called),
        scores=_renamed(contents.scores, called, "task", "task_set"),
        differences=_renamed(contents.differences, called, "task"),
        attention=_renamed(contents.attention, called, "task", "task_set", "from_task"),
        predictions=_renamed(contents.predictions, called, "task", "task_set"),
        tim=_renamed(contents.tim, called, "source", "target"),
        search=_renamed(contents.search, called, "task", "task_set"),
        departments=_renamed(contents.departments, called, "task"),
        phenotype_map=_renamed(contents.phenotype_map, called, "task"),
        appraisal={name: _renamed(frame, called, "task") for name, frame in contents.appraisal.items()},
    )


def told(text: str, called: Mapping[str, str]) -> str:
    """A sentence with the title of each task before its name. A name that may be a common word is looked for only where
    nothing but a task can stand."""
    titles = {name: title for name, title in called.items() if name != title}
    if not titles:
        return text

    def one_of(names: Iterable[str]) -> str:
        return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)"

    plain = one_of(name for name in titles if re.search(r"[\W\d_]", name))
    every = one_of(titles)
    pattern = (
        rf'(?<=task ")({every})"|(?<![\w"])({plain})(?![\w"])|^({every})(?=: )|(?<=: )({every})(?= cannot be scored)'
    )

    def with_title(found: re.Match[str]) -> str:
        name = next(part for part in found.groups() if part is not None)
        quote = '"' if found.group(1) else ""
        return f"{titles[name]}{quote} ({name})"

    return re.sub(pattern, with_title, text)


def _renamed(frame: pl.DataFrame, called: Mapping[str, str], *columns: str) -> pl.DataFrame:
    def replaced(name: str) -> pl.Expr:
        there = frame.get_column(name).unique().drop_nulls().to_list()
        new = [_set(text, called) if name == "task_set" else called.get(text, text) for text in there]
        return pl.col(name).replace_strict(there, new, default=None, return_dtype=pl.String)

    return frame.with_columns(replaced(name) for name in columns) if frame.height else frame


def _set(text: str, called: Mapping[str, str]) -> str:
    """A task set as it is written: names joined by a sign. One of which a part is no task stays as it is."""
    if text in called:
        return called[text]
    parts = text.split(_JOIN)
    return _JOIN.join(called[part] for part in parts) if all(part in called for part in parts) else text


def _facts(run: Mapping[str, Any], called: Mapping[str, str]) -> dict[str, Any]:
    def entries(content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        return [entry | {"task": called.get(entry["task"], entry["task"])} for entry in content.get(key) or []]

    def texts(key: str) -> list[str]:
        return [told(str(text), called) for text in run.get(key) or []]

    def lists(key: str) -> list[dict[str, Any]]:
        return [entry | {"tasks": [called.get(name, name) for name in entry["tasks"]]} for entry in run.get(key) or []]

    audit = dict(run.get("audit") or {})
    if audit.get("tasks"):
        audit["tasks"] = [task | {"name": called[task["name"]], "id": task["name"]} for task in audit["tasks"]]
    if audit.get("alarms"):
        audit["alarms"] = [alarm | {"text": told(str(alarm["text"]), called)} for alarm in audit["alarms"]]
    parts = {
        part: {**run[part], "left_out": entries(run[part], "left_out")} for part in ("tim", "search") if run.get(part)
    }
    clusters = {called.get(name, name): found for name, found in (run.get("clusters") or {}).items()}
    return {
        **run,
        **parts,
        "audit": audit,
        "clusters": clusters,
        "left_out": entries(run, "left_out"),
        "warnings": texts("warnings"),
        "notes": texts("notes"),
        "task_sets": lists("task_sets"),
        "failed": lists("failed"),
    }
