"""What options and the study file show is told before any table is read; what needs labels, before any training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from called import call
from m3h.api import plan, run

Writes = Callable[..., Path]


def replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def change(text: str) -> str:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        return text

    return change


#: No two tasks exclude the same sources.
APART = replaced(
    ('column = "died"', 'column = "died"\nexclude_sources = ["notes"]'),
    ('column = "outcome"', 'column = "outcome"\nexclude_sources = ["vitals"]'),
    ('column = "days"', 'column = "days"\nexclude_sources = ["basics", "xray"]'),
)


def one_task(text: str) -> str:
    head, *tasks = text.split("[[task]]")
    return head + "[[task]]" + tasks[0]


@pytest.fixture
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object, **__: object) -> None:
        raise AssertionError("the tables were read")

    monkeypatch.setattr(run, "build", build)
    monkeypatch.setattr(plan, "build", build)


@pytest.mark.parametrize(
    ("words", "text", "told"),
    [
        (("run", "--search"), APART, ("[search]: nothing to compare", "--tasks")),
        (("run", "--tim"), APART, ("[tim]: nothing to compare", "--tasks")),
        (("plan", "--tim"), APART, ("[tim]: nothing to compare", "--tasks")),
        (("tim",), one_task, ("[tim]: nothing to compare", "add tasks to the study")),
        (("run", "--tim", "--tasks", "died"), None, ("--tasks: nothing to compare", "name two tasks or more")),
        (("run", "--search", "--tasks", "died,dies"), None, ('--tasks: unknown task "dies"; did you mean "died"?',)),
        (("run", "--tim", "--tasks", "died,outcome,days"), APART, ("exclude every source together", "next: ")),
        (("tim", "--folds", 9), None, ("9 folds for tim", "at most the protocol's 5", "[protocol]")),
        (("search", "--folds", 9), None, ("9 folds for search", "at most the protocol's 5")),
        (("plan", "--search", "--folds", 9), None, ("9 folds for search",)),
        (("tim", "--method", "exact", "--sets", 3), None, ("sets has no effect with the TIM method exact", "shared")),
        (("tim", "--method", "pairs", "--limit", 3), None, ("limit has no effect with the TIM method pairs",)),
        (("run", "--address", "auto"), None, ("an address goes with the executor ray",)),
        (("run", "--ledger", "{}"), None, ("a folder stands where the ledger should be",)),
        (("run", "--ledger", "{}/study/study.toml"), None, ("this file is not a ledger", "study.toml")),
        (("run", "--ledger", "{}/study/study.toml/x"), None, ("a file stands where a folder should be",)),
    ],
)
def test_told_before_a_table_is_read(
    words: tuple[object, ...],
    text: Callable[[str], str] | None,
    told: tuple[str, ...],
    small_study: Writes,
    tmp_path: Path,
    nothing_is_read: None,
) -> None:
    study = small_study(tmp_path / "study", text=text)
    rest = [str(word).replace("{}", str(tmp_path)) for word in words[1:]]
    done = call(words[0], study, "--out", tmp_path / "run", *rest)
    assert done.status == 2, done
    for part in told:
        assert part in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_packages_are_looked_for_first(
    small_study: Writes, tmp_path: Path, nothing_is_read: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = call("run", small_study(tmp_path / "ray"), "--out", tmp_path / "run", "--executor", "ray")
    assert done.status == 2 and "not installed" in done.err and "m3h[ray]" in done.err


@pytest.mark.parametrize("words", [("run", "--grid"), ("search",), ("tim",), ("plan", "--tim")])
def test_too_few_patients_for_the_folds_are_told_before_training(
    words: tuple[str, ...], small_study: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("trainings were about to begin")

    monkeypatch.setattr(run, "opened", opened)
    monkeypatch.setattr(plan, "estimate", opened)
    study = small_study(tmp_path / "study", text=lambda text: text + "\n[protocol]\nfolds = 33\n")
    done = call(words[0], study, "--out", tmp_path / "run", *words[1:], "--no-cache")
    assert done.status == 2
    assert "[protocol]: 33 folds of 32 training patients" in done.err and "to 32 or fewer" in done.err


def test_more_tasks_than_exact_can_take_are_told_before_training(
    small_study: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "opened", lambda *_, **__: pytest.fail("trainings were about to begin"))
    more = "".join(f'\n[[task]]\nname = "again{n}"\nkind = "binary"\ncolumn = "died"\n' for n in range(8))
    study = small_study(tmp_path / "study", text=lambda text: text + more)
    done = call("tim", study, "--out", tmp_path / "run", "--method", "exact", "--no-cache")
    assert done.status == 2 and "12 tasks, 4,095 sets" in done.err and "method shared" in done.err


HEAVY = (
    "import sys; from called import call\n"
    "done = call(*sys.argv[1:]); assert done.status == 2, done\n"
    "print(sorted({'torch', 'matplotlib'} & set(sys.modules)), done.err)"
)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "nowhere.toml", "--out", "r"), "no such file"),
        (("run", "study.toml", "--out", "study.toml"), "a file stands where the run folder should be"),
        (
            ("train", "study.toml", "--out", "r", "--tasks", "dyed"),
            '--tasks: unknown task "dyed"; did you mean "died"?',
        ),
        (("plan", "study.toml", "--tasks", "dyed"), 'unknown task "dyed"'),
        (("check", "lacking.toml"), "vitalz.csv: no such file"),
        (("run", "weights.toml", "--out", "r"), "m3h weights --fetch clinicalbert"),
        (("predict", "nowhere", "--data", ".", "--out", "p.csv"), "no model here"),
        (("check", "."), "next: m3h check study.toml"),
    ],
)
def test_plain_mistakes_wait_for_nothing_heavy(
    words: tuple[str, ...], told: str, small_study: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: this one has loaded everything."""
    study = small_study(tmp_path / "study")
    text = study.read_text()
    study.with_name("lacking.toml").write_text(text.replace("vitals.csv", "vitalz.csv"))
    own = text.replace('modality = "language"', 'modality = "language"\nencoder = "clinicalbert"')
    study.with_name("weights.toml").write_text(own)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    done = subprocess.run(
        [sys.executable, "-c", HEAVY, *words], cwd=study.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[] ") and told in done.stdout


def test_all_mistakes_are_still_told_together(small_study: Writes, tmp_path: Path) -> None:
    """Those of tables found first, those that only rows show, and those of encoders."""
    text = replaced(
        ('columns = ["age", "ward"]', 'columns = ["aeg", "ward"]'),
        ('value = "value"', 'value = "value"\nsignals = { heart_rat = "heart rate" }'),
        ('modality = "language"', 'modality = "language"\noptions = { words = 1 }'),
    )
    done = call("run", small_study(tmp_path / "study", text=text), "--out", tmp_path / "run")
    for part in ("3 mistakes", 'no column "aeg"', 'no row of signal "heart_rat"', 'has no option "words"'):
        assert part in done.err
