"""Is anything lost when a run is killed? SIGKILL at random moments, then the same command again.

usage: python benchmarks/kills.py [--kills 30] [--commands search,tim] [--work FOLDER] [--epochs N] [--out docs/results]

A small study of random numbers is made; `m3h search` and `m3h tim` run on it once undisturbed. For every kill, the
command is begun in a new folder, killed at a moment that is uniform over the time the undisturbed run took after its
start-up (from the moment its ledger is there), and begun again to go to its end. Compared with the undisturbed run:
every CSV file of the run folder, byte for byte. Compared with the ledger as the kill left it: whether a row is gone or
another, and how many trainings were done again. Writes kills.csv (one row per kill) and kills_summary.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

TASKS = {"died": "binary", "fever": "binary", "shock": "binary", "days": "regression", "unit": "multiclass"}
STUDY = """
[study]
name = "killed"
title = "Random numbers"
seed = 5

[samples]
table = "samples.csv"
id = "stay"
patient = "stay"

[[source]]
name = "basics"
modality = "tabular"
columns = ["a", "b", "c", "d"]

[[source]]
name = "labs"
modality = "timeseries"
table = "labs.csv"
key = "stay"
time = "hour"
signal = "signal"
value = "value"
"""
ROWS = 400
#: Enough trainings in each.
MORE = {"search": (), "tim": ("--method", "exact", "--folds", "3")}
START = "from m3h.cli.main import main; main()"
ROW = (
    "command",
    "kill",
    "moment (s)",
    "finished at the kill",
    "finished at the end",
    "gone",
    "changed",
    "again",
    "equal",
)


def write_study(folder: Path) -> Path:
    """Tables that follow from one seed, and their study file."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(9)
    x = random.normal(size=(ROWS, 4)).round(3)
    hidden = x[:, 0] + random.normal(size=ROWS)
    noise = random.normal(size=(ROWS, len(TASKS)))
    labels = {
        "died": (hidden + noise[:, 0] > 1).astype(int),
        "fever": (x[:, 1] + noise[:, 1] > 0.5).astype(int),
        "shock": (hidden - x[:, 2] + noise[:, 2] > 1).astype(int),
        "days": (5 + hidden + noise[:, 3]).round(2),
        "unit": np.array(["a", "b", "c"])[np.digitize(hidden + noise[:, 4], (-1, 1))],
    }
    stays = [f"s{number:03d}" for number in range(ROWS)]
    pl.DataFrame({"stay": stays, **dict(zip("abcd", x.T, strict=True)), **labels}).write_csv(folder / "samples.csv")
    events = [
        (stays[row], float(hour), signal_name, round(float(level + hidden[row] + random.normal()), 3))
        for row in range(ROWS)
        for signal_name, level in (("lactate", 2.0), ("pulse", 80.0))
        for hour in range(3)
    ]
    pl.DataFrame(events, schema=["stay", "hour", "signal", "value"], orient="row").write_csv(folder / "labs.csv")
    tasks = "".join(
        f'\n[[task]]\nname = "{name}"\nkind = "{kind}"\ncolumn = "{name}"\n' for name, kind in TASKS.items()
    )
    (folder / "study.toml").write_text(STUDY + tasks, encoding="utf-8")
    return folder / "study.toml"


@dataclass(frozen=True)
class Command:
    """A command line that writes a run folder."""

    name: str
    study: Path
    options: tuple[str, ...]

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", START, self.name, str(self.study), "--out", str(out), *self.options]
        with (out.parent / f"{out.name}.log").open("ab") as log:
            return subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)

    def finish(self, out: Path) -> None:
        status = self.start(out).wait()
        if status:
            raise SystemExit(f"m3h {self.name} ended with {status}: see {out.parent / out.name}.log")


def ledger_rows(out: Path) -> dict[str, tuple[object, ...]]:
    """The rows of the ledger by trial, read from a copy: looking must not mend what a kill left."""
    found = [out / f"ledger.sqlite{ending}" for ending in ("", "-wal") if (out / f"ledger.sqlite{ending}").exists()]
    if not found:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for file in found:
            shutil.copy(file, folder)
        with sqlite3.connect(Path(folder) / "ledger.sqlite") as connection:
            try:
                rows = connection.execute("SELECT id, * FROM trial").fetchall()
            except sqlite3.OperationalError:  # killed before the tables were made
                return {}
        connection.close()
    return {str(row[0]): row[1:] for row in rows}


def wait_for_ledger(out: Path, process: subprocess.Popen[bytes]) -> float:
    """The moment at which the ledger is there."""
    while not (out / "ledger.sqlite").exists() and process.poll() is None:
        time.sleep(0.002)
    return time.monotonic()


def tables(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(out.glob("*.csv"))}


def one_kill(command: Command, out: Path, after: float, wanted: dict[str, bytes]) -> tuple[object, ...]:
    """Begin, kill, look, go on, compare: moment, counts at the kill and the end, gone, changed, again, equal."""
    process = command.start(out)
    began = wait_for_ledger(out, process)
    time.sleep(max(0.0, began + after - time.monotonic()))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = ledger_rows(out)
    command.finish(out)
    end = ledger_rows(out)
    new = json.loads((out / "run.json").read_text(encoding="utf-8"))["ledger"]["new"]
    gone = len(before.keys() - end.keys())
    changed = sum(end[one] != row for one, row in before.items() if one in end)
    again = new - (len(end) - len(before))
    same = "yes" if tables(out) == wanted else "no"
    return f"{after:.2f}", len(before), len(end), gone, changed, again, same


def measure(command: Command, work: Path, kills: int, seed: int) -> tuple[list[list[object]], list[object]]:
    """All kills of one command, and their summary."""
    whole = work / f"{command.name}-whole"
    process = command.start(whole)
    began = wait_for_ledger(whole, process)
    if process.wait():
        raise SystemExit(f"m3h {command.name} ended with {process.returncode}: see {whole}.log")
    seconds = time.monotonic() - began
    wanted, total = tables(whole), len(ledger_rows(whole))
    print(f"{command.name}: {total} trainings, {seconds:.1f} s after start-up; {', '.join(wanted)}", flush=True)
    rows: list[list[object]] = []
    for number, share in enumerate(np.random.default_rng(seed).random(kills)):
        out = work / f"{command.name}-{number:02d}"
        rows.append([command.name, number + 1, *one_kill(command, out, float(share) * seconds, wanted)])
        print("  ".join(f"{name} {value}" for name, value in zip(ROW, rows[-1], strict=True)), flush=True)
        shutil.rmtree(out)
    counts = [int(str(row[3])) for row in rows]
    summary = [
        *(command.name, kills, f"{seconds:.0f}", total, f"{min(counts)} to {max(counts)}"),
        *(f"{statistics.median(counts):.0f}", *(sum(int(str(row[column])) for row in rows) for column in (5, 6, 7))),
        f"{sum(row[8] == 'yes' for row in rows)} of {kills}",
    ]
    return rows, summary


def write(file: Path, rows: list[list[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--commands", default="search,tim")
    parser.add_argument("--epochs", default="2")
    parser.add_argument("--memory", default="0.5", help="GB of a fleet")
    parser.add_argument("--work", type=Path, help="a folder to work in (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        study = write_study(work / "study")
        options = ("--tasks", ",".join(TASKS), "--epochs", given.epochs, "--memory", given.memory, "--no-cache")
        kills: list[list[object]] = [list(ROW)]
        heads = ["command", "kills", "seconds undisturbed", "trainings", "finished at the kill", "median", "gone"]
        summaries: list[list[object]] = [[*heads, "changed", "trained twice", "equal tables"]]
        for seed, name in enumerate(given.commands.split(",")):
            rows, summary = measure(Command(name, study, (*options, *MORE[name])), work, given.kills, seed)
            kills += rows
            summaries.append(summary)
            write(given.out / "kills.csv", kills)
            write(given.out / "kills_summary.csv", summaries)
        for line in summaries:
            print("  ".join(map(str, line)))


if __name__ == "__main__":
    main()
