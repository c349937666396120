"""study.toml -> Study. Every mistake of a file is found and reported at once, with its place in the file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from m3h.core.errors import Problem, StudyError, nearest
from m3h.study import declared, rules
from m3h.study.entry import Entry
from m3h.study.lines import Places, line_of
from m3h.study.presets import DEFAULT_PRESET, Preset, Protocol, SearchOptions, TimOptions, protocol_of
from m3h.study.spec import Diagnoses, Network, Samples, Source, Study
from m3h.study.task import Task

_TABLES = ("study", "samples", "diagnoses", "source", "task", "tasks", "network", "protocol", "search", "tim")
_NOT_YET = ("database", "report")


def read(path: Path) -> Study:
    """The study of a file. Errors: StudyError with every mistake of the file and its place."""
    study, problems = parse(path)
    if problems or study is None:
        raise StudyError(str(path), problems)
    return study


def parse(path: Path) -> tuple[Study | None, list[Problem]]:
    """The study as far as it can be read, and all mistakes in the order of the file.

    Entries that hold a mistake but can stand are kept, so that the checks that follow (tables, columns, encoder
    options) can report theirs in the same go. None where not even the samples are known.
    """
    text, problem = _text(path)
    if problem is not None:
        return None, [problem]
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax(text, error)]
    reader = _Reader(content, Places(text))
    study = reader.study(path.resolve())
    return study, sorted(reader.problems, key=lambda problem: line_of(problem.place))


def _text(path: Path) -> tuple[str, Problem | None]:
    if path.is_dir():
        return "", Problem("", f"a folder; expected a study file, such as {path / 'study.toml'}")
    try:
        return path.read_text(encoding="utf-8-sig"), None
    except FileNotFoundError:
        return "", Problem("", "no such file; expected a study file, such as study.toml")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return "", Problem(f"line {line}", "not UTF-8; save the file in the encoding UTF-8")
    except OSError as error:
        return "", Problem("", f"cannot be read: {error.strerror or error}")


def _syntax(text: str, error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    found = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if found is None:
        return Problem("", f"not TOML: {message}")
    line = int(found.group(1)) if found.group(1) else text.count("\n") + 1
    column = f" (column {found.group(2)})" if found.group(2) else " (end of the file)"
    return Problem(f"line {line}", f"not TOML: {message[: found.start()]}{column}")


class _Reader:
    """Walks one file's content and gathers problems."""

    def __init__(self, content: dict[str, Any], places: Places) -> None:
        self.content = content
        self.places = places
        self.problems: list[Problem] = []
        self.source_names = places.names("source")

    def study(self, file: Path) -> Study | None:
        """All tables; None without samples."""
        self._unknown_tables()
        entry = self._table("study")
        about = entry.values(Study, allowed=("name", "title", "seed", "notes"))
        wrong = entry.check(rules.study(about))
        parts: dict[str, Any] = {
            "samples": self._samples(),
            "diagnoses": self._diagnoses(),
            "sources": self._sources(),
            "network": self._network(),
        }
        parts["protocol"], parts["protocol_given"] = self._protocol(parts["network"].resolved())
        parts["tasks"] = self._tasks(file.parent, parts["diagnoses"])
        known = None if self.problems else [task.name for task in parts["tasks"]]
        about |= {"search": self._options("search", SearchOptions, rules.search, known)}
        about |= {"tim": self._options("tim", TimOptions, rules.tim, known)}
        if parts["samples"] is None:
            return None
        if parts["samples"].time is None:
            self._without_time(parts["sources"])
        about = {key: value for key, value in about.items() if key not in wrong}
        return Study(**({"name": file.parent.name or "study"} | about), folder=file.parent, file=file, **parts)

    def _samples(self) -> Samples | None:
        if "samples" not in self.content:
            self._add("", "[samples] is missing; it names the table of samples and its columns id and patient")
            return None
        entry = self._table("samples")
        values = entry.values(Samples, needed=("id", "patient"))
        if not (values.get("id") and values.get("patient")):
            return None
        spec = Samples(**values)
        entry.check(rules.samples(spec))
        return spec

    def _diagnoses(self) -> Diagnoses | None:
        if "diagnoses" not in self.content:
            return None
        entry = self._table("diagnoses")
        values = entry.values(Diagnoses, needed=("key", "code"))
        if not (values.get("key") and values.get("code")):
            return None
        spec = Diagnoses(**values)
        entry.check(rules.diagnoses(spec))
        return spec

    def _sources(self) -> tuple[Source, ...]:
        if not self.content.get("source"):
            self._add("", "no [[source]]; a study needs at least one input: name, modality, columns or a table")
        kept: dict[str, Source] = {}
        for entry in self._entries("source"):
            values = entry.values(Source, needed=("name", "modality"))
            if not (values.get("name") and values.get("modality")):
                continue
            spec = Source(**values)
            entry.check(rules.source(spec))
            if spec.name in kept:
                entry.report("name", f'a second source of the name "{spec.name}"')
            kept.setdefault(spec.name, spec)
        return tuple(kept.values())

    def _without_time(self, sources: tuple[Source, ...]) -> None:
        for source in sources:
            if source.available:
                place = self.places.source(source.name, "available")
                self._add(place, "available is compared with the sample's time, and [samples] has no time")

    def _tasks(self, folder: Path, diagnoses: Diagnoses | None) -> tuple[Task, ...]:
        if not self.content.get("task") and not self.content.get("tasks"):
            self._add("", "no [[task]]; a study asks at least one question: name, kind, column")
        system = diagnoses.system if diagnoses is not None and diagnoses.version is None else None
        around = declared.Around(folder, self.source_names, "diagnoses" in self.content, system)
        found = [(entry, "name", declared.one(entry, around)) for entry in self._entries("task")]
        for entry in self._entries("tasks"):
            key = "catalog" if "catalog" in entry.content else "columns"
            found.append((entry, key, declared.several(entry, around)))
        kept: dict[str, Task] = {}
        for entry, key, tasks in sorted(found, key=lambda item: line_of(item[0].place(""))):  # the order of the file
            for task in tasks:
                if task.name in kept:
                    entry.report(key, f'a second task of the name "{task.name}"')
                kept.setdefault(task.name, task)
        return tuple(kept.values())

    def _network(self) -> Network:
        entry = self._table("network")
        preset = DEFAULT_PRESET
        if "preset" in entry.content:
            only = Entry({"preset": entry.pop("preset")}, entry.place, self.problems)
            given = only.values(Network).get("preset", preset)
            preset = preset if only.check(rules.preset(given)) else given
        overrides = entry.values(Preset)
        wrong = entry.check(rules.overrides(overrides))
        return Network(preset=preset, overrides={key: overrides[key] for key in overrides if key not in wrong})

    def _protocol(self, preset: Preset) -> tuple[Protocol, tuple[str, ...]]:
        """The protocol, and the keys of it that the file gives; the others are those of the preset."""
        entry = self._table("protocol")
        values = entry.values(Protocol)
        wrong = entry.check(rules.protocol(values))
        given = {key: values[key] for key in values if key not in wrong}
        return replace(protocol_of(preset), **given), tuple(given)

    def _options(self, name: str, spec: type, rule: Callable[..., rules.Found], tasks: list[str] | None) -> Any:
        """A table whose values are the fields of ``spec``; the wrong ones are left out."""
        entry = self._table(name)
        values = entry.values(spec)
        wrong = entry.check(rule(values, tasks))
        return spec(**{key: values[key] for key in values if key not in wrong})

    def _unknown_tables(self) -> None:
        for name, value in self.content.items():
            place = self.places.table(name)
            if name == "database" and isinstance(value, dict) and {"password", "url"} & set(value):
                self._add(
                    place,
                    "an address or a password never stands in a study file; write url_env, the name of an "
                    "environment variable that holds the address",
                )
            if name in _NOT_YET:
                self._add(place, f"[{name}] is not carried out by this version; remove the table")
            elif name not in _TABLES:
                what = "table" if isinstance(value, (dict, list)) else "key"
                where = place if what == "table" else place.partition(",")[0]
                self._add(where, f'unknown {what} "{name}"{nearest(name, _TABLES)}')

    def _table(self, name: str) -> Entry:
        value = self.content.get(name, {})
        if not isinstance(value, dict):
            self._add(self.places.table(name), f"write [{name}] in single brackets; it stands once")
            value = {}
        return Entry(value, partial(self.places.table, name), self.problems)

    def _entries(self, name: str) -> Iterator[Entry]:
        value = self.content.get(name, [])
        if not isinstance(value, list):
            self._add(self.places.table(name), f"write [[{name}]] in double brackets")
            return
        for index, content in enumerate(value):
            shown = content.get("name", "") if isinstance(content, dict) else ""
            place = partial(self.places.entry, name, index, shown if isinstance(shown, str) else "")
            if isinstance(content, dict):
                yield Entry(content, place, self.problems)
            else:
                self._add(place(""), "expected a table of keys")

    def _add(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))
