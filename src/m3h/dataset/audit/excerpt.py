"""The rows of a study's tables that belong to some of the samples, kept: a long table is read once instead of often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import polars as pl

from m3h.hospital.samples import SampleTable
from m3h.hospital.sql import key_text, quoted
from m3h.hospital.tables import Tables
from m3h.study.spec import Source, Study


@contextmanager
def excerpt(tables: Tables, study: Study, samples: SampleTable) -> Iterator[None]:
    """Within, the tables of all sources hold the rows of these samples alone.

    Sources may share a table, and read it by keys of their own. Errors: DataError where a table cannot be read.
    """
    readers: dict[str, list[Source]] = {}
    for source in study.sources:
        if source.own_table:
            readers.setdefault(tables.name(source), []).append(source)
    with ExitStack() as stack:
        for sources in readers.values():
            wanted = " OR ".join(_belongs(tables, samples, source) for source in sources)
            query = f"SELECT * FROM ({tables.select(sources[0])}) WHERE {wanted}"
            stack.enter_context(tables.replaced(sources[0], query))
        yield


def _belongs(tables: Tables, samples: SampleTable, source: Source) -> str:
    key = source.key or ""
    stored = tables.store(pl.DataFrame({"m3h_key": samples.keys[key].drop_nulls().unique(maintain_order=True)}), source)
    return f"{key_text(quoted(key), tables.types(source)[key])} IN (SELECT m3h_key FROM {stored})"
