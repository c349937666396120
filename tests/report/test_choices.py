import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from m3h.report.choices import choices, explanation, findings, table
from m3h.report.contents import Contents, read

Run = Callable[..., Path]


def with_search(
    contents: Contents,
    rows: Sequence[tuple[str, str, str, float | None, int, bool]],
    tested: Sequence[tuple[str, str, float, float]] = (),
) -> Contents:
    """Rows of search.csv, and (task, metric, low, high) of best minus single."""
    search = pl.DataFrame(rows, schema=contents.search.schema, orient="row")
    gaps = [
        {"task": task, "metric": metric, "role_a": "best", "preset_a": "paper", "role_b": "single"}
        | {"preset_b": "paper", "difference": (low + high) / 2, "relative": 1.0, "low": low, "high": high}
        for task, metric, low, high in tested
    ]
    differences = pl.DataFrame(gaps, schema=contents.differences.schema)
    return dataclasses.replace(contents, search=search, differences=differences)


@pytest.fixture
def searched(run: Run) -> Contents:
    return with_search(
        read(run(["death", "coma", "phenotype", "sofa"])),
        [
            ("death", "random", "death", 0.70, 2, False),
            ("death", "folds", "death", 0.80, 7, False),
            ("death", "folds", "death+coma", 0.82, 7, True),
            ("coma", "folds", "coma", 0.75, 5, True),
            ("coma", "folds", "death+coma", 0.74, 5, False),
            ("phenotype", "1", "phenotype", 0.1, 3, False),
            ("phenotype", "2", "death+coma+phenotype", 0.13, 3, True),
            ("sofa", "1", "sofa", None, 2, False),
            ("sofa", "1", "death+sofa", 0.3, 2, True),
        ],
        [
            ("death", "auroc", 0.001, 0.009),
            ("coma", "auroc", 0.0, 0.0),
            ("phenotype", "silhouette", 1.0, 2.0),
            ("phenotype", "silhouette_fixed", -0.03, -0.01),
        ],
    )


def test_gain_of_choosing_is_chosen_less_alone_at_the_same_step(searched: Contents) -> None:
    found = {choice.task: choice for choice in choices(searched)}
    assert found["death"].tasks == ("death", "coma")
    assert found["death"].cv_gain == pytest.approx(0.02)
    assert (found["death"].low, found["death"].high) == (0.001, 0.009)
    assert found["death"].test_gain == pytest.approx(0.005)
    assert (found["death"].tried, found["death"].side) == (7, "ahead")


def test_step_without_the_task_alone_uses_the_last_that_had_it(searched: Contents) -> None:
    assert {choice.task: choice for choice in choices(searched)}["phenotype"].cv_gain == pytest.approx(0.03)


def test_clusterings_are_compared_in_the_fixed_space(searched: Contents) -> None:
    found = {choice.task: choice for choice in choices(searched)}["phenotype"]
    assert (found.metric, found.test_gain, found.side) == ("silhouette_fixed", -0.02, "behind")


def test_task_best_alone_gains_nothing(searched: Contents) -> None:
    found = {choice.task: choice for choice in choices(searched)}["coma"]
    assert found.alone
    assert (found.others, found.cv_gain, found.test_gain, found.side) == ((), None, None, "none")


def test_what_the_run_lacks_is_not_made_up(searched: Contents) -> None:
    found = {choice.task: choice for choice in choices(searched)}["sofa"]
    assert (found.others, found.cv_gain, found.test_gain, found.side) == (("death",), None, None, "none")


def test_name_with_the_joining_sign_stays_whole(run: Run) -> None:
    contents = with_search(read(run(["a+b", "death"])), [("death", "1", "a+b+death", 0.8, 2, True)])
    assert choices(contents)[0].others == ("a+b+death",)


def test_table_puts_both_gains_side_by_side(searched: Contents) -> None:
    rows = {row[0].text: row for row in table(searched).rows if len(row) > 1}
    assert [cell.text for cell in rows["death"][1:]] == ["coma", "7", "+0.020", "▲ +0.005", "25\u00a0%"]
    assert rows["death"][4].small == "+0.001 to +0.009"
    assert rows["phenotype"][4].text == "▼ −0.020"
    assert rows["coma"][1].text == "nothing: alone is best"
    assert [cell.text for cell in rows["sofa"][3:]] == ["–", "–", "–"]


def test_explanation_counts_sets(searched: Contents) -> None:
    text = " ".join(
        explanation(choices(searched), {"method": "planned", "trainings": 200, "sets_tried": 15, "folds": 5})
    )
    assert "For each question 2 to 7 sets were tried." in text
    assert "15 different sets, 200 trainings and 5 folds" in text
    assert "random sets first" in text
    assert "Behind" not in " ".join(explanation(choices(searched), {}))


def test_findings_set_both_gains_against_each_other(run: Run) -> None:
    contents = with_search(
        read(run(["death", "coma", "fever"])),
        [
            (task, "1", task_set, score, 3, task_set != task)
            for task, gain in (("death", 0.01), ("coma", 0.02), ("fever", 0.06))
            for task_set, score in ((task, 0.7), (f"{task}+{'coma' if task == 'death' else 'death'}", 0.7 + gain))
        ],
        [("death", "auroc", 0.001, 0.003), ("coma", "auroc", -0.01, 0.01), ("fever", "auroc", -0.03, -0.01)],
    )
    text = findings(contents)
    assert text[0].endswith("for 3 of 3 questions.")
    assert "ahead in 1 (death +0.002 [+0.001 to +0.003])" in text[1]
    assert "behind in 1 (fever −0.020 [−0.030 to −0.010]) of 3; 1 stays open." in text[1]
    assert text[2] == (
        "AUROC, 3 questions: median gain +0.020 by the cross-validation that chose the sets, 0.000 on test rows."
    )


def test_no_search_no_word(run: Run) -> None:
    contents = read(run(2))
    assert choices(contents) == []
    assert findings(contents) == []
