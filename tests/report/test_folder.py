from pathlib import Path

import polars as pl
import pytest

from m3h.core.errors import FolderError
from m3h.report.folder import NUMBER, TEXT, TRUTH, WHOLE, csv, json_object, parquet

SCHEMA = {"name": TEXT, "value": NUMBER, "count": WHOLE, "chosen": TRUTH}


def test_columns_come_in_their_kinds_and_what_is_no_number_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("extra,value,name,chosen,count\n1,nan,,true,3\n1,0.5,x,false,\n")
    frame = csv(tmp_path / "a.csv", SCHEMA)
    assert frame.rows() == [("", None, 3, True), ("x", 0.5, None, False)]


def test_file_that_may_be_absent_is_an_empty_table(tmp_path: Path) -> None:
    for frame in (csv(tmp_path / "a.csv", SCHEMA), parquet(tmp_path / "a.parquet", SCHEMA)):
        assert frame.is_empty()
        assert frame.schema == pl.Schema(SCHEMA)


@pytest.mark.parametrize(
    "text", ["name,value,count,chosen\nx,1,2,perhaps\n", "name,value,count,chosen\nx,one,2,true\n"]
)
def test_value_of_another_kind_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(FolderError, match=r"a\.csv cannot be read as a table"):
        csv(tmp_path / "a.csv", SCHEMA)


def test_absent_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,count\nx,1\n")
    with pytest.raises(FolderError, match="lacks a column") as caught:
        csv(tmp_path / "a.csv", SCHEMA)
    assert caught.value.got == "value, chosen"


def test_needed_file_that_is_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"a\.csv is not there"):
        csv(tmp_path / "a.csv", SCHEMA, needed=True)


def test_parquet_rows_are_sorted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": ["b", "a"], "value": [1.0, 2.0], "count": [1, 2], "chosen": [True, False]})
    frame.write_parquet(tmp_path / "a.parquet")
    assert parquet(tmp_path / "a.parquet", SCHEMA).get_column("name").to_list() == ["a", "b"]


def test_json_that_is_no_object_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(FolderError, match="is not a JSON object"):
        json_object(tmp_path / "a.json")
