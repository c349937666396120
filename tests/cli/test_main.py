"""The command's frame: help, version, exit statuses, and what a mistake of either side looks like."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import polars as pl
import pytest
from rich.console import Console

import m3h
from called import call
from m3h.cli import options, screen
from m3h.core.errors import DataError, SettingError

COMMANDS = ("demo", "check", "run", "train", "predict", "report")


def test_help_names_every_command() -> None:
    done = call("--help")
    assert done.status == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.out
    assert (call().status, call().err.startswith("Usage:")) == (2, True)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = call(name, "--help")
    assert done.status == 0
    assert done.out.startswith("Usage:") and "--json" in done.out and "--help" in done.out


def test_version() -> None:
    assert call("--version").out == f"{m3h.__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["chekc"], "chekc"),
        (["run"], "study.toml"),
        (["run", "study.toml"], "--out"),
        (["run", "study.toml", "--out", "x", "--epochs", "many"], "--epochs"),
        (["check", "study.toml", "--colour"], "--colour"),
    ],
)
def test_what_is_not_a_command_is_told(words: list[str], told: str) -> None:
    done = call(*words)
    assert done.status == 2 and done.out == ""
    assert told in done.err and "Traceback" not in done.err


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def raise_it(*_: object, **__: object) -> NoReturn:
        raise error

    return raise_it


def test_a_mistake_the_user_can_mend_ends_with_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    error = DataError("too few", where="samples.csv", got="1", expected="2", next_step="add one")
    monkeypatch.setattr("m3h.study.spec.Study.read", raising(error))
    done = call("check", tmp_path / "study.toml", "--json")
    assert (done.status, done.out) == (2, "")
    assert done.err == "m3h: samples.csv: too few\n  got: 1\n  expected: 2\n  next: add one\n"


def test_a_mistake_of_the_program_ends_with_1_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("m3h.study.spec.Study.read", raising(RuntimeError("the lead-lined box")))
    done = call("check", tmp_path / "study.toml", "--json")
    assert (done.status, done.out) == (1, "")
    assert "RuntimeError: the lead-lined box" in done.err
    assert "mistake of this program, not yours" in done.err.splitlines()[-1]


def test_a_stop_by_hand_ends_with_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("m3h.study.spec.Study.read", raising(KeyboardInterrupt()))
    done = call("check", tmp_path / "study.toml")
    assert done.status == 130
    assert "Traceback" not in done.err


COUNTING = """
import signal
from pathlib import Path
from m3h.cli.main import main
from m3h.hospital.tables import connect
from m3h.study.spec import Study
# whoever starts tests in the background may have it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
connection = connect(Path("spill"))
query = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
Study.read = lambda path: connection.execute(query).fetchall()
main(["check", "study.toml"])
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_in_the_midst_of_a_query_is_a_stop(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """DuckDB makes its own error of what a signal raises, and waits for its threads: these would count for hours."""
    command = [sys.executable, "-c", COUNTING]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "reading the study\n"
        try:
            time.sleep(1)
            process.send_signal(number)
            _, rest = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert "Traceback" not in rest and "give the same command again" in rest.splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [(signal.SIGTERM, 143, "terminated (SIGTERM)"), (signal.SIGINT, 130, "stopped")],
)
def test_a_signal_ends_it_with_one_line(number: signal.Signals, status: int, told: str, tmp_path: Path) -> None:
    """In a process of its own, which waits for a study that never comes: a pipe."""
    os.mkfifo(tmp_path / "study.toml")
    command = [sys.executable, "-c", "from m3h.cli.main import main; main(['check', 'study.toml'])"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "reading the study\n"
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == status
    assert rest.strip() == f"m3h: {told}; give the same command again to go on"


def test_one_is_not_many() -> None:
    assert [screen.counted(number, "task") for number in (0, 1, 2, 1024)] == [
        "0 tasks",
        "1 task",
        "2 tasks",
        "1,024 tasks",
    ]


def test_a_score_without_an_interval_is_explained() -> None:
    rows = [("unit", "multiclass", "macro_auroc", "paper", "joint", 0.7, None, None)]
    names = ["task", "kind", "metric", "preset", "role", "value", "low", "high"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    assert "most redraws" in str(screen.score_table(frame).caption)
    assert screen.score_table(frame.with_columns(low=0.6, high=0.8)).caption is None


def test_asking_for_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom called import call\nassert call('run', '--help').status == 0\n"
        "print(sorted({'torch', 'duckdb', 'polars', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tests)
    assert done.stdout == "[]\n"


def test_names_are_separated_by_commas() -> None:
    assert options.names(" died, days of stay ,,") == ("died", "days of stay")
    assert options.names("") == ()


def test_memory_is_given_in_gigabytes(tmp_path: Path) -> None:
    given = options.run_options(device="cpu", memory=1.5, cache=tmp_path, no_cache=False)
    assert given.memory == 3 * 2**29 and given.cache == tmp_path
    assert options.run_options(device="cpu", memory=1, cache=None, no_cache=False).cache == "default"
    assert options.run_options(device="cpu", memory=1, cache=tmp_path, no_cache=True).cache is None
    with pytest.raises(SettingError, match="gigabytes above 0"):
        options.run_options(device="cpu", memory=float("nan"), cache=None, no_cache=False)


def test_the_table_of_scores_shows_headlines_with_intervals() -> None:
    """A worked example: other metrics stay away, what is not known is a dash, a model without a task is blank."""
    rows = [
        ("died", "binary", "auroc", "paper", "single", 0.7, 0.61234, 0.8),
        ("died", "binary", "brier", "paper", "single", 0.1, 0.1, 0.1),
        ("died", "binary", "auroc", "linear", "baseline", 0.75, None, None),
        ("days [d]", "regression", "r2", "paper", "single", -0.25, -0.5, 0.0),
        ("rare", "binary", "auroc", None, None, None, None, None),
    ]
    names = ["task", "kind", "metric", "preset", "role", "value", "low", "high"]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(screen.score_table(pl.DataFrame(rows, schema=names, orient="row")))
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.get().splitlines() if "│" in line]
    assert cells == [
        ["died", "auroc", "0.700 (0.612, 0.800)", "0.750"],
        ["days [d]", "r2", "-0.250 (-0.500, 0.000)", ""],
        ["rare", "auroc", "", ""],
    ]


def test_what_stays_unknown_is_told_in_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_json({"größe": None})
    assert capsys.readouterr().out == '{\n "größe": null\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        screen.print_json({"value": float("nan")})
