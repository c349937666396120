"""What all commands train through: nothing is trained twice, nothing is lost, and the order of work changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from m3h.core.errors import TrainingError
from m3h.dataset.dataset import Dataset
from m3h.experiments import engine as engines
from m3h.experiments.asking import Ask
from m3h.experiments.engine import Engine, Fleet, answering, compared
from m3h.experiments.ledger import Ledger
from m3h.experiments.local import Local
from m3h.experiments.outcome import Outcome, outcome
from m3h.study.presets import PRESETS, Protocol
from m3h.study.task import METRICS
from m3h.training import checkpoint
from m3h.training.fleet import train
from m3h.training.forming import form_fleets
from m3h.training.trial import Trial, make_trial
from made import make_dataset

PRESET = replace(PRESETS["paper"], hidden=16, modality_width=16, shared_width=16, task_hidden=16, token_width=8)
PROTOCOL = Protocol(epochs=2, batch_sizes=(64,), learning_rates=(1e-3,), folds=3)
SETS = (("death",), ("sepsis",), ("stay",), ("death", "stay"), ("sepsis", "stay"), ("unit", "group"))
MEMORY = 1 << 30


@dataclass
class Noting:
    """An executor that makes outcomes up from the trials alone and notes what it was given."""

    data: Dataset
    given: list[Fleet] = field(default_factory=list)
    stop_after: int | None = None
    backwards: bool = False

    def run(self, fleets: Iterator[Fleet], share: Callable[[float], None]) -> Iterator[Sequence[Outcome]]:
        for fleet in reversed(list(fleets)) if self.backwards else fleets:
            if self.stop_after == len(self.given):
                raise KeyboardInterrupt
            share(0.5)
            self.given.append(fleet)
            yield [made_up(self.data, trial) for trial in fleet]

    @property
    def trained(self) -> list[Trial]:
        return [trial for fleet in self.given for trial in fleet]


def made_up(data: Dataset, trial: Trial) -> Outcome:
    value = int(trial.id[:6], 16) / 0xFFFFFF
    metrics = {name: METRICS[data.labels[name].task.kind] for name in trial.tasks}
    return Outcome(trial, {name: dict.fromkeys(each, value) for name, each in metrics.items()}, seconds=1.0)


def made(data: Dataset, *sets: Sequence[str], folds: Sequence[int | None] = (0,), **more: object) -> list[Trial]:
    return [
        make_trial(data, tasks, preset=PRESET, protocol=replace(PROTOCOL, **more), fold=fold)
        for tasks in sets
        for fold in folds
    ]


def lookup(outcomes: dict[str, Outcome]) -> dict[str, object]:
    """What may be compared: everything but the seconds."""
    return {one: (o.scores, o.failed, o.warnings) for one, o in outcomes.items()}


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=160)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def noting(data: Dataset) -> Noting:
    return Noting(data)


def test_what_is_in_the_ledger_is_not_trained_again(data: Dataset, ledger: Ledger, noting: Noting) -> None:
    asked = made(data, *SETS, folds=(0, 1))
    engine = Engine(data, ledger, noting, memory=MEMORY)
    first = engine.complete([*asked[:5], *asked[:2]])
    assert list(first) == [trial.id for trial in asked[:5]]
    assert sorted(t.id for t in noting.trained) == sorted(first) and engine.trained == 5
    everything = engine.complete(asked)
    assert list(everything) == [trial.id for trial in asked]
    assert sorted(t.id for t in noting.trained) == sorted(everything)
    assert lookup(everything) == lookup({t.id: made_up(data, t) for t in asked})
    assert engine.complete(asked) == everything and len(noting.trained) == engine.trained == len(asked)


def test_a_stopped_run_goes_on_with_the_fleets_it_would_have_trained(data: Dataset, tmp_path: Path) -> None:
    asked = made(data, *SETS, folds=(0, 1))
    whole = form_fleets(data, asked, MEMORY)
    assert len(whole) > 4 and max(map(len, whole)) > 1
    stopped = Noting(data, stop_after=3)
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(KeyboardInterrupt):
        Engine(data, ledger, stopped, memory=MEMORY).complete(asked)
    again = Noting(data)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        resumed = Engine(data, ledger, again, memory=MEMORY).complete(asked)
    with Ledger(tmp_path / "undisturbed.sqlite") as ledger:
        undisturbed = Engine(data, ledger, Noting(data), memory=MEMORY).complete(asked)
    assert (stopped.given, again.given) == (whole[:3], whole[3:])
    assert resumed == undisturbed


def test_finished_members_are_dropped_from_their_fleet(data: Dataset, ledger: Ledger, noting: Noting) -> None:
    asked = made(data, ("death",), ("sepsis",), ("death", "stay"), ("sepsis", "stay"))
    (singles, pairs) = form_fleets(data, asked, MEMORY)
    engine = Engine(data, ledger, noting, memory=MEMORY)
    engine.complete([singles[0]])
    engine.complete(asked)
    assert noting.given == [(singles[0],), singles[1:], pairs]


def test_outcomes_do_not_depend_on_the_order_of_work(data: Dataset, tmp_path: Path) -> None:
    asked = made(data, *SETS)
    found = []
    for backwards in (False, True):
        with Ledger(tmp_path / f"{backwards}.sqlite") as ledger:
            executor = Noting(data, backwards=backwards)
            found.append(Engine(data, ledger, executor, memory=MEMORY).complete(asked[::-1] if backwards else asked))
    assert found[0] == found[1]


@pytest.mark.parametrize("ends_well", [True, False])
def test_what_another_process_trains_is_waited_for_and_taken_over_if_it_dies(
    data: Dataset, ledger: Ledger, noting: Noting, monkeypatch: pytest.MonkeyPatch, ends_well: bool
) -> None:
    asked = made(data, ("death",), ("sepsis",), ("stay",))
    theirs = asked[1]
    other = Ledger(ledger.path)
    assert other.claim([theirs.id]) == [theirs.id]
    waits: list[int] = []

    def meanwhile(seconds: float) -> None:
        waits.append(len(noting.trained))
        if len(waits) == 2:
            if ends_well:
                other.record([replace(made_up(data, theirs), warnings=("theirs",))], study=data.name)
            other.close()

    monkeypatch.setattr(engines.time, "sleep", meanwhile)
    outcomes = Engine(data, ledger, noting, memory=MEMORY).complete(asked)
    assert waits == [2, 2], "the rest first, then patience"
    assert [t.id for t in noting.trained] == [asked[0].id, asked[2].id] + ([] if ends_well else [theirs.id])
    assert outcomes[theirs.id].warnings == (("theirs",) if ends_well else ())


def test_progress_begins_with_what_is_done_and_ends_with_all(data: Dataset, ledger: Ledger, noting: Noting) -> None:
    asked = made(data, *SETS[:4])
    engine = Engine(data, ledger, noting, memory=MEMORY)
    engine.complete(asked[:1])
    told: list[float] = []
    engine.complete(asked, told.append)
    assert told[0] == 0.25 and told[-1] == 1.0 and told == sorted(told)
    told.clear()
    engine.complete(asked, told.append)
    engine.complete([], told.append)
    assert told and set(told) == {1.0}


def test_a_trial_of_another_data_set_is_refused_before_anything_is_trained(
    data: Dataset, ledger: Ledger, noting: Noting
) -> None:
    strange = made(make_dataset(samples=160, seed=1), ("death",))
    with pytest.raises(TrainingError, match="another dataset"):
        Engine(data, ledger, noting, memory=MEMORY).complete(made(data, ("death",)) + strange)
    assert noting.given == [] and ledger.counts() == {"finished": 0, "failed": 0, "claimed": 0}


def test_what_ended_before_a_failure_is_kept(data: Dataset, ledger: Ledger) -> None:
    class Broken(Noting):
        def run(self, fleets: Iterator[Fleet], share: Callable[[float], None]) -> Iterator[Sequence[Outcome]]:
            first = next(fleets)
            yield [made_up(self.data, trial) for trial in first]
            raise TrainingError("a fleet could not be trained")

    asked = made(data, ("death",), ("death", "stay"))
    with pytest.raises(TrainingError, match="could not be trained"):
        Engine(data, ledger, Broken(data), memory=MEMORY).complete(asked)
    assert list(ledger.found(asked)) == [form_fleets(data, asked, MEMORY)[0][0].id]


@pytest.fixture(scope="module")
def direct(data: Dataset) -> dict[str, Outcome]:
    """Sets of one, two and five tasks, of a fold and of all training rows, trained and scored without an engine."""
    asked = made(data, *SETS[2:], tuple(data.labels)) + made(data, SETS[3], folds=(None,))
    return {one.trial.id: outcome(data, one) for one in train(data, asked)}


def test_scores_through_the_engine_are_those_of_training_directly(
    data: Dataset, ledger: Ledger, direct: dict[str, Outcome]
) -> None:
    asked = [one.trial for one in direct.values()]
    engine = Engine(data, ledger, Local(data, 1 << 30), memory=MEMORY)
    outcomes = engine.complete(asked)
    np.testing.assert_equal(lookup(outcomes), lookup({trial.id: direct[trial.id] for trial in asked}))
    (final,) = [trial for trial in asked if trial.fold is None]
    kept, wanted = checkpoint.loads(engine.network(final)), checkpoint.loads(direct[final.id].network or b"")
    assert kept.trial == final and all(value.equal(wanted.state[name]) for name, value in kept.state.items())
    with pytest.raises(TrainingError, match="no network for this trial"):
        engine.network(next(trial for trial in asked if trial.fold is not None))


def test_a_member_that_fails_is_recorded_once_and_its_mates_are_kept(data: Dataset, ledger: Ledger) -> None:
    good = made(data, ("sepsis",))
    wild = replace(good[0], learning_rate=float("inf"))
    assert len(form_fleets(data, [*good, wild], MEMORY)) == 1
    engine = Engine(data, ledger, Local(data, 1 << 30), memory=MEMORY)
    outcomes = engine.complete([*good, wild])
    assert "not finite" in outcomes[wild.id].failed and outcomes[wild.id].scores == {}
    assert ledger.counts() == {"finished": 1, "failed": 1, "claimed": 0}
    alone = {one.trial.id: outcome(data, one) for one in train(data, good)}
    for trial in good:
        assert outcomes[trial.id].failed == ""
        for task, values in alone[trial.id].scores.items():
            assert outcomes[trial.id].scores[task] == pytest.approx(values, abs=1e-3, nan_ok=True)
    assert engine.complete([*good, wild]) == outcomes and engine.trained == 2


def test_who_waits_for_another_process_is_told_for_how_much(
    data: Dataset, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, told = made(data, ("death",), ("sepsis",), ("death", "stay")), []

    with Ledger(ledger.path) as theirs:
        claimed = theirs.claim([asked[0].id, asked[2].id])
        assert len(claimed) == 2

        def waited(count: int) -> None:
            told.append(count)
            if len(told) == 2:
                theirs.record([made_up(data, asked[0]), made_up(data, asked[2])], study="made")

        monkeypatch.setattr("m3h.experiments.engine.PATIENCE", 0.01)
        engine = Engine(data, ledger, Noting(data), memory=MEMORY, waiting=waited)
        assert set(engine.complete(asked)) == {trial.id for trial in asked}
    assert told == [2, 2] and engine.trained == 1


def test_answers_are_what_sets_are_compared_by(data: Dataset, ledger: Ledger, noting: Noting) -> None:
    engine = Engine(data, ledger, noting, memory=MEMORY)

    def make(ask: Ask) -> Trial:
        (trial,) = made(data, ask.tasks, folds=(ask.fold,))
        return replace(trial, replicate=ask.replicate)

    asks = [Ask(("death", "stay")), Ask(("unit", "group"), fold=1, replicate=2), Ask(("death", "stay"))]
    answers = answering(engine, make)(asks)
    assert list(answers) == asks[:2] and len(noting.trained) == 2
    for ask in asks:
        values = made_up(data, make(ask)).scores
        metric = {"death": "auroc", "stay": "r2", "unit": "macro_auroc", "group": "silhouette_fixed"}
        assert answers[ask] == {name: values[name][metric[name]] for name in ask.tasks}
    assert compared(data, Outcome(make(asks[0]), failed="the loss was not finite")) == {}
