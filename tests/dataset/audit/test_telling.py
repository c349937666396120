"""What is past belief and what is a good measurement; words of texts; amounts that the samples table gives away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.dataset.audit.questions import Question
from m3h.dataset.audit.telling import beyond_chance, telling, too_good
from m3h.dataset.audit.words import word_scores
from m3h.dataset.build import build, read_study
from m3h.dataset.dataset import Dataset
from m3h.hospital.sources import Texts
from made import make_dataset

BINARY = Question("t", "binary", np.zeros(2), np.arange(2), np.zeros(2, dtype=bool))
AMOUNT = replace(BINARY, kind="amount")


def test_the_last_creatinine_may_tell_the_next_days_kidneys() -> None:
    # AUROC of the last value and of the largest among 998 and 299 stays of icu2012
    assert not too_good(0.988, 0.978, BINARY, (998, 299))
    assert too_good(0.988, 0.9, BINARY, (998, 299))
    assert too_good(0.9951, 0.995, BINARY, (998, 299))


@pytest.mark.parametrize(("answers", "expected"), [((10, 10), False), ((40, 40), True), ((2000, 3), False)])
def test_few_rows_prove_nothing(answers: tuple[int, int], expected: bool) -> None:
    assert too_good(1.0, 0.5, BINARY, answers) == expected
    assert beyond_chance(1.0, "binary", answers) == expected


def test_amounts_are_judged_by_the_variance_that_is_left() -> None:
    # 1 - 0.96**2 = 0.078 against 1 - 0.8**2 = 0.36 and 1 - 0.85**2 = 0.28
    assert too_good(0.96, 0.8, AMOUNT, (500, 500))
    assert not too_good(0.96, 0.85, AMOUNT, (500, 500))
    assert not too_good(0.94, 0.0, AMOUNT, (500, 500))


def planted(dataset: Dataset, task: str, **more: Any) -> Dataset:
    """One column of demo is the task's label with a little noise."""
    block = dataset.blocks["demo"]
    values = block.values.copy()
    noise = np.random.default_rng(1).normal(size=len(values)) * 0.05
    values[:, 3] = 7 - 3 * (dataset.labels[task].values + noise)
    labels = {name: replace(part, task=replace(part.task, **more)) for name, part in dataset.labels.items()}
    return replace(dataset, blocks={**dataset.blocks, "demo": replace(block, values=values)}, labels=labels)


@pytest.mark.parametrize("task", ["death", "stay"])
def test_a_noisy_copy_is_told_with_its_place_unless_its_source_is_excluded(task: str) -> None:
    dataset = make_dataset(samples=500)
    # death alone is no plain function of the inputs here
    assert [alarm for alarm in telling(dataset) if alarm["task"] == "death"] == []
    found = [alarm for alarm in telling(planted(dataset, task)) if alarm["task"] == task]
    assert {(alarm["kind"], *alarm["sources"], *alarm["columns"]) for alarm in found} == {
        ("column tells label", "demo", "demo3")
    }
    assert all("exclude_sources" in alarm["text"] and alarm["number"] > 0.95 for alarm in found)
    excluded = planted(dataset, task, exclude_sources=("demo",))
    assert [alarm for alarm in telling(excluded) if alarm["task"] == task] == []


def test_the_words_that_name_the_answer_are_found_in_half_of_the_patients() -> None:
    dataset = make_dataset(samples=400)
    unit = dataset.labels["unit"].values
    random = np.random.default_rng(0)
    said = np.array(["alpha", "beta", "gamma"])[unit.astype(int)]
    idle = random.choice(["stable", "walks", "eats", "sleeps"], (400, 3))
    texts = tuple((f"{' '.join(few)} {one}",) for few, one in zip(idle.tolist(), said, strict=True))
    times = ((0.0,),) * 400
    found = word_scores(dataset, Texts(texts, times))
    assert all(score == 1.0 for score in found["unit"].values())
    blind = word_scores(dataset, Texts(tuple((" ".join(few),) for few in idle.tolist()), times))
    assert all(abs(score - 0.5) < 0.15 for score in blind["unit"].values())
    assert word_scores(dataset, Texts(((),) * 400, ((),) * 400)) == {}


def test_the_whole_stay_and_the_hours_so_far_give_what_is_left(
    small_study: Callable[..., Path], tmp_path: Path
) -> None:
    random = np.random.default_rng(2)

    def edit(tables: dict[str, list[dict[str, Any]]]) -> None:
        rows = [dict(row) for _ in range(4) for row in tables["samples"]]
        for number, row in enumerate(rows):
            row["visit"], row["patient"], row["so_far"] = f"w{number}", f"q{number}", float(random.exponential(9))
            row["days"] = float(random.exponential(4))
            row["age"] = row["so_far"] + row["days"]
        tables["samples"] = rows
        tables["vitals"] = [{**row, "visit": f"w{number}"} for number, row in enumerate(tables["vitals"])]
        tables["notes"] = [{**row, "visit": f"w{number}"} for number, row in enumerate(tables["notes"])]

    study = small_study(tmp_path / "study", edit=edit)
    (found,) = build(read_study(study), cache=None).facts["tables"]["beside"]
    assert (found["task"], found["source"], found["column"], found["beside"]) == ("days", "basics", "age", "so_far")
