import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from m3h.report.contents import Contents, read
from m3h.report.interactions import (
    Matrix,
    caution,
    explanation,
    findings,
    helpers,
    left_out,
    matrix,
    pairs,
    reading,
)

Run = Callable[..., Path]
Cells = Sequence[tuple[str, str, float | None, float | None]]


def with_tim(contents: Contents, cells: Cells, method: str = "shared", half: float = 0.004) -> Contents:
    """Cells of (source, target, tim, q), each with an interval of +- ``half``."""
    rows = [
        {
            "source": source,
            "target": target,
            "tim": tim,
            "low": None if tim is None else tim - half,
            "high": None if tim is None else tim + half,
            "q": q,
            "trials": 0 if tim is None else 60,
            "rank": None if tim is None else float(np.sign(tim)),
            "method": method,
            "metric": "r2" if source == "length_of_stay" else "auroc",
        }
        for source, target, tim, q in cells
    ]
    return dataclasses.replace(contents, tim=pl.DataFrame(rows, schema=contents.tim.schema))


@pytest.fixture
def three(run: Run) -> Contents:
    return with_tim(
        read(run(["death", "length_of_stay", "coma"])),
        [
            ("coma", "death", 0.012, 0.01),
            ("coma", "length_of_stay", -0.02, 0.001),
            ("death", "coma", 0.003, 0.4),
            ("death", "length_of_stay", None, None),
            ("length_of_stay", "death", 0.03, 0.0002),
            ("length_of_stay", "coma", -0.001, 0.9),
        ],
    )


def made(contents: Contents) -> Matrix:
    found = matrix(contents)
    assert found is not None
    return found


def test_rows_are_scored_and_columns_added_in_the_studys_order(three: Contents) -> None:
    found = made(three)
    assert found.tasks == ("death", "length_of_stay", "coma")
    nan = np.nan
    np.testing.assert_array_equal(found.tim, [[nan, nan, 0.003], [0.03, nan, -0.001], [0.012, -0.02, nan]])
    assert found.metrics == ("auroc", "r2", "auroc")
    assert found.measured == 5


def test_marked_is_at_most_five_per_cent_of_false_discoveries(three: Contents) -> None:
    assert made(three).marked.tolist() == [[False] * 3, [True, False, False], [True, True, False]]
    edge = with_tim(three, [("death", "coma", 0.1, 0.05), ("coma", "death", 0.1, 0.0501)])
    assert made(edge).marked.tolist() == [[False, True], [False, False]]


def test_no_false_discovery_rate_no_mark(three: Contents) -> None:
    found = made(with_tim(three, [("death", "coma", 0.1, None), ("coma", "death", -0.1, None)]))
    assert not found.marked.any()
    assert "nothing is marked" in caution(found)
    assert "nothing is marked" not in caution(made(three))


def test_departments_stand_together_and_clusterings_last(pooled: Run) -> None:
    found = made(read(pooled(20, tim="pairs", departments=True)))
    assert [group.name for group in found.groups] == [
        "Cardiology",
        "Emergency and intensive care",
        "Nephrology",
        "Surgery",
        "Groupings",
    ]
    assert [(group.start, group.stop) for group in found.groups] == [(0, 4), (4, 9), (9, 14), (14, 19), (19, 20)]
    assert (found.tasks[19:], found.apart) == (("phenotype",), 19)


def test_without_departments_only_clusterings_stand_apart(pooled: Run) -> None:
    found = made(read(pooled(5, tim="pairs")))
    assert [(group.name, group.start, group.stop) for group in found.groups] == [("", 0, 4), ("Groupings", 4, 5)]


def test_kinds_come_from_metrics_where_the_run_has_no_audit(pooled: Run) -> None:
    folder = pooled(5, tim="shared", scored=False)
    contents = dataclasses.replace(read(folder), run={})
    assert made(contents).tasks == ("death", "length_of_stay", "icu_type", "hypotension", "phenotype")
    assert made(contents).apart == 4


def test_only_tasks_of_the_pool_are_in_the_matrix(run: Run) -> None:
    contents = with_tim(read(run(5)), [("death", "hypotension", 0.01, 0.2)])
    assert made(contents).tasks == ("death", "hypotension")


def test_helpers_name_the_largest_first_with_interval_and_mark(three: Contents) -> None:
    table = helpers(made(three))
    rows = {row[0].text: row for row in table.rows}
    assert rows["coma"][1].lines == ("▲ death +0.012 (+0.008 to +0.016)",)
    assert rows["coma"][2].lines == ("▼ length_of_stay −0.020 (−0.024 to −0.016)",)
    assert rows["coma"][3].text == "▲ 1 ▼ 1"
    assert rows["death"][1].lines == ("coma +0.003 (−0.001 to +0.007)",)
    assert (rows["death"][2].lines, rows["death"][2].small) == ((), "none")
    assert rows["length_of_stay"][0].small == "R²"


def test_at_most_three_helpers_are_named(run: Run) -> None:
    others = ("coma", "fever", "sofa", "anemia")
    cells = [("death", name, value, 0.5) for name, value in zip(others, (0.01, 0.04, 0.02, 0.03), strict=True)]
    table = helpers(made(with_tim(read(run(["death", *others])), cells)))
    assert [line.split()[0] for line in table.rows[0][1].lines] == ["fever", "anemia", "sofa"]


def test_every_measured_pair_is_in_the_table(three: Contents) -> None:
    table = pairs(made(three))
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows == [
        ["death (AUROC), scored with and without"],
        ["coma", "+0.003", "−0.001 to +0.007", "0.400", "60"],
        ["length_of_stay (R²), scored with and without"],
        ["death", "▲ +0.030", "+0.026 to +0.034", "below 0.001", "60"],
        ["coma", "−0.001", "−0.005 to +0.003", "0.900", "60"],
        ["coma (AUROC), scored with and without"],
        ["death", "▲ +0.012", "+0.008 to +0.016", "0.010", "60"],
        ["length_of_stay", "▼ −0.020", "−0.024 to −0.016", "0.001", "60"],
    ]


@pytest.mark.parametrize(
    ("method", "words"),
    [("exact", "Every possible set"), ("pairs", "trained alone and with"), ("shared", "Random sets"), ("odd", "odd")],
)
def test_method_is_said_in_words(three: Contents, method: str, words: str) -> None:
    found = made(with_tim(three, [("death", "coma", 0.1, 0.1)], method=method))
    assert words in explanation(found, {})[1]


def test_trainings_are_told_as_far_as_the_run_tells_them(three: Contents) -> None:
    facts = {"trainings": 1056, "sets": 352, "replicates": 3, "folds": 1}
    assert explanation(made(three), facts)[2] == (
        "Behind this stand 1,056 trainings, 352 different task sets, "
        "3 replicates with other random numbers and 1 validation fold."
    )
    assert len(explanation(made(three), {})) == 2
    assert explanation(made(three), {"trainings": 5})[2] == "Behind this stand 5 trainings."


def test_caption_counts_what_is_missing_and_explains_the_rule(three: Contents, pooled: Run) -> None:
    assert "1 pair could not be measured" in reading(made(three))
    assert "Groupings stand beyond the rule" not in reading(made(three))
    assert "Groupings stand beyond the rule" in reading(made(read(pooled(5, tim="pairs"))))


def test_findings_count_marks_and_name_the_clearest(three: Contents) -> None:
    counts, clearest = findings(three)
    assert "Of 5 ordered pairs of questions, adding the second helps the first in 2 and hurts it in 1" in counts
    assert "2 stay open" in counts
    assert clearest == (
        "The clearest: death helps length_of_stay: +0.030 (+0.026 to +0.034) in R²; "
        "length_of_stay hurts coma: −0.020 (−0.024 to −0.016) in AUROC."
    )


def test_nothing_clear_is_not_named(three: Contents) -> None:
    assert len(findings(with_tim(three, [("death", "coma", 0.1, 0.3)]))) == 1
    assert findings(with_tim(three, [])) == []


def test_tasks_outside_the_pool_keep_their_reasons() -> None:
    entries = [("a", "not asked for"), ("b", "one class"), ("c", "not asked for")]
    facts = {"left_out": [{"task": task, "reason": reason} for task, reason in entries]}
    assert left_out(facts) == [("a and c", "not asked for"), ("b", "one class")]
    assert left_out({}) == []
