import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from m3h.report.cohort import flow, left_out, questions, source_rows, sources, table_one
from m3h.report.contents import Contents, read
from m3h.report.tables import Cell, Table

Run = Callable[..., Path]


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Contents:
    kept = json.loads((folder / "run.json").read_text())
    change(kept["audit"])
    (folder / "run.json").write_text(json.dumps(kept))
    return read(folder)


def row(table: Table | None, first: str) -> tuple[Cell, ...]:
    assert table is not None
    return next(row for row in table.rows if row[0].text == first and len(row) > 1)


def test_flow_adds_up(run: Run) -> None:
    def lose_ten(audit: dict[str, Any]) -> None:
        audit["samples"]["rows"] += 10

    found = flow(changed(run(2, rows=60), lose_ten))
    assert found is not None
    assert found.all.rows == found.train.rows + found.test.rows + found.unused
    assert (found.unused, found.train.rows, found.test.rows) == (10, 240, 60)
    assert found.train.note == "split as the study gives it"


def test_only_sources_with_a_table_of_their_own_list_rows(run: Run) -> None:
    table = source_rows(read(run(2)))
    assert table is not None
    assert [[cell.text for cell in line] for line in table.rows] == [
        ["bedside", "3,497,123", "12", "7", "1,650,111", "0", "1,846,993"]
    ]


def test_table_one_counts_levels_and_summarises_numbers(run: Run) -> None:
    table = table_one(read(run(2, rows=60)))
    assert row(table, "male") == (Cell("male"), Cell("120 (50.0\u00a0%)"), Cell("30 (50.0\u00a0%)"))
    assert row(table, "age, years")[1] == Cell("64.2 (17.3)", "67.0 [53.0 to 78.0], 240 known")
    assert row(table, "height, cm")[2] == Cell("–", "none known", "quiet")


def test_questions_show_what_their_kind_has(run: Run) -> None:
    table = questions(read(run(5, rows=70)))
    assert [cell.text for cell in row(table, "death")] == [
        "death",
        "yes or no",
        "280",
        "40 (14.3\u00a0%)",
        "70",
        "10 (14.3\u00a0%)",
    ]
    stay = row(table, "length_of_stay")
    assert stay[0].small == "does not see findings"
    assert stay[1].text == "a number (days)"
    assert stay[3] == Cell("13.1 (11.9)", "10.0 [6.00 to 17.0]")
    assert row(table, "icu_type")[3].small.startswith("coronary 40\u00a0%, medical 30\u00a0%")
    assert row(table, "phenotype")[3].text == "–"


def test_side_without_an_answer_has_a_dash(run: Run) -> None:
    def unlabelled(audit: dict[str, Any]) -> None:
        audit["tasks"][0]["test"] = {"labelled": 0, "patients": 0, "positive": 0, "prevalence": None}
        audit["tasks"][2]["test"] = {"labelled": 0, "patients": 0, "shares": {"medical": None, "trauma": None}}

    table = questions(changed(run(3), unlabelled))
    assert [row(table, name)[5].text for name in ("death", "icu_type")] == ["–", "–"]


def test_test_rows_of_unknown_classes_are_told(run: Run) -> None:
    def strange(audit: dict[str, Any]) -> None:
        audit["tasks"][2]["unknown_class"] = 3

    table = questions(changed(run(3), strange))
    assert row(table, "icu_type")[0].small == "3 test rows of a class that training lacks"


def test_sources_tell_what_the_audit_saw(run: Run) -> None:
    table = sources(read(run(2)))
    assert [cell.text for cell in row(table, "xray")] == [
        "xray",
        "vision, hog",
        "96",
        "31.0\u00a0%",
        "29.0\u00a0%",
        "2 unreadable",
    ]
    assert row(table, "note")[5] == Cell("nothing of note", tone="quiet")
    assert row(table, "demographics")[5].text == "constant: urine"


def test_left_out_tasks_come_with_their_reason(run: Run) -> None:
    assert left_out(read(run(2))) == [("trauma", "no test row says yes")]


def test_many_identical_columns_do_not_fill_the_page(run: Run) -> None:
    def repeat(audit: dict[str, Any]) -> None:
        audit["sources"][1]["identical_columns"] = [[f"lab {n}.max", f"lab {n}.min"] for n in range(22)]

    seen = row(sources(changed(run(2), repeat)), "bedside")[-1].text
    named = "identical: lab 0.max and lab 0.min; identical: lab 1.max and lab 1.min"
    assert seen == f"{named}; and 20 more groups of identical ones"
