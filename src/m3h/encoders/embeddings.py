"""The cache of embeddings: what was encoded once is found again, by content, in SQLite.

A text chunk or an image is known by the SHA-256 of what the model reads of it, a model by the fingerprint of its
weights and of all that changes its numbers. Rows are written while encoding goes on, so a run that was killed goes on
where it was.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import FolderError
from m3h.encoders.surroundings import now

Vector = NDArray[np.float32]
FILE = "embeddings.sqlite"
#: Seconds that a writer waits for another process.
PATIENCE = 60.0
_LOOK_UP = 500
#: What is encoded: the places in a list of keys that are missing; gives places with their vectors, some at a time.
Compute = Callable[[Sequence[int]], Iterable[Sequence[tuple[int, Vector]]]]


def embedded(model: str, keys: Sequence[bytes], width: int, what: str, compute: Compute) -> Vector:
    """The vectors (key, width) of distinct ``keys``, from the cache of the surroundings where it has them.

    ``compute`` is asked for the places of the others and may leave some out, which stay NaN; what it gives is kept
    piece by piece. ``what`` names them in progress. Errors: FolderError for a cache that cannot be used.
    """
    around = now()
    values: Vector = np.full((len(keys), width), np.nan, dtype=np.float32)
    with _opened(around.embeddings) as kept:
        memory = around.memory if around.memory is not None else {}
        missing = []
        stored = kept.get(model, keys, width) if kept else {}
        for place, key in enumerate(keys):
            vector = memory.get((model, key), stored.get(key))
            if vector is None:
                missing.append(place)
            else:
                values[place] = vector
        done = len(keys) - len(missing)
        for piece in compute(missing) if missing else ():
            for place, vector in piece:
                values[place] = vector
                if around.memory is not None:
                    memory[model, keys[place]] = vector
            if kept:
                kept.put(model, [(keys[place], vector) for place, vector in piece])
            done += len(piece)
            if around.told:
                around.told(f"encoding {what}", min(1.0, done / len(keys)))
    return values


@contextlib.contextmanager
def _opened(folder: Path | None) -> Iterator[Embeddings | None]:
    if folder is None:
        yield None
        return
    place = folder / "embeddings"
    path = place / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # the cache folder may have been there and open to others; what is written into it is not
        place.mkdir(mode=0o700, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
            yield Embeddings(connection)
    except (OSError, sqlite3.Error) as error:
        raise FolderError(
            f"the cache of embeddings cannot be used: {error}",
            where=str(path),
            next_step="delete that file if it is damaged, free space, or choose another place for the cache",
        ) from error


class Embeddings:
    """Vectors by model and key in an open SQLite file, each with a checksum: a damaged one counts as missing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        connection.execute("PRAGMA journal_mode = WAL")
        # a crash of the machine may lose the last rows, never the file
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS embeddings "
            "(model TEXT, key BLOB, vector BLOB, checksum INTEGER, PRIMARY KEY (model, key)) WITHOUT ROWID"
        )

    def get(self, model: str, keys: Sequence[bytes], width: int) -> dict[bytes, Vector]:
        """The vectors that are there and whole."""
        found: dict[bytes, Vector] = {}
        for at in range(0, len(keys), _LOOK_UP):
            some = keys[at : at + _LOOK_UP]
            marks = ",".join("?" * len(some))
            rows = self.connection.execute(
                f"SELECT key, vector, checksum FROM embeddings WHERE model = ? AND key IN ({marks})", [model, *some]
            )
            for key, vector, checksum in rows:
                if len(vector) == 4 * width and zlib.crc32(key + vector) == checksum:
                    found[bytes(key)] = np.frombuffer(vector, dtype="<f4").astype(np.float32)
        return found

    def put(self, model: str, vectors: Sequence[tuple[bytes, Vector]]) -> None:
        """Keep vectors, at once and for good."""
        rows = []
        for key, vector in vectors:
            content = vector.astype("<f4").tobytes()
            rows.append((model, key, content, zlib.crc32(key + content)))
        with self.connection:
            self.connection.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?)", rows)
