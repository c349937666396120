"""Tables behind SQL: formats, globs, queries, damaged files; nothing leaves the machine, no value enters a message."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from m3h.core.errors import DataError
from m3h.hospital.tables import Tables

SECRET = "Smith-secret"


def _rows(study):
    with Tables(study) as tables:
        return tables.rows(f"SELECT * FROM ({tables.select(study.samples)}) ORDER BY ALL", study.samples)


def _message(study):
    with pytest.raises(DataError) as caught:
        _rows(study)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def _renamed(study, table=None, query=None):
    return study.model_copy(update={"samples": study.samples.model_copy(update={"table": table, "query": query})})


def test_csv_is_text_whatever_its_first_rows_look_like(small):
    assert _rows(small('id,person,x\n007,#1,""\n1e3,"a ""b""\nc",2020-01-01\n')) == [
        ("007", "#1", None),
        ("1e3", 'a "b"\nc', "2020-01-01"),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_and_a_byte_order_mark(small, tmp_path, delimiter):
    study = small("id\n")
    (tmp_path / "samples.csv").write_bytes(f'\ufeffid{delimiter}"a,b"\r\n1{delimiter}"2,5"\r\n'.encode())
    with Tables(study) as tables:
        assert tables.columns(study.samples) == ("id", "a,b")
    assert _rows(study) == [("1", "2,5")]


def test_a_glob_puts_files_together_by_name(small, tmp_path, write):
    study = small("id\n")
    (tmp_path / "part [1]").mkdir()
    for number in (1, 2):
        frame = pl.DataFrame({"id": [number], "x": [number * 2]})
        write(frame.select(sorted(frame.columns, reverse=number == 2)), tmp_path / "part [1]" / f"{number}.csv")
        write(frame.with_columns(y=pl.lit(1.5)), tmp_path / "part [1]" / f"{number}.parquet")
    assert _rows(_renamed(study, "part [[]1]/*.csv")) == [("1", "2"), ("2", "4")]
    assert _rows(_renamed(study, "part [[]1]/*.parquet")) == [(1, 2, 1.5), (2, 4, 1.5)]
    assert _rows(_renamed(study, "part [1]/1.csv")) == [("1", "2")]
    assert "no such file" in _message(_renamed(study, "part*/x*.csv"))


def test_a_query_reads_beside_the_study(small, tmp_path):
    study = _renamed(small("id,person\n2,a\n1,b\n"), query="q.sql")
    (tmp_path / "q.sql").write_text("-- all of them\nSELECT id, 1 AS one FROM 'samples.csv'; -- end\n")
    assert _rows(study) == [(1, 1), (2, 1)]


def test_a_query_works_where_the_folders_name_has_a_comma(small, tmp_path):
    folder = tmp_path / "a, b [1]"
    folder.mkdir()
    study = _renamed(small("id\n"), query="q.sql").model_copy(update={"folder": folder})
    (folder / "q.sql").write_text("SELECT * FROM 'here.csv'")
    (folder / "here.csv").write_text("id\n5\n")
    assert _rows(study) == [(5,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nothing FROM 'samples.csv'", "q.sql: the query does not work: Binder Error"),
        ("SELEC id", "q.sql: the query does not work: "),
        ("SELECT * FROM 'gone.csv'", "q.sql: the query does not work: IO Error: No files found"),
        ("SELECT 1 AS id; SELECT 2 AS id", "got: 2 statements"),
        ("CREATE TABLE x (i INT)", "expected: one SELECT"),
        ("SELECT * FROM 'https://example.org/x.csv'", "q.sql: the query needs an extension or a web address"),
        (f"SELECT CAST('{SECRET}' AS DOUBLE) AS id", "q.sql: the query failed while it ran (ConversionException)"),
        ("SELECT 1 AS id, 2 AS ID", 'two columns whose names differ in case only: "id" and "ID"'),
    ],
)
def test_queries_that_do_not_work(small, tmp_path, sql, message):
    (tmp_path / "q.sql").write_text(sql)
    assert message in _message(_renamed(small("id\n1\n"), query="q.sql"))


def test_files_that_are_not_there(small):
    study = small("id\n1\n")
    assert 'sample.csv: no such file; did you mean "samples.csv"?' in _message(_renamed(study, "sample.csv"))
    assert "gone.sql: no such file" in _message(_renamed(study, query="gone.sql"))
    assert "samples.xlsx: not a table" in _message(_renamed(study, "samples.xlsx"))


GOOD = "id,person\n" + "".join(f"{number},{SECRET}{number * 7919 % 1000}\n" for number in range(50_000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "samples.csv: the file is empty"),
        (b"id,a\n1,Smith-secret\n2\n", "samples.csv: line 3 has 1 fields, the header 2; truncated"),
        (b"id,a\n1,Smith-secret\n2,3,4\n", "samples.csv: line 3 has 3 fields, the header 2"),
        (b'id,a\n1,2\n2,"Smith-secret\n', "samples.csv: line 3 has a quote that does not close"),
        ("id,a\n1,2\n2,Smith-secret-é\n".encode("latin-1"), "samples.csv: line 3 is not UTF-8"),
        ("id,é\n".encode("latin-1"), "samples.csv: not UTF-8"),
        (b"id,Age,age\n1,2,3\n", 'two columns whose names differ in case only: "Age" and "age"'),
        (b"id,a,a\n1,2,3\n", 'two columns of the same name: "a" and "a"'),
    ],
)
def test_damaged_csv(small, tmp_path, content, message):
    study = small("id\n")
    (tmp_path / "samples.csv").write_bytes(content)
    assert message in _message(study)


def test_damaged_gzip_and_parquet(small, tmp_path):
    study = small("id\n")
    packed = gzip.compress(GOOD.encode())
    (tmp_path / "half.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert "half.csv.gz: truncated or damaged" in _message(_renamed(study, "half.csv.gz"))
    (tmp_path / "plain.csv.gz").write_text(GOOD)
    assert "plain.csv.gz: truncated or damaged" in _message(_renamed(study, "plain.csv.gz"))
    pl.DataFrame({"id": range(1000)}).write_parquet(tmp_path / "full.parquet")
    whole = (tmp_path / "full.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    assert "half.parquet: truncated or damaged" in _message(_renamed(study, "half.parquet"))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1" + bytes(len(whole) // 2) + whole[len(whole) // 2 + 4 :])
    assert "torn.parquet: truncated or damaged" in _message(_renamed(study, "torn.parquet"))


def test_parquet_names_that_differ_in_case(small, tmp_path):
    pl.DataFrame({"id": [1], "Age": [1], "age": [2]}).write_parquet(tmp_path / "t.parquet")
    assert 'names differ in case only: "Age" and "age"' in _message(_renamed(small("id\n"), "t.parquet"))


def test_fingerprint_is_of_content(small, tmp_path):
    def of(study):
        with Tables(study) as tables:
            return tables.fingerprint(study.samples)

    study = small("id,person\n1,a\n2,b\n2,b\n")
    (tmp_path / "copy.csv").write_text((tmp_path / "samples.csv").read_text())
    assert of(study) == of(_renamed(study, "copy.csv"))
    (tmp_path / "copy.csv").write_text("id,person\n1,a\n2,c\n")
    assert of(study) != of(_renamed(study, "copy.csv"))
    (tmp_path / "up.sql").write_text("SELECT * FROM 'samples.csv' ORDER BY id")
    (tmp_path / "down.sql").write_text("SELECT * FROM 'samples.csv' ORDER BY id DESC")
    (tmp_path / "fewer.sql").write_text("SELECT DISTINCT * FROM 'samples.csv'")
    queries = [of(_renamed(study, query=name)) for name in ("up.sql", "down.sql", "fewer.sql")]
    assert queries[0] == queries[1] != queries[2]


def test_nothing_is_fetched_and_nothing_stays_behind(small):
    study = small("id\n1\n")
    with Tables(study) as tables:
        settings = dict(tables.rows("SELECT name, value FROM duckdb_settings()", study.samples))
        assert settings["autoinstall_known_extensions"] == settings["autoload_known_extensions"] == "false"
        spill = tables._spill
        assert spill.stat().st_mode & 0o077 == 0
    assert not spill.exists()


def test_new_patients_tables_go_by_stem(hospital, tmp_path, frames, write):
    study = hospital("parquet")
    labs = next(source for source in study.sources if source.name == "labs")
    notes = next(source for source in study.sources if source.name == "notes")
    folder = tmp_path / "new"
    folder.mkdir()
    write(frames["samples"], folder / "samples.csv.gz")
    write(frames["labs"], folder / "labs.csv")
    with Tables(study, data=folder) as tables:
        assert (tables.has(study.samples), tables.has(labs), tables.has(notes)) == (True, True, False)
        assert "moment" in tables.columns(study.samples)
    write(frames["labs"], folder / "labs.parquet")
    with Tables(study, data=folder) as tables, pytest.raises(DataError, match="the same table twice"):
        tables.columns(labs)
    with pytest.raises(DataError, match="no such file or folder"):
        Tables(study, data=tmp_path / "gone")


def test_a_query_over_new_patients_reads_their_tables_only(small, tmp_path):
    study = _renamed(small("id,person\n1,a\n"), query="q.sql")
    (tmp_path / "q.sql").write_text("SELECT * FROM 'samples.csv'")
    new = tmp_path / "new"
    new.mkdir()
    with Tables(study, data=new) as tables, pytest.raises(DataError, match="No files found"):
        tables.columns(study.samples)
    (new / "samples.csv").write_text("id,person\n8,z\n")
    with Tables(study, data=new) as tables:
        assert tables.rows(f"SELECT id FROM ({tables.select(study.samples)})", study.samples) == [(8,)]
