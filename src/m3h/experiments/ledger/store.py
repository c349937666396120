"""The ledger's file: made, opened and refused. Whatever SQLite or the system says becomes a FolderError here.

The file is SQLite in write-ahead mode (WAL) with ``synchronous = FULL``: what a transaction has written survives the
death of the process in any case, and a power cut takes at most the fleets in flight. (With NORMAL a power cut could
take every fleet since the last checkpoint, which is an hour's work for the milliseconds that a fleet's commit costs.)
WAL keeps its index in memory that processes share, so all of them must run on the machine that has the file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from m3h.core.errors import FolderError
from m3h.experiments.ledger.place import check_file_system, make_file

#: Marks an SQLite file as a ledger.
APPLICATION = int.from_bytes(b"m3hL", "big")
#: Raised by hand whenever the tables change.
FORMAT = 1
#: Seconds that a command waits for another process that is writing.
TIMEOUT = 60.0
#: What the write-ahead file may keep on disk after its content has moved into the ledger.
JOURNAL_BYTES = 64 << 20

_SCHEMA = """
CREATE TABLE trial (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, study TEXT NOT NULL, dataset TEXT NOT NULL,
  tasks TEXT NOT NULL, sources TEXT NOT NULL, weights TEXT NOT NULL, seed INTEGER NOT NULL,
  preset TEXT NOT NULL, overrides TEXT NOT NULL, preset_fingerprint TEXT NOT NULL,
  learning_rate REAL NOT NULL, batch_size INTEGER NOT NULL, epochs INTEGER NOT NULL, update_mode TEXT NOT NULL,
  fold INTEGER, folds INTEGER NOT NULL, replicate INTEGER NOT NULL, precision TEXT NOT NULL, device TEXT NOT NULL,
  failed TEXT NOT NULL, warnings TEXT NOT NULL, seconds REAL NOT NULL, finished TEXT NOT NULL,
  m3h TEXT NOT NULL, torch TEXT NOT NULL, numerics INTEGER NOT NULL, network TEXT NOT NULL, seal TEXT NOT NULL
) STRICT;
CREATE TABLE score (
  trial INTEGER NOT NULL REFERENCES trial, place INTEGER NOT NULL,
  task TEXT NOT NULL, metric TEXT NOT NULL, value REAL,
  PRIMARY KEY (trial, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE network (trial INTEGER PRIMARY KEY REFERENCES trial, content BLOB NOT NULL) STRICT;
CREATE TABLE owner (
  number INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, boot TEXT NOT NULL, space TEXT NOT NULL,
  pid INTEGER NOT NULL, started TEXT NOT NULL, renewed REAL NOT NULL
) STRICT;
CREATE TABLE claim (
  id TEXT PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owner ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_owner ON claim (owner);
"""
STATEMENTS = tuple(statement.strip() for statement in _SCHEMA.split(";") if statement.strip())
#: Looked through when the ledger is opened, about a microsecond a trial; networks are too large, their seals must do.
CHECKED = ("trial", "score", "owner", "claim")

_HEADER = 100
_MAGIC = b"SQLite format 3\x00"
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: SQLite's answer -> what it means here and what to do.
_REFUSALS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free space there and start again"),
    sqlite3.SQLITE_IOERR: ("the disk or the file system refused to read or write", "check it and start again"),
    sqlite3.SQLITE_READONLY: ("the ledger cannot be written", "get write permission to the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("the ledger cannot be opened", "get write permission to the file and its folder"),
    sqlite3.SQLITE_PERM: ("the ledger may not be read", "get permission to the file and its folder"),
    sqlite3.SQLITE_TOOBIG: ("a network is larger than SQLite can keep", "use narrower layers or fewer tasks"),
    sqlite3.SQLITE_NOLFS: ("the file system cannot hold a file this large", "put the ledger on another disk"),
}


def connect(path: Path, *, timeout: float = TIMEOUT, writing: bool = True) -> sqlite3.Connection:
    """Open the ledger at ``path``; with ``writing`` it is made if need be, else nothing in it can be changed.

    Errors: FolderError with what to do, where the place, the file system or the file does not fit.
    """
    path = path.absolute()
    if writing:
        check_place(path)
        make_file(path)
    elif path.is_dir():
        raise _no_file(path)
    elif not path.is_file():
        raise FolderError("there is no ledger here", where=str(path), next_step="name the ledger.sqlite of a run")
    empty = not _check_header(path)
    with refusing(path, timeout):
        # an empty file is what a ledger begins as; a reader must not write the tables it lacks
        address = _address(path, writing) if writing or not empty else "file::memory:"
        connection = sqlite3.connect(address, uri=True, timeout=timeout, isolation_level=None)
        try:
            _prepare(connection, path, timeout, writing, empty)
        except BaseException as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:  # the file's format number, for one
                raise damaged(path) from error
            raise
    return connection


def check_place(path: Path) -> None:
    """Refuse, before any work is done, a place where no ledger can be opened or made; changes nothing.

    Errors: FolderError with what to do.
    """
    path = path.absolute()
    if path.is_dir():
        raise _no_file(path)
    above = next(place for place in path.parents if place.exists())
    if not above.is_dir():
        raise FolderError(
            "a file stands where a folder should be",
            where=str(above),
            got=f"the ledger {path}",
            next_step="give --ledger another file",
        )
    if not os.access(above, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        raise FolderError(
            "the ledger cannot be written: no permission",
            where=str(path),
            next_step="get write permission to the file and its folder, or give --ledger another file",
        )
    check_file_system(path)
    if path.exists():
        _check_header(path)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path, timeout: float) -> Iterator[None]:
    """All of the block or none of it, alone among the writers. Errors: FolderError as in :func:`connect`."""
    with refusing(path, timeout):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled back already
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def refusing(path: Path, timeout: float) -> Iterator[None]:
    """Turns what SQLite refuses in the block into a FolderError; mistakes of this library pass as they are."""
    try:
        yield
    except UnicodeDecodeError:  # SQLite's own message quotes what is damaged
        raise damaged(path) from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        # without a code: text that is no text, which only a damaged file holds
        if code is None and not isinstance(error, sqlite3.OperationalError):
            raise
        code = sqlite3.SQLITE_CORRUPT if code is None else code & 0xFF
        if code in _DAMAGED:
            raise damaged(path) from None
        if code in _BUSY:
            raise FolderError(
                f"another process has kept the ledger locked for {timeout:g} seconds",
                where=str(path),
                next_step="end what is writing to it, or give --ledger another file; what it holds is safe",
            ) from error
        if code not in _REFUSALS:
            raise
        what, todo = _REFUSALS[code]
        raise FolderError(what, where=str(path), next_step=f"{todo}; what the ledger held before is safe") from error


def damaged(path: Path) -> FolderError:
    """The error for a ledger whose content is not what was written."""
    return FolderError(
        "this ledger is damaged",
        where=str(path),
        expected="the content that was written",
        next_step="nothing was changed; put a copy of the file back, or move it away and train again "
        f"(sqlite3 {path.name} .recover may save rows for reading)",
    )


def _no_file(path: Path) -> FolderError:
    todo = "name a file in it, such as ledger.sqlite"
    return FolderError("a folder stands where the ledger should be", where=str(path), next_step=todo)


def _address(path: Path, writing: bool) -> str:
    """Readers open for writing too where they may: SQLite then removes its side files when the last one closes."""
    if writing or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return f"{path.as_uri()}?mode=rw"
    side = path.with_name(path.name + "-wal")
    # nobody writes a ledger without its side file, so it stands still
    still = not (side.exists() and side.stat().st_size)
    return f"{path.as_uri()}?mode=ro" + ("&immutable=1" if still else "")


def _check_header(path: Path) -> bool:
    """Refuse files that are no ledger before SQLite touches them: opening a stranger's could already change it.

    Returns whether there is anything in the file."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER)
    except OSError as error:
        raise FolderError(
            f"the ledger cannot be read: {error.strerror}", where=str(path), next_step="get permission to the file"
        ) from error
    if not header:
        return False
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        got = "a file of another kind, or a damaged one"
    elif int.from_bytes(header[68:72], "big") != APPLICATION:
        got = "an SQLite file of another program"
    else:
        return True
    raise FolderError(
        "this file is not a ledger",
        where=str(path),
        got=got,
        expected="a file that m3h made",
        next_step="give --ledger another file; this one was not changed",
    )


def _prepare(connection: sqlite3.Connection, path: Path, timeout: float, writing: bool, empty: bool) -> None:
    if (writing or empty) and not _made(connection):
        with transaction(connection, path, timeout):
            if not _made(connection):  # another process may have been quicker
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                for statement in STATEMENTS:
                    connection.execute(statement)
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > FORMAT:
        raise FolderError(
            "this ledger was made by a newer m3h",
            where=str(path),
            got=f"format {version}",
            expected=f"format {FORMAT}",
            next_step="install that m3h, or give --ledger another file; this one was not changed",
        )
    if _tables(connection) != set(STATEMENTS) or any(_broken(connection, name) for name in CHECKED):
        raise damaged(path)
    if not writing:
        connection.execute("PRAGMA query_only = ON")
        return
    _write_ahead(connection, path, timeout)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
    connection.execute("PRAGMA foreign_keys = ON")


def _tables(connection: sqlite3.Connection) -> set[str]:
    """The statements that made what is in the file; SQLite's own tables and indices aside."""
    made = connection.execute("SELECT sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'")
    return {statement for (statement,) in made}


def _broken(connection: sqlite3.Connection, table: str) -> bool:
    return bool(connection.execute(f"PRAGMA integrity_check('{table}')").fetchone()[0] != "ok")


def _made(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])


def _write_ahead(connection: sqlite3.Connection, path: Path, timeout: float) -> None:
    """Switch WAL on. SQLite does not wait here while another process opens the file, so this does."""
    until = time.monotonic() + timeout
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise FolderError(
            "SQLite cannot keep a write-ahead journal on this file system",
            where=str(path),
            got=f"journal mode {mode}",
            expected="wal",
            next_step="put --ledger on a local disk",
        )
