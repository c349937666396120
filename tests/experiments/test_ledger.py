from __future__ import annotations

import datetime
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest

import m3h
from m3h.core.errors import FolderError
from m3h.core.fingerprint import NUMERICS, fingerprint
from m3h.experiments.ledger import Ledger
from m3h.experiments.ledger.tables import TRIALS, scores, write_scores
from m3h.study.presets import Preset
from m3h.training.trial import Trial
from outcomes import TRIAL, ended, plain, trials


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "deep" / "folder" / "ledger.sqlite") as opened:
        yield opened


def test_an_outcome_comes_back_as_it_was_in_the_order_asked(ledger: Ledger) -> None:
    asked = trials(5)
    outcomes = [ended(trial, warnings=("one, 'two'", "ünï")) for trial in asked[:3]]
    outcomes.append(ended(asked[3], scores={}, failed="the loss was not finite in step 3"))
    ledger.record(list(reversed(outcomes)), study="made")
    with Ledger(ledger.path, writing=False) as again:
        found = again.found(asked)
    assert list(found) == [trial.id for trial in asked[:4]]
    assert [plain(found[one.trial.id]) for one in outcomes] == [plain(one) for one in outcomes]


@pytest.mark.parametrize(
    "value", [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -1e-17, math.inf, -math.inf, 3.0, math.nan]
)
def test_scores_keep_every_bit(ledger: Ledger, value: float) -> None:
    ledger.record([ended(TRIAL, scores={"death": {"auroc": value}})], study="made")
    assert repr(ledger.found([TRIAL])[TRIAL.id].scores["death"]["auroc"]) == repr(value)


def test_networks_come_back_and_stay_out_of_what_is_found(ledger: Ledger) -> None:
    final, content = replace(TRIAL, fold=None), bytes(range(256)) * 500
    ledger.record([ended(final, network=content), ended(TRIAL)], study="made")
    assert ledger.network(final.id) == content
    assert ledger.network(TRIAL.id) is None and ledger.network("unknown") is None
    assert ledger.found([final])[final.id].network is None


def test_the_first_row_of_a_trial_stays(ledger: Ledger) -> None:
    first, second = ended(TRIAL), ended(TRIAL, scores={"death": {"auroc": 0.9}}, failed="", seconds=99.0)
    ledger.record([first], study="made")
    ledger.record([second, ended(trials(2)[1])], study="made")
    assert plain(ledger.found([TRIAL])[TRIAL.id]) == plain(first)
    assert ledger.counts() == {"finished": 2, "failed": 0, "claimed": 0}


def test_a_fleet_is_written_whole_or_not_at_all(ledger: Ledger) -> None:
    good, wrong = ended(TRIAL), ended(trials(2)[1], scores={"death": {}})
    with pytest.raises(ValueError, match="no metric"):
        ledger.record([good, wrong], study="made")
    assert ledger.found([TRIAL]) == {}
    ledger.record([good], study="made")
    assert list(ledger.found([TRIAL])) == [TRIAL.id]


def test_the_table_shows_every_field_of_a_trial(ledger: Ledger) -> None:
    preset = replace(Preset(), dropout=0.25, alpha=0.5)
    trial = Trial(
        *("data", ("death", "stay"), ("labs",), (1.0, 0.3), 2**62, preset, 3e-4, 512, 3, "joint"),
        fold=None,
        folds=4,
        replicate=2,
        device="cuda",
    )
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(milliseconds=1)
    ledger.record([ended(trial, warnings=("w",))], study="made")
    row = ledger.table().row(0, named=True)
    shown = {
        "tasks": "death+stay",
        "sources": "labs",
        "weights": [1.0, 0.3],
        "preset": "paper",
        "learning_rate": 3e-4,
        "precision": trial.precision,
    }
    for field in fields(Trial):
        assert row[field.name] == shown.get(field.name, getattr(trial, field.name)), field.name
    assert (row["overrides"], row["preset_fingerprint"]) == ("dropout=0.25, alpha=0.5", fingerprint(preset))
    assert (row["id"], row["study"], row["status"], row["warnings"]) == (trial.id, "made", "finished", ["w"])
    assert (row["m3h"], row["torch"], row["numerics"]) == (m3h.__version__, version("torch"), NUMERICS)
    assert before <= row["finished"] <= datetime.datetime.now(datetime.UTC)
    assert row["scores"][1] == {"task": "death", "metric": "auprc", "value": None}


def test_the_table_is_filtered_and_newest_first(ledger: Ledger) -> None:
    one, two, three = trials(3)
    two, three = replace(two, tasks=("stay",), weights=(1.0,), fold=None), replace(three, fold=3)
    ledger.record([ended(one)], study="made")
    ledger.record([ended(two, scores={}, failed="why")], study="other")
    ledger.record([ended(three)], study="made")

    def ids(**filters: object) -> list[str]:
        return ledger.table(**filters)["id"].to_list()  # type: ignore[arg-type]

    assert ids() == [three.id, two.id, one.id]
    assert ids(limit=2) == [three.id, two.id]
    assert ids(study="made") == [three.id, one.id] and ids(study="mad") == []
    assert ids(task="death") == [three.id, one.id] and ids(task="stay") == [three.id, two.id, one.id]
    assert ids(task="de%") == []
    assert ids(status="failed") == [two.id] and ids(status="finished", fold=3) == [three.id]
    assert ids(fold="final") == [two.id] and ids(fold=0) == [one.id]
    assert ids(preset="paper", limit=1) == [three.id] and ids(preset="m3h") == []
    assert ledger.counts(study="made") == {"finished": 2, "failed": 0, "claimed": 0}
    assert ledger.counts() == {"finished": 2, "failed": 1, "claimed": 0}


def test_an_empty_ledger_has_an_empty_table(ledger: Ledger) -> None:
    table = ledger.table()
    assert dict(table.schema) == {name: pl.Schema({name: kind})[name] for name, kind in TRIALS.items()}
    assert table.height == 0 and scores(table).height == 0


def test_scores_are_written_one_a_row(ledger: Ledger, tmp_path: Path) -> None:
    outcomes = [ended(trial) for trial in trials(3)]
    outcomes[1] = ended(outcomes[1].trial, scores={}, failed="why")
    ledger.record(outcomes, study="made")
    assert write_scores(ledger.table(), tmp_path / "out.csv") == 5 + 1 + 5
    read = pl.read_csv(tmp_path / "out.csv")
    one = read.filter((pl.col("replicate") == 2) & (pl.col("metric") == "r2")).row(0, named=True)
    assert (one["task"], one["value"]) == ("stay", outcomes[2].scores["stay"]["r2"])
    assert read.filter(pl.col("metric") == "auprc")["value"].null_count() == 2
    assert read.filter(pl.col("status") == "failed").select("failed", "task", "value").rows() == [("why", None, None)]
    with pytest.raises(FolderError, match="a folder stands"):
        write_scores(ledger.table(), tmp_path)


def test_a_reader_changes_nothing(ledger: Ledger) -> None:
    ledger.record([ended(TRIAL)], study="made")
    with Ledger(ledger.path, writing=False) as reader:
        with pytest.raises(FolderError, match="cannot be written"):
            reader.record([ended(trials(2)[1])], study="made")
        with pytest.raises(FolderError, match="cannot be written"):
            reader.claim([TRIAL.id])
    assert ledger.counts()["finished"] == 1


def test_trials_are_looked_up_by_index_however_many_there_are(ledger: Ledger) -> None:
    asked = trials(40)
    ledger.record([ended(trial) for trial in asked], study="made")
    statements: list[str] = []
    ledger._connection.set_trace_callback(statements.append)
    ledger.found(asked)
    ledger.claim([trial.id for trial in asked])
    ledger._connection.set_trace_callback(None)
    plans = {}
    for text in statements:
        if text.startswith("SELECT") and "json_each" in text:
            plans[text] = [row[3] for row in ledger._connection.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert len(plans) == 3
    steps = [step for plan in plans.values() for step in plan]
    assert not [step for step in steps if step.startswith("SCAN") and not step.startswith(("SCAN json", "SCAN asked"))]
    assert {"trial", "score", "claim"} <= {step.split()[1] for step in steps if step.startswith("SEARCH")}


def test_thousands_of_trials_take_two_questions(ledger: Ledger) -> None:
    asked = trials(2_000)
    ledger.record([ended(trial) for trial in asked], study="made")
    statements: list[str] = []
    ledger._connection.set_trace_callback(statements.append)
    found = ledger.found(asked)
    assert ledger.table().height == 2_000
    ledger._connection.set_trace_callback(None)
    assert len(statements) == 2 * 4  # each one transaction of two questions
    assert plain(found[asked[-1].id]) == plain(ended(asked[-1]))
    assert list(found) == [trial.id for trial in asked]


def test_scores_can_be_asked_for_in_sql(ledger: Ledger) -> None:
    ledger.record([ended(trial) for trial in trials(4)], study="made")
    with sqlite3.connect(ledger.path) as other:
        mean = other.execute(
            "SELECT avg(value) FROM score JOIN trial ON trial.number = score.trial WHERE task = 'death' AND metric = ?",
            ("auroc",),
        ).fetchone()[0]
    other.close()
    assert mean == pytest.approx((1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 4)
