"""What must hold within each table of a study file beyond types; each rule yields (key, message)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from m3h.core.errors import nearest
from m3h.core.registry import ENCODERS
from m3h.study.codes import VERSIONS
from m3h.study.presets import PRESETS
from m3h.study.spec import Diagnoses, Samples, Source, Table
from m3h.study.task import Task

Found = Iterator[tuple[str, str]]

_UNFIT = re.compile(r"[+/\\:*?\"<>|,;'\x00-\x1f\x7f]")
#: What each modality's sources must say (in a table of their own) and may say.
_NEEDED = {
    "tabular": ("columns",),
    "timeseries": ("time", "signal", "value"),
    "language": ("column",),
    "vision": ("column",),
}
_ALLOWED = {
    "tabular": ("columns",),
    "timeseries": ("signal", "value", "signals", "order"),
    "language": ("column",),
    "vision": ("column", "folder"),
}
_OWN_TABLE = ("table", "query", "key", "time", "available")
_POSITIVE = (
    "copies",
    "modality_width",
    "hidden_tabular",
    "hidden",
    "shared_width",
    "token_width",
    "decoder_widths",
    "temperature",
)
_NOT_NEGATIVE = (
    "contrastive_weight",
    "projection",
    "clip",
    "bias_start",
    "alpha",
    "sequential_up_to",
    "head_scale",
    "task_hidden",
)


def name(value: str) -> str | None:
    """What is wrong with a source's or task's name, or None."""
    if not value.strip():
        return "name is empty"
    unfit = _UNFIT.search(value)
    if unfit:
        shown = unfit.group(0) if unfit.group(0).isprintable() else "a control character"
        return f"{shown} does not go into a name; task sets, CSV columns and files are named after it"
    if value != value.strip() or value.startswith(".") or len(value) > 100:
        return "a name has at most 100 characters and neither begins nor ends with a blank, nor begins with a dot"
    return None


def table(spec: Table, *, needed: bool) -> Found:
    """One table or one query, not both; ``needed``: at least one."""
    if spec.table is not None and spec.query is not None:
        yield "query", "table and query exclude each other; keep one"
    if spec.table is None and spec.query is None and needed:
        yield "table", 'needs table = "file.csv" (or .csv.gz, .parquet) or query = "file.sql"'
    if spec.query is not None and not spec.query.lower().endswith(".sql"):
        yield "query", "query names a file that ends in .sql"


def study(values: Mapping[str, Any]) -> Found:
    """Rules of [study]."""
    if values.get("name") is not None and (not values["name"].strip() or not values["name"].isprintable()):
        yield "name", "name is empty or holds control characters"
    if not 0 <= values.get("seed", 0) < 2**63:
        yield "seed", f"seed: got {values['seed']}, expected 0 or more, and less than 2 to the power 63"


def samples(spec: Samples) -> Found:
    """Rules of [samples]."""
    yield from table(spec, needed=True)
    yield from _distinct("subgroups", spec.subgroups)


def diagnoses(spec: Diagnoses) -> Found:
    """Rules of [diagnoses]."""
    yield from table(spec, needed=True)
    if spec.version is not None and spec.system is not None:
        yield "system", "version and system exclude each other; keep one"
    if spec.version is None and spec.system is None:
        yield "version", "needs version, the column that says 9 or 10, or system = 9 or 10 for all rows"
    if spec.system not in (None, *VERSIONS):
        yield "system", f"system: got {spec.system}, expected 9 or 10"


def source(spec: Source) -> Found:
    """Rules of one [[source]]."""
    if (wrong := name(spec.name)) is not None:
        yield "name", wrong
    if spec.encoder_name not in ENCODERS:
        known = [other.partition("/")[2] for other in ENCODERS.names() if other.startswith(f"{spec.modality}/")]
        yield "encoder", f'unknown encoder "{spec.encoder}" for {spec.modality}{nearest(spec.encoder, known)}'
    yield from table(spec, needed=spec.read_as == "timeseries")
    yield from _needed(spec)
    yield from _unfitting(spec)
    yield from _distinct("columns", spec.columns)


def _needed(spec: Source) -> Found:
    for key in _NEEDED[spec.read_as]:
        if not getattr(spec, key):
            yield key, f"{spec.read_as} sources need {key}{_example(key)}"
    if spec.own_table and not spec.key:
        yield "key", "a table of its own needs key, a column that the samples table has under the same name"
    if spec.available and not spec.time:
        yield "available", "available goes with time"


def _unfitting(spec: Source) -> Found:
    given = [key for key in spec.model_fields_set if key not in ("name", "modality", "encoder", "options")]
    for key in sorted(given):
        if key in _OWN_TABLE:
            if not spec.own_table and spec.read_as != "timeseries":
                yield key, f"{key} goes with a table of its own; add table or query, or remove it"
        elif key not in _ALLOWED[spec.read_as]:
            instead = _ALLOWED[spec.read_as][0]
            yield key, f"{key} does not go with modality {spec.modality}, which takes {instead}{_example(instead)}"


def _example(key: str) -> str:
    return {"columns": ' = ["age", ...]', "column": ' = "note"'}.get(key, "")


def task(spec: Task, sources: Collection[str]) -> Found:
    """Rules of one task; ``sources`` are the names of all declared sources."""
    if (wrong := name(spec.name)) is not None:
        yield "name", wrong
    if spec.kind == "clustering" and spec.column is not None:
        yield "column", "clustering has no labels and takes no column"
    if spec.kind != "clustering" and not spec.column and not spec.codes:
        more = ", or codes" if spec.kind == "binary" else ""
        yield "column", f"a {spec.kind} task needs column, the samples column of its labels{more}"
    if spec.codes:
        yield from _codes(spec)
    yield from _classes(spec)
    if spec.clusters < 2:
        yield "clusters", f"clusters: got {spec.clusters}, expected 2 or more"
    if not spec.weight > 0:
        yield "weight", f"weight: got {spec.weight:g}, expected a number above 0"
    for other in spec.exclude_sources:
        if other not in sources:
            yield "exclude_sources", f'exclude_sources: unknown source "{other}"{nearest(other, sources)}'
    if sources and set(sources) <= set(spec.exclude_sources):
        yield "exclude_sources", "exclude_sources leaves no source to learn from; take at least one out of it"


def _codes(spec: Task) -> Found:
    if spec.column is not None:
        yield "codes", "column and codes exclude each other; keep one"
    if spec.kind != "binary":
        yield "codes", f"codes give a binary task; got kind {spec.kind}"
    if spec.classes:
        yield "classes", "classes do not go with codes"


def _classes(spec: Task) -> Found:
    if not spec.classes:
        return
    if spec.kind in ("regression", "clustering"):
        yield "classes", f"classes do not go with kind {spec.kind}"
    elif spec.kind == "binary" and len(spec.classes) != 2:
        yield "classes", f"classes: got {len(spec.classes)}, expected two, the negative, then the positive"
    elif len(spec.classes) < 2:
        yield "classes", "classes: got 1, expected two or more"
    yield from _distinct("classes", spec.classes)


def preset(value: str) -> Found:
    """The preset's name is known."""
    if value not in PRESETS:
        yield "preset", f'unknown preset "{value}"{nearest(value, PRESETS)}'


def overrides(values: Mapping[str, Any]) -> Found:
    """Ranges of a preset's fields."""
    for key in _POSITIVE:
        yield from _above(values, key, 0, "above 0")
    for key in _NOT_NEGATIVE:
        yield from _above(values, key, -1e-300, "0 or more")
    if not 0 <= values.get("dropout", 0.0) < 1:
        yield "dropout", f"dropout: got {values['dropout']:g}, expected 0 or more and below 1"


def protocol(values: Mapping[str, Any]) -> Found:
    """Ranges of [protocol]."""
    yield from _above(values, "epochs", 0, "1 or more")
    yield from _above(values, "folds", 1, "2 or more")
    yield from _above(values, "batch_sizes", 1, "2 or more")
    yield from _above(values, "learning_rates", 0, "above 0")
    for key in ("batch_sizes", "learning_rates"):
        if key in values and not values[key]:
            yield key, f"{key} is empty; give at least one"
    if not 0 < values.get("test_share", 0.2) < 1:
        yield "test_share", f"test_share: got {values['test_share']:g}, expected a share between 0 and 1"


def search(values: Mapping[str, Any], tasks: Collection[str] | None = None) -> Found:
    """Ranges of [search]; ``tasks`` are the names of all declared tasks, None where they are not known."""
    yield from _above(values, "largest", 1, "2 or more")
    yield from _above(values, "width", 0, "1 or more")
    yield from _above(values, "folds", 0, "1 or more")
    yield from _pool(values, tasks)


def tim(values: Mapping[str, Any], tasks: Collection[str] | None = None) -> Found:
    """Ranges of [tim]; ``tasks`` as in :func:`search`."""
    yield from _above(values, "folds", 0, "1 or more")
    yield from _above(values, "replicates", 0, "1 or more")
    yield from _above(values, "sets", 1, "2 or more")
    yield from _above(values, "limit", 1, "2 or more")
    if not 0 < values.get("inclusion", 0.5) < 1:
        yield "inclusion", f"inclusion: got {values['inclusion']:g}, expected a probability between 0 and 1"
    yield from _pool(values, tasks)


def _pool(values: Mapping[str, Any], tasks: Collection[str] | None) -> Found:
    names: tuple[str, ...] = values.get("tasks", ())
    yield from _distinct("tasks", names)
    if len(names) == 1:
        yield "tasks", "tasks names one task; two or more can help each other"
    for name in names if tasks is not None else ():
        if name not in (tasks or ()):
            yield "tasks", f'tasks: unknown task "{name}"{nearest(name, tasks or ())}'


def _above(values: Mapping[str, Any], key: str, bound: float, expected: str) -> Found:
    got = values.get(key)
    got = () if got is None else got
    for value in got if isinstance(got, tuple) else (got,):
        if not value > bound:
            yield key, f"{key}: got {value:g}, expected {expected}"


def _distinct(key: str, values: tuple[str, ...]) -> Found:
    for value in dict.fromkeys(values):
        if values.count(value) > 1:
            yield key, f'{key} names "{value}" twice'
