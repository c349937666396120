"""Tables as compressed CSV files that grow block by block; the same rows give the same bytes."""

from __future__ import annotations

import gzip
import io
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import polars as pl

from m3h.hospital.simulate.layout import EMPTY, Layout

#: Writing is what takes the time of a large hospital, and level 1 is four times as fast as the default.
LEVEL = 1
MOMENT = "%Y-%m-%d %H:%M:%S"


class Tables:
    """All tables of a layout, open for writing below ``folder``. ``rows`` counts what was written."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self.rows = dict.fromkeys(sorted(layout.tables), 0)
        self._files: dict[str, io.BufferedIOBase] = {}
        self._open = ExitStack()

    def __enter__(self) -> Tables:
        for table in self.rows:
            path = self.folder / f"{table}.csv.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = self._open.enter_context(path.open("wb"))
            # neither the file's name nor the time goes into the header
            stream = gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=raw, mtime=0)
            self._files[table] = self._open.enter_context(stream)
            stream.write((",".join(self.layout.tables[table]) + "\n").encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def write(self, table: str, frame: pl.DataFrame, kept: int) -> None:
        """Append the rows of the block's first ``kept`` patients, where the layout has this table.

        Columns are taken by name in any case. Errors: KeyError for one that the frame lacks, unless all versions leave
        it empty.
        """
        if table not in self.layout.tables:
            return
        known = {name.lower(): name for name in frame.columns}
        columns = [
            pl.lit(None, dtype=pl.String).alias(name)
            if name in EMPTY and name not in known
            else pl.col(known[name.lower()]).alias(name)
            for name in self.layout.tables[table]
        ]
        if "patient" in frame.columns:
            frame = frame.filter(pl.col("patient") < kept)
        if not len(frame):
            return
        text = frame.select(columns).write_csv(include_header=False, datetime_format=MOMENT)
        self._files[table].write(text.encode())
        self.rows[table] += len(frame)
