"""MIMIC in a PostgreSQL: the same study as from files. Skips where there is no server to start."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from m3h.core.errors import DataError, SettingError
from m3h.hospital.mimic.build import make_study
from mini_mimic import TABLES, Write

SCHEMAS = {"hosp": "mimiciv_hosp", "icu": "mimiciv_icu", "note": "mimiciv_note", "ecg": "mimiciv_ecg"}
TYPES = {"text": "text", "valuenum": "double precision", "value": "text"}
ADDRESS = "M3H_TEST_DATABASE"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of our own, reachable by a socket in a private folder only."""
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    tools = {name: shutil.which(name) for name in ("initdb", "pg_ctl")}
    if None in tools.values():
        pytest.skip("no PostgreSQL server is installed")
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user:
        shutil.chown(folder, "postgres")

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, cwd=folder, **user)  # type: ignore[call-overload]

    data, quiet = str(folder / "data"), f"-k {folder} -c listen_addresses= -c fsync=off"
    run(str(tools["initdb"]), "-D", data, "-U", "reader", "--auth=trust", "--no-sync", "-E", "UTF8")
    run(str(tools["pg_ctl"]), "-D", data, "-o", quiet, "-w", "-l", str(folder / "log"), "start")
    address = f"postgresql:///postgres?host={folder}&user=reader"
    try:
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            for name, text in TABLES.items():
                module, _, table = name.partition("/")
                if module in SCHEMAS:
                    _load(cursor, SCHEMAS[module], table, text)
            connection.commit()
        yield address
    finally:
        run(str(tools["pg_ctl"]), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _load(cursor: object, schema: str, table: str, text: str) -> None:
    head, *rows = csv.reader(io.StringIO(text))
    columns = ", ".join(f'"{name.lower()}" {_type(name)}' for name in head)
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")  # type: ignore[attr-defined]
    cursor.execute(f"CREATE TABLE {schema}.{table} ({columns})")  # type: ignore[attr-defined]
    for row in rows:
        good = ["" if cell == "not a time" else cell for cell in row]  # a database refuses what is no time
        values = ", ".join("NULL" if cell == "" else "'" + cell.replace("'", "''") + "'" for cell in good)
        cursor.execute(f"INSERT INTO {schema}.{table} VALUES ({values})")  # type: ignore[attr-defined]


def _type(name: str) -> str:
    if name.endswith("time"):
        return "timestamp"
    if (name.endswith("_id") and name != "note_id") or name in ("itemid", "icd_version", "hospital_expire_flag"):
        return "integer"
    return TYPES.get(name, "smallint" if name.startswith("anchor_") and name != "anchor_year_group" else "text")


def test_a_database_gives_the_study_that_its_files_give(
    server: str, mimic: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, server)
    folder = mimic()
    files, base = tmp_path / "from_files", tmp_path / "from_database"
    make_study(folder, files, encoders="offline")
    made = make_study(None, base, database=ADDRESS, cxr=folder / "cxr", encoders="offline")
    assert made.release == "in PostgreSQL"
    names = sorted(path.name for path in files.glob("*.parquet"))
    assert names == sorted(path.name for path in base.glob("*.parquet")) and len(names) == 8
    for name in names:
        # a database holds no time that cannot be read: there it is none
        one, two = (pl.read_parquet(place / name).drop("unreadable", strict=False) for place in (files, base))
        assert one.sort(one.columns).equals(two.sort(one.columns)), name


def test_without_files_the_database_alone_gives_stays(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, server)
    made = make_study(None, tmp_path / "study", database=ADDRESS, encoders="offline")
    assert made.extracted.samples == 2 and not made.extracted.images


def test_what_cannot_be_reached_is_told_without_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    monkeypatch.delenv(ADDRESS, raising=False)
    with pytest.raises(SettingError, match=f"{ADDRESS} is not set"):
        make_study(None, tmp_path / "study", database=ADDRESS)
    monkeypatch.setenv(ADDRESS, f"postgresql://someone:secret@localhost:1/nothing?host={tmp_path}")
    with pytest.raises(DataError, match="does not answer") as told:
        make_study(None, tmp_path / "study", database=ADDRESS)
    assert "secret" not in str(told.value) and "someone" not in str(told.value)
    assert not (tmp_path / "study").exists()
