"""Sources that no new patient has, and what may have gone wrong with them: a table, a column or a folder renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3h.core.errors import nearest
from m3h.encoders.block import Block
from m3h.hospital import files
from m3h.hospital.tables import Tables
from m3h.study.spec import Source

_SHOWN = 12


def hints(
    tables: Tables, data: Path, blocks: Mapping[str, Block], missing: Sequence[str], counts: Mapping[str, Any]
) -> dict[str, str]:
    """By source that is absent for every sample of ``blocks``: what was looked for at ``data``, and what is there.
    ``missing`` are the sources whose table is not there, ``counts`` what was counted of each. Names of files and
    columns alone, never a value."""
    return {
        source.name: _looked_for(source, tables, data)
        if source.name in missing
        else _unused(source, counts[source.name])
        for source in tables.study.sources
        if not blocks[source.name].present.any()
    }


def _looked_for(source: Source, tables: Tables, data: Path) -> str:
    study = tables.study
    if source.own_table and not data.is_dir():
        return f"a table of its own, {source.table or source.query}, which one samples file cannot hold"
    if source.folder is not None and not tables.images(source).is_dir():
        return f"no folder {source.folder} there, nor a study.toml that names another"
    if source.own_table:
        name = source.table or source.query or ""
        own = {Path(one).name for one in (study.samples.table, *(other.table for other in study.sources)) if one}
        there = {path.name for path in tables.folder.iterdir() if files.suffix(path.name)} - own
        return f"no table {name}{nearest(name, there)}"
    wanted = [*source.columns, *([source.column] if source.column else [])]
    named = ", ".join(f'"{name}"' for name in wanted[:_SHOWN]) + (", ..." if len(wanted) > _SHOWN else "")
    what = f"no column {named}" if len(wanted) == 1 else f"none of the columns {named}"
    return f"{what} in the samples table{_near(wanted, tables)}"


def _near(wanted: list[str], tables: Tables) -> str:
    """A column of almost the name, or the columns that nothing else of the study speaks of."""
    study = tables.study
    known = {study.samples.id, study.samples.patient, study.samples.time, *study.samples.subgroups}
    known |= {task.column or task.name for task in study.tasks}
    for source in study.sources:
        known |= {*source.columns, source.column, source.key}
    other = [name for name in tables.columns(study.samples) if name not in known]
    return nearest(wanted[0], other) if wanted else ""


def _unused(source: Source, facts: Mapping[str, Any]) -> str:
    """Why a source whose table or column is there says nothing of anybody."""
    counts = facts["counts"]
    reasons = [
        (counts["unmatched"], f"whose {source.key} is no sample's"),
        (counts["missing_time"], "without a time"),
        (counts["later"], "later than the sample"),
        (facts["unreadable"], "images that cannot be read"),
    ]
    parts = [f"{number:,} {text}" for number, text in reasons if number]
    rows = (
        f"{counts['rows']:,} row{'' if counts['rows'] == 1 else 's'}" if source.own_table else "its columns are there"
    )
    return f"{rows}, {', '.join(parts)}" if parts else f"{rows}, and no value that can be used"
