"""The options of the steps that are planned, and what a plan says of its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from called import call
from m3h.api import plan
from m3h.experiments.plan import estimate

SETTINGS = """
[protocol]
epochs = 1
folds = 2
[tim]
sets = 4
replicates = 2
"""


@pytest.fixture(scope="module")
def study(small_study: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a table and a series alone: what is planned does not depend on what is read."""

    def text(old: str) -> str:
        head, rest = old.split('[[source]]\nname = "notes"')
        return head + rest[rest.index("[[task]]") :] + SETTINGS

    return small_study(tmp_path_factory.mktemp("plan") / "study", text=text)


@pytest.fixture(autouse=True)
def short_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counts do not hang on it."""
    monkeypatch.setattr(plan, "estimate", partial(estimate, budget=0.01))


def test_a_plan_says_which_settings_it_planned(study: Path) -> None:
    ask = ("plan", study, "--no-cache")
    done = call(*ask, "--search", "--tim", "--method", "paper,exact", "--largest", 2, "--folds", 1, "--replicates", 1)
    assert done.status == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("planned: ")]
    assert line == (
        "planned: preset paper, 1 epochs, batch 256, learning rate 0.0003, 4 tasks; "
        "search by method paper: 4 tasks, sets of 2 at most, 1 fold; "
        "TIM by method exact: 4 tasks, 1 fold, 1 replicate, inclusion 0.5, no limit"
    )
    assert "note: interactions of one replicate" in done.out
    steps = call(*ask, "--tim", "--only", "--sets", 6, "--replicates", 2, "--folds", 2, "--limit", 3, "--json").json
    assert [step["step"] for step in steps["steps"]] == ["interactions"]
    assert "6 sets for each of them, inclusion 0.5, sets of 3 at most" in steps["settings"]
    alone = call(*ask, "--search", "--only", "--json").json
    assert alone["steps"][0]["step"] == "tasks alone"
    assert call(*ask, "--json").json["steps"][0]["step"] == "tasks alone and together"
    baselines = call(*ask, "--baseline", "--json").json
    assert baselines["notes"] == ["beside these 6 baselines, fitted anew each time and not counted"]


def test_a_plan_counts_what_the_command_with_its_options_trains(study: Path, tmp_path: Path) -> None:
    words = ("--method", "shared", "--sets", 6, "--replicates", 2, "--limit", 3, "--folds", 2)
    planned = call("plan", study, "--tim", "--only", *words, "--no-cache", "--json").json
    done = call("tim", study, "--out", tmp_path / "tim", *words, "--no-cache", "--json").json
    assert sum(step["left"] for step in planned["steps"]) == done["ledger"]["new"] > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sets", 4), "--sets changes a part that is not planned"),
        (("--tim", "--largest", 2), "--largest changes a part that is not planned"),
        (("--folds", 2), "--folds changes a part that is not planned"),
        (("--tim", "--method", "planned"), "--method changes a part that is not planned"),
        (("--tim", "--method", "pears"), 'unknown method "pears"; did you mean "pairs"?'),
        (("--tim", "--method", "pairs,exact"), "names two methods of one part"),
    ],
)
def test_options_of_a_plan_that_do_not_fit(study: Path, words: tuple[object, ...], told: str) -> None:
    done = call("plan", study, "--no-cache", *words)
    assert done.status == 2 and told in done.err
