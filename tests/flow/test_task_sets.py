"""Search, TIM, plan and ledger through the command line: what they leave, what a stop costs, what they share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from called import call
from m3h.experiments.local import Local
from m3h.experiments.outcome import Outcome
from m3h.training.trial import Trial

Writes = Callable[..., Path]

TASKS = ("died", "outcome", "days", "phenotype")
TABLES = ("scores.csv", "differences.csv", "search.csv", "tim.csv")
#: So little memory that every network is a fleet of its own.
TINY = ("--memory", "0.000001")
SETTINGS = """
[protocol]
epochs = 1
folds = 2
[tim]
sets = 4
replicates = 2
"""


@dataclass(frozen=True)
class Made:
    """A finished run with search and TIM."""

    study: Path
    out: Path
    cache: Path

    def facts(self, out: Path | None = None) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(((out or self.out) / "run.json").read_text())
        return content

    def call(self, command: str, out: Path, *words: object) -> dict[str, Any]:
        done = call(command, self.study, "--out", out, "--cache", self.cache, *words, "--json")
        assert done.status == 0, done.err
        content: dict[str, Any] = done.json
        return content


@pytest.fixture(scope="module")
def made(small_study: Writes, tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("sets")
    study = small_study(place / "study", text=lambda text: text + SETTINGS)
    done = Made(study, place / "run", place / "cache")
    planned = done.call("plan", done.out, "--search", "--tim")
    content = done.call("run", done.out, "--search", "--tim", *TINY)
    (place / "plan.json").write_text(json.dumps(planned))
    assert {step["done"] for step in planned["steps"]} == {0}
    for step in planned["steps"]:
        assert step["trainings"] > 0
    assert content["ledger"]["new"] <= sum(step["left"] for step in planned["steps"])
    return done


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def test_a_chosen_set_for_each_task_and_its_gain_on_test_rows(made: Made) -> None:
    search = pl.read_csv(made.out / "search.csv")
    assert search.columns == ["task", "step", "task_set", "cv_score", "tried", "chosen"]
    chosen = search.filter(pl.col("chosen"))
    assert sorted(chosen["task"]) == sorted(TASKS)
    scores = pl.read_csv(made.out / "scores.csv")
    best = scores.filter((pl.col("role") == "best") & (pl.col("metric") != "mae")).unique("task", maintain_order=True)
    assert dict(zip(best["task"], best["task_set"], strict=True)) == dict(
        zip(chosen["task"], chosen["task_set"], strict=True)
    )
    gaps = pl.read_csv(made.out / "differences.csv").filter(pl.col("role_a") == "best")
    assert set(gaps["role_b"]) == {"single", "joint"} and gaps.height == 2 * len(TASKS)
    alone = chosen.filter(pl.col("task") == pl.col("task_set"))["task"].to_list()
    same = gaps.filter(pl.col("task").is_in(alone) & (pl.col("role_b") == "single"))
    assert (same["difference"] == 0).all()
    facts = made.facts()["search"]
    assert facts["method"] == "planned" and facts["pool"] == list(TASKS) and facts["sets_tried"] >= len(TASKS)


def test_a_value_for_each_pair(made: Made) -> None:
    tim = pl.read_csv(made.out / "tim.csv")
    assert tim.columns == ["source", "target", "tim", "low", "high", "q", "trials", "rank", "method", "metric"]
    pairs = list(zip(tim["source"], tim["target"], strict=True))
    assert pairs == [(a, b) for a in TASKS for b in TASKS if a != b]
    assert set(tim["method"]) == {"shared"}
    metrics = dict(zip(tim["source"], tim["metric"], strict=True))
    assert metrics == {"died": "auroc", "outcome": "macro_auroc", "days": "r2", "phenotype": "silhouette_fixed"}
    facts = made.facts()["tim"]
    assert (facts["replicates"], facts["folds"], facts["pool"]) == (2, 1, list(TASKS))


def test_the_model_answers_with_the_chosen_sets(made: Made, tmp_path: Path) -> None:
    done = call("predict", made.out, "--data", made.study.parent, "--out", tmp_path / "new.csv")
    assert done.status == 0, done.err
    assert set(pl.read_csv(tmp_path / "new.csv")["task"]) == set(TASKS)
    model = json.loads((made.out / "model" / "model.json").read_text())
    networks = json.loads((made.out / "model" / "networks.json").read_text())["networks"]
    chosen = pl.read_csv(made.out / "search.csv").filter(pl.col("chosen"))
    for task, label in zip(chosen["task"], chosen["task_set"], strict=True):
        assert "+".join(networks[model["answers"][task]]["trial"]["tasks"]) == label


def test_the_same_command_again_trains_nothing_and_leaves_the_same_tables(made: Made) -> None:
    before = tables(made.out)
    assert set(TABLES) <= set(before)
    content = made.call("run", made.out, "--search", "--tim", *TINY)
    assert content["ledger"]["new"] == 0
    assert tables(made.out) == before
    planned = made.call("plan", made.out, "--search", "--tim")
    assert [step["left"] for step in planned["steps"]] == [0] * len(planned["steps"])


def stopping_after(fleets: int) -> Callable[..., Iterator[Sequence[Outcome]]]:
    """A local executor's run that is stopped by the user."""
    whole = Local.run
    ended = itertools.count()

    def run(
        self: Local, todo: Iterator[tuple[Trial, ...]], share: Callable[[float], None]
    ) -> Iterator[Sequence[Outcome]]:
        for outcomes in whole(self, todo, share):
            if next(ended) == fleets:
                raise KeyboardInterrupt
            yield outcomes

    return run


@pytest.mark.parametrize("fleets", [1, 9])
def test_a_stopped_run_goes_on_and_ends_with_the_same_tables(
    made: Made, fleets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    words = ("run", made.study, "--out", out, "--cache", made.cache, "--search", "--tim", *TINY)
    with monkeypatch.context() as patch:
        patch.setattr(Local, "run", stopping_after(fleets))
        assert call(*words).status == 130
    assert [path.name for path in out.iterdir()] == ["ledger.sqlite"]
    kept = call("ledger", out, "--json").json["trials"]
    assert len(kept) == fleets
    done = call(*words, "--json")
    assert done.status == 0, done.err
    assert done.json["ledger"]["new"] == done.json["ledger"]["finished"] - fleets
    assert tables(out) == tables(made.out)
    after = {trial["id"]: trial for trial in call("ledger", out, "--json").json["trials"]}
    assert all(after[trial["id"]] == trial for trial in kept)


def test_commands_share_a_ledger(made: Made, tmp_path: Path) -> None:
    shared = ("--ledger", made.out / "ledger.sqlite")
    for command, table, trained in (("tim", "tim.csv", 0), ("search", "search.csv", 0), ("train", "scores.csv", 0)):
        out = tmp_path / command
        content = made.call(command, out, *shared)
        assert content["ledger"]["new"] == trained, command
        assert not (out / "ledger.sqlite").exists()
        if command != "train":
            assert (out / table).read_bytes() == (made.out / table).read_bytes()


def test_search_alone_tests_the_chosen_sets_against_the_tasks_alone(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "search"
    made.call("search", out, "--ledger", made.out / "ledger.sqlite")
    assert set(pl.read_csv(out / "scores.csv")["role"]) == {"single", "best"}
    assert (out / "report.html").is_file() and not (out / "tim.csv").exists()


def test_tim_alone_leaves_no_scores(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "tim"
    made.call("tim", out, "--ledger", made.out / "ledger.sqlite")
    assert {path.name for path in out.iterdir()} == {"tim.csv", "run.json", "report.html"}


def test_other_settings_are_other_trainings(made: Made, tmp_path: Path) -> None:
    content = made.call(
        "tim", tmp_path / "tim", "--ledger", made.out / "ledger.sqlite", "--method", "pairs", "--tasks", "died,days"
    )
    # two tasks alone and one pair, twice; none of them has the sources, tasks and settings of the earlier sets
    assert content["tim"]["trainings"] == 6
    assert 0 < content["ledger"]["new"] <= 6


def test_tasks_that_exclude_different_sources_are_not_mixed_in_a_run(
    small_study: Writes, made: Made, tmp_path: Path
) -> None:
    def text(old: str) -> str:
        changed = old.replace('column = "died"\n', 'column = "died"\nexclude_sources = ["notes"]\n')
        return changed + SETTINGS + '[search]\ntasks = ["died", "days"]\n'

    study = small_study(tmp_path / "study", text=text)
    words = ("--cache", made.cache, *TINY)
    done = call("run", study, "--out", tmp_path / "run", "--search", *words)
    assert done.status == 2 and "exclude different sources" in done.err
    done = call("search", study, "--out", tmp_path / "search", *words, "--json")
    assert done.status == 0, done.err
    facts = json.loads((tmp_path / "search" / "run.json").read_text())
    assert all("notes" not in network["sources"] for network in facts["task_sets"])
    assert facts["search"]["pool"] == ["died", "days"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("search", "--method", "bean"), 'unknown search method "bean"'),
        (("tim", "--method", "share"), 'unknown TIM method "share"; did you mean "shared"?'),
        (("tim", "--folds", 3), "3 folds for tim"),
        (("tim", "--inclusion", 1.5), "inclusion: got 1.5"),
        (("tim", "--tasks", "died"), "tasks names one task"),
        (("run", "--executor", "rai"), 'unknown executor "rai"; did you mean "ray"?'),
        (("run", "--address", "auto"), "an address goes with the executor ray"),
        (("run", "--precision", "float16"), 'unknown precision "float16"'),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_left(
    made: Made, words: tuple[object, ...], told: str, tmp_path: Path
) -> None:
    out = tmp_path / "x"
    done = call(words[0], made.study, "--out", out, "--cache", made.cache, *words[1:])
    assert done.status == 2 and told in done.err
    assert not out.exists()
