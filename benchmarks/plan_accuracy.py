"""How well `m3h plan` tells the time: what it says beside what the training then really took.

usage: python benchmarks/plan_accuracy.py STUDY.toml [--rounds 5] [--epochs 3] [--out docs/results]

Three commands on icu2012: all tasks alone and together, the interactions of eight tasks (shared), and a search among
four tasks (the paper's method). In every round each is planned and then carried out, in processes and with a ledger of
its own, one after the other. What it took is the seconds of its stages choose, search, train and tim in run.json. The
plan of a search is an upper bound; beside it stands the plan scaled to the trainings that were needed. Writes
plan_accuracy.csv, a row per command with medians over the rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from m3h.api.options import Options
from m3h.api.plan import plan
from m3h.api.run import run
from m3h.dataset.build import read_study

EIGHT = ("death", "length_of_stay", "sofa", "icu_type", "hypotension", "oliguria", "ventilation", "phenotype")
FOUR = ("death", "length_of_stay", "icu_type", "ventilation")
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "tasks": ("20 tasks alone and together", {"tasks": ()}),
    "tim": ("interactions of 8 tasks", {"tasks": EIGHT, "tim": True, "singles": False, "joint": False}),
    "search": (
        "search among 4 tasks",
        {"tasks": FOUR, "search": True, "singles": False, "joint": False, "searching": {"method": "paper", "folds": 2}},
    ),
}
STAGES = ("choose", "search", "train", "tim")
HEAD = (
    *("command", "rounds", "trainings planned", "trainings done", "seconds planned", "seconds taken"),
    *("planned / taken, median", "least", "most", "for the trainings done, median", "seconds to plan"),
)


def quiet(text: str, share: float | None) -> None:
    """Nobody watches."""


def carry_out(study: Path, case: str, epochs: int, cache: Path, out: Path, planning: bool) -> dict[str, Any]:
    """Plan, or train: what a process of its own does."""
    options = Options(epochs=epochs, cache=cache, report=False, **CASES[case][1])
    if planning:
        said = plan(read_study(study), out, options, quiet)
        return {"seconds": said.seconds, "left": sum(step.left for step in said.steps), "memory": said.memory}
    facts = run(read_study(study), out, options, quiet).facts
    took = sum(facts["seconds"].get(stage, 0.0) for stage in STAGES)
    return {"seconds": took, "done": facts["ledger"]["new"], "memory": max(facts["peak_memory_mb"].values()) * 1e6}


def apart(arguments: list[str]) -> tuple[dict[str, Any], float]:
    """The same in a process of its own, and how long that process took to think."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - began


def row(case: str, rounds: list[tuple[dict[str, Any], dict[str, Any], float]]) -> list[str]:
    """Medians of a command."""
    ratios = [said["seconds"] / took["seconds"] for said, took, _ in rounds]
    fair = [ratio * took["done"] / said["left"] for ratio, (said, took, _) in zip(ratios, rounds, strict=True)]
    middle = statistics.median
    return [
        *(CASES[case][0], str(len(rounds)), str(rounds[0][0]["left"]), str(rounds[0][1]["done"])),
        *(f"{middle(part[n]['seconds'] for part in rounds):.0f}" for n in (0, 1)),
        *(f"{value:.2f}" for value in (middle(ratios), min(ratios), max(ratios), middle(fair))),
        f"{middle(part[2] for part in rounds):.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("study", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    parser.add_argument("--child", nargs=4, metavar=("CASE", "CACHE", "RUN", "PLANNING"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        case, cache, out, planning = given.child
        print(json.dumps(carry_out(given.study, case, given.epochs, Path(cache), Path(out), planning == "plan")))
        return
    found: dict[str, list[tuple[dict[str, Any], dict[str, Any], float]]] = {}
    with tempfile.TemporaryDirectory() as work:
        for number in range(given.rounds):
            for case in given.cases.split(","):
                line = [str(given.study), "--epochs", str(given.epochs), "--child", case, f"{work}/cache"]
                place = f"{work}/{case}-{number}"
                if not number and case == given.cases.split(",")[0]:
                    apart([*line, place, "plan"])  # encodes the study, once
                said, thought = apart([*line, place, "plan"])
                took, _ = apart([*line, place, "run"])
                found.setdefault(case, []).append((said, took, thought))
                print(case, number, json.dumps(said), json.dumps(took), flush=True)
    rows = [list(HEAD), *(row(case, rounds) for case, rounds in found.items())]
    with (given.out / "plan_accuracy.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    for line in rows:
        print("  ".join(line))


if __name__ == "__main__":
    main()
