import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from m3h.report.comparisons import comparisons, multiplicity
from m3h.report.contents import Contents, read
from m3h.report.summary import answers, cautions, scores_about

Run = Callable[..., Path]


def with_differences(contents: Contents, rows: Sequence[tuple[str, str, str, float, float]]) -> Contents:
    """Rows of (task, metric, role_b, low, high)."""
    frame = pl.DataFrame(
        [
            {
                "task": task,
                "metric": metric,
                "role_a": "joint",
                "preset_a": "paper",
                "role_b": role,
                "preset_b": "lightgbm" if role == "baseline" else "paper",
                "difference": (low + high) / 2,
                "relative": 1.0,
                "low": low,
                "high": high,
            }
            for task, metric, role, low, high in rows
        ],
        schema=contents.differences.schema,
    )
    return dataclasses.replace(contents, differences=frame)


def told(contents: Contents) -> str:
    return " ".join(point.text for answer in answers(contents) for point in answer.points)


@pytest.fixture
def contents(run: Run) -> Contents:
    return with_differences(
        read(run(["death", "coma", "fever", "length_of_stay"], series=("single", "joint", "lightgbm"))),
        [
            ("death", "auroc", "single", 0.01, 0.03),
            ("coma", "auroc", "single", -0.03, -0.01),
            ("fever", "auroc", "single", -0.01, 0.01),
            ("length_of_stay", "r2", "single", 0.05, 0.07),
            ("death", "brier", "single", 0.01, 0.03),
            ("death", "auroc", "baseline", -0.04, -0.02),
        ],
    )


def test_comparisons_count_headline_metrics_only(contents: Contents) -> None:
    single, boosted = comparisons(contents)
    assert (single.opponent, len(single.ahead), len(single.behind), single.open) == ("single", 2, 1, 1)
    assert (boosted.opponent, len(boosted.ahead), len(boosted.behind), boosted.open) == ("lightgbm", 0, 1, 0)
    assert single.ahead[0] == "death +0.020 [+0.010 to +0.030]"


def test_summary_says_where_joint_is_ahead_and_behind(contents: Contents) -> None:
    text = told(contents)
    assert (
        "ahead in 2 (death +0.020 [+0.010 to +0.030] and length_of_stay +0.060 [+0.050 to +0.070]), "
        "behind in 1 (coma −0.020 [−0.030 to −0.010]), 1 stays open (of 4 questions)." in text
    )


def test_identical_models_are_the_same_and_not_open(contents: Contents) -> None:
    rows = [("death", "auroc", "single", 0.0, 0.0), ("coma", "auroc", "single", -0.01, 0.01)]
    some = with_differences(contents, rows)
    assert (comparisons(some)[0].same, comparisons(some)[0].open, comparisons(some)[0].count) == (1, 1, 2)
    assert "1 stays open, in 1 both are the same (of 2 questions)" in told(some)
    assert "Differences with an interval: 1." in multiplicity(some)
    every = with_differences(contents, rows[:1])
    assert "one question alone: the same in its one question." in told(every)
    assert multiplicity(every) == ""


def test_the_three_questions_are_answered_and_each_point_leads_to_a_section(run: Run) -> None:
    found = answers(read(run(5)))
    assert [answer.question for answer in found] == ["What was asked?", "What was found?", "Can it be trusted?"]
    assert [point.place for point in found[0].points] == ["asked", "made"]
    assert all(point.text.endswith(".") and point.section for answer in found for point in answer.points)


def with_preset(contents: Contents, gates: Sequence[float], **fields: object) -> Contents:
    rows = [{"task": f"task {place}", "gate": gate, "between_rows": 0.0} for place, gate in enumerate(gates)]
    frame = pl.DataFrame(rows, schema=contents.appraisal["gates"].schema)
    settings = {"preset": "m3h", "fields": fields}
    return dataclasses.replace(
        contents,
        run={**contents.run, "settings": settings},
        appraisal={**contents.appraisal, "gates": frame},
    )


@pytest.mark.parametrize(
    ("gates", "fields", "said"),
    [
        ([], {}, "The model is one network of all questions (preset m3h)"),
        ([1.0], {"additive": True}, "each question has additive models of its own, and a network beside them"),
        ([0.0, 1.0], {"additive": True, "trees": True}, "no correction out for 1 of 2 questions"),
        ([0.0, 0.0], {"additive": True, "trees": True}, "additive models and boosted trees of its own"),
    ],
)
def test_the_kind_of_model_is_said_plainly(
    run: Run, gates: Sequence[float], fields: dict[str, object], said: str
) -> None:
    text = told(with_preset(read(run(2)), gates, **fields))
    assert said in text
    assert ("any question" in text) == (len(gates) > 0 and not any(gates))


def test_a_model_that_says_the_same_for_everybody_is_named(run: Run) -> None:
    contents = read(run(["death", "coma"]))
    flat = pl.when(pl.col("task") == "coma").then(0.1).otherwise("prediction")
    text = told(dataclasses.replace(contents, predictions=contents.predictions.with_columns(prediction=flat)))
    assert "For coma it says the same for everybody." in text
    assert "the same for everybody" not in told(contents)


def test_multiplicity_counts_what_chance_would_mark(contents: Contents) -> None:
    text = multiplicity(contents)
    assert "Differences with an interval: 5." in text
    assert "1 in 20" in text
    assert "about 0.2," in text or "about 0.3," in text


def test_no_comparison_no_word_on_multiplicity(contents: Contents) -> None:
    assert multiplicity(with_differences(contents, [])) == ""


def test_task_alone_is_not_compared_with_itself(run: Run) -> None:
    contents = with_differences(read(run(1)), [("death", "auroc", "single", 0.0, 0.0)])
    assert comparisons(contents) == []
    assert "same network" in told(contents)


def test_better_than_chance_is_the_whole_interval(run: Run) -> None:
    contents = read(run(["death", "coma"], series=("joint",)))
    low = pl.when(pl.col("task") == "death").then(0.51).otherwise(0.5)
    value = pl.when(pl.col("task") == "death").then(0.7).otherwise(0.6)
    contents = dataclasses.replace(contents, scores=contents.scores.with_columns(low=low, value=value))
    text = told(contents)
    assert "1 of 2 yes-or-no or multiple-choice questions is answered better than by chance" in text
    assert "best is death with 0.70, weakest coma with 0.60" in text


def test_numbers_no_better_than_the_mean_are_counted(run: Run) -> None:
    contents = read(run(["length_of_stay", "sofa"], series=("joint",)))
    value = pl.when(pl.col("task") == "sofa").then(-0.2).otherwise(0.3)
    text = told(dataclasses.replace(contents, scores=contents.scores.with_columns(value=value)))
    assert "length_of_stay 0.30 and sofa −0.20" in text
    assert "at or below 0 (1)" in text


def test_cautions_name_what_the_run_holds(run: Run) -> None:
    contents = read(run(2, rows=60, series=("single", "joint")))
    text = " ".join(cautions(contents))
    for part in (
        "1 question could not be trained or scored: trauma",
        "found 1 sign of leaks",
        "Fewer than 30 test samples are a yes for death",
        "No baseline",
        "One split",
    ):
        assert part in text
    assert "did not end well" not in text
    less = " ".join(cautions(contents, whole=False))
    assert "1 question could not be trained or scored; What is asked says why" in less
    assert "trauma" not in less and "leaks" not in less


def test_nothing_to_be_careful_about_is_not_invented(run: Run) -> None:
    contents = read(run(2, rows=600))
    calm = {**contents.run, "left_out": [], "audit": {**contents.audit, "alarms": []}}
    assert len(cautions(dataclasses.replace(contents, run=calm))) == 1


def test_chosen_sets_are_counted_among_the_comparisons_but_told_once(pooled: Run) -> None:
    contents = read(pooled(5, search=True))
    subjects = [(comparison.subject, comparison.opponent) for comparison in comparisons(contents)]
    assert subjects == [("joint", "single"), ("joint", "best"), ("best", "single")]
    text = told(contents)
    assert text.count("On test rows the chosen sets are") == 1
    assert "Joint learning against the set that the search chose for each question: " in text


@pytest.mark.parametrize(
    ("joint", "search", "said"),
    [
        (True, True, "joint is one network for all of them, best set is"),
        (False, True, "which best set is ahead"),
        (True, False, "which joint is ahead"),
        (False, False, "Lines are 95 % intervals."),
    ],
)
def test_scores_are_introduced_by_what_there_is(pooled: Run, joint: bool, search: bool, said: str) -> None:
    text = scores_about(read(pooled(5, joint=joint, search=search)))
    assert said in text
    assert ("▲" in text) == (joint or search)
