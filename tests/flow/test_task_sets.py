"""Search, TIM, plan and ledger through the command line: what they leave, what a stop costs, what they share."""

from __future__ import annotations

import itertools
import json
import os
import stat
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


def excluding(old: str) -> str:
    """``died`` and ``outcome`` exclude a source each."""
    changed = old.replace('column = "died"\n', 'column = "died"\nexclude_sources = ["notes"]\n')
    return changed.replace('column = "outcome"\n', 'column = "outcome"\nexclude_sources = ["xray"]\n') + SETTINGS


def test_a_run_takes_tasks_asked_for_by_name_as_a_search_does(small_study: Writes, made: Made, tmp_path: Path) -> None:
    """What one of them excludes is kept from all, alone, together and in the chosen sets; the rest keep their own."""
    words = ("--cache", made.cache, "--baseline")
    section = small_study(tmp_path / "s", text=lambda text: excluding(text) + '[search]\ntasks = ["died", "days"]\n')
    done = call("run", section, "--out", tmp_path / "run", "--search", *words)
    assert done.status == 0, done.err
    assert "so notes is kept from all of them: died, days" in done.out
    facts = made.facts(tmp_path / "run")
    assert facts["search"]["pool"] == ["died", "days"]
    without = ["basics", "vitals", "xray"]
    for network in facts["task_sets"]:
        if set(network["tasks"]) <= {"died", "days"}:
            assert network["sources"] == without, network
    joint = {tuple(one["tasks"]): one["sources"] for one in facts["task_sets"] if one["role"] == "joint"}
    assert joint[("died", "days")] == without and ("outcome", "phenotype") not in joint
    named = ("--tasks", "died,days")
    facts = {}
    for command, more in (("run", ("--search", "--tim")), ("search", ()), ("tim", ())):
        done = call(command, section, "--out", tmp_path / command / "x", *words[:2], *named, *more)
        assert done.status == 0, done.err
        facts[command] = made.facts(tmp_path / command / "x")
    assert facts["run"]["search"]["pool"] == facts["search"]["search"]["pool"] == facts["tim"]["tim"]["pool"]
    for part in ("search", "tim"):
        table = f"{part}.csv"
        assert (tmp_path / "run" / "x" / table).read_bytes() == (tmp_path / part / "x" / table).read_bytes()


def test_tasks_that_exclude_other_sources_are_named(small_study: Writes, made: Made, tmp_path: Path) -> None:
    study = small_study(tmp_path / "study", text=excluding)
    done = call("run", study, "--out", tmp_path / "run", "--search", "--tim", "--cache", made.cache)
    assert done.status == 0, done.err
    for part in ("the search", "TIM"):
        assert f"not in {part}: died, outcome: excludes other sources; named with --tasks they take part" in done.out
    facts = made.facts(tmp_path / "run")
    reasons = [{"task": name, "reason": "excludes other sources"} for name in ("died", "outcome")]
    assert facts["search"]["left_out"] == facts["tim"]["left_out"] == reasons
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("died and outcome</b>: excludes other sources") == 2
    assert "less than one network" not in done.out


def test_settings_without_effect_are_told(made: Made, tmp_path: Path) -> None:
    """On the screen, in run.json and in the report; so is what too few sets cannot tell."""
    out = tmp_path / "tim"
    words = ("--cache", made.cache, "--limit", 99, "--sets", 2, *TINY)
    done = call("tim", made.study, "--out", out, "--ledger", made.out / "ledger.sqlite", *words)
    assert done.status == 0, done.err
    told = (
        "note: limit 99 limits nothing: 4 tasks are compared",
        "note: memory of 9.99e-07 GB is less than what one network takes with its data, about 0.",
        "warning: interactions from too few trainings: 12 of 12 pairs cannot be told apart",
        "different task sets",
    )
    page = (out / "report.html").read_text()
    facts = made.facts(out)
    kept = json.dumps([facts["notes"], facts["warnings"]])
    for text in told:
        assert text in done.out
        short = text.partition(": ")[2]
        assert short in page and short in kept
    trainings = facts["tim"]["trainings"]
    assert f"TIM: {trainings} trainings of {facts['tim']['sets']} different task sets" in done.out
    unused = call("tim", made.study, "--out", out, "--cache", made.cache, "--method", "exact", *TINY, "--json")
    # the study file's sets, which is no mistake of this command
    assert unused.status == 0 and "sets 4 has no effect with the TIM method exact" in unused.json["notes"]


def test_who_may_read_a_run_follows_from_the_umask(made: Made, tmp_path: Path) -> None:
    """One rule for all that holds something of patients: tables, model, ledger."""
    before = os.umask(0o027)
    try:
        made.call("run", tmp_path / "run", "--tasks", "died,days")
    finally:
        os.umask(before)
    files = sorted(path for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert {"ledger.sqlite", "predictions.parquet", "report.html"} <= {path.name for path in files}
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == dict.fromkeys(
        (path.name for path in files), "0o640"
    )
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == stat.S_IMODE((tmp_path / "run/model").stat().st_mode)


def test_the_chosen_sets_are_shown_by_the_metric_that_chose_them(made: Made, tmp_path: Path) -> None:
    done = call(
        "search", made.study, "--out", tmp_path / "s", "--cache", made.cache, "--ledger", made.out / "ledger.sqlite"
    )
    assert done.status == 0, done.err
    chosen = done.out[done.out.index("Chosen task sets") :]
    gaps = pl.read_csv(tmp_path / "s" / "differences.csv")
    for task, metric in gaps.select("task", "metric").unique().rows():
        cells = [[cell.strip() for cell in line.split("│")] for line in chosen.splitlines()]
        assert [row[2] for row in cells if len(row) > 4 and row[1] == task] == [metric]


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
