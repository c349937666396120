"""What a run says of its model beside scores: calibration, what acting on it does, what it covers, whom it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from m3h.api.changed import Opponent
from m3h.api.explained import explained, missing_captum
from m3h.api.held import Held, held_out
from m3h.api.reasons import TOLD, example_table, surest
from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.reliance import Reliance
from m3h.evaluation.scores import Prediction
from m3h.experiments.clinical import trust
from m3h.experiments.clinical.answer import Answer
from m3h.experiments.clinical.cover import conformal_table
from m3h.experiments.clinical.groups import groups_of, subgroup_table
from m3h.experiments.clinical.same_risk import calibration_groups_table
from m3h.experiments.scoring import Model, prediction_table
from m3h.training.trained import TrainedNetwork

Say = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Answering:
    """A network that answers for some ``tasks``, in its ``role``."""

    network: TrainedNetwork
    role: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Appraised:
    """Tables by file name, what whoever asked should know of them, and how far each task's answers can be relied on."""

    tables: Mapping[str, pl.DataFrame]
    notes: Sequence[str]
    reliance: Mapping[str, Reliance]


def appraised(
    data: Dataset,
    answering: Sequence[Answering],
    preset: str,
    seed: int,
    say: Say,
    opponents: Sequence[Opponent] = (),
) -> Appraised:
    """Appraise the model that answers each task on the test rows; what is fitted for it is fitted to training rows held
    out. Bootstrap draws are those of the scores. ``opponents`` are the run's baselines."""
    text = "predicting training patients held out"
    say(text, None)
    held = held_out(data, [one.network for one in answering], lambda share: say(text, share))
    answers = [answer for one in answering for answer in _answers(data, one, preset, held[one.network.trial.id])]
    draws = patient_draws(data.patients[data.test_rows], data.seed)
    groups, patients = groups_of(data), data.patients[data.test_rows]
    steps: dict[str, Callable[[], pl.DataFrame]] = {
        "calibration.csv": lambda: trust.calibration_table(answers, draws),
        "calibration_curve.csv": lambda: trust.curve_table(answers),
        "calibration_groups.csv": lambda: calibration_groups_table(answers, groups, patients),
        "decision.csv": lambda: trust.decision_table(answers, draws),
        "operating.csv": lambda: trust.operating_table(answers, draws),
        "conformal.csv": lambda: conformal_table(answers, groups, draws),
        "subgroups.csv": lambda: subgroup_table(answers, groups, patients, draws),
    }
    tables = {"held.parquet": _held_table(data, answering, preset, seed, held)}
    for number, (name, made) in enumerate(steps.items()):
        say("appraising the predictions", number / len(steps))
        tables[name] = made()
    found, notes = _explained(data, answering, preset, opponents, say)
    return Appraised(tables | found, notes, {answer.task: answer.reliance for answer in answers})


def _explained(
    data: Dataset, answering: Sequence[Answering], preset: str, opponents: Sequence[Opponent], say: Say
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """The tables of explanations, of all networks together."""
    parts: dict[str, list[pl.DataFrame]] = {}
    notes: set[str] = set()
    for one in answering:
        own = explained(data, one.network, one.role, preset, one.tasks, opponents, lambda text: say(text, None))
        for name, told in own:
            if isinstance(told, str):
                notes.add(told)
            else:
                parts.setdefault(name, []).append(told)
    say("choosing examples", None)
    for one, tasks in _to_read(data, answering):
        parts.setdefault("examples.csv", []).append(example_table(data, one.network, one.role, tasks))
    return {name: pl.concat(some) for name, some in parts.items()}, sorted(notes)


def _to_read(data: Dataset, answering: Sequence[Answering]) -> Iterator[tuple[Answering, list[str]]]:
    """The tasks of which examples are given, by the network that answers them: where one was surest and wrong."""
    sure: dict[str, float] = {}
    for one in answering if len(data.test_rows) else ():
        named = [name for name in one.tasks if data.labels[name].task.kind != "clustering"]
        if not missing_captum(one.network, named):
            # those about a number state no sureness: they come last
            sure |= dict.fromkeys(named, 0.0) | surest(data, one.network, named)
    chosen = sorted(sure, key=lambda name: -sure[name])[:TOLD]
    for one in answering:
        if own := [name for name in one.tasks if name in chosen]:
            yield one, own


def _answers(data: Dataset, one: Answering, preset: str, held: Held) -> list[Answer]:
    found = []
    for name in one.tasks:
        labels, values = data.labels[name], one.network.predictions[name].values
        if values is not None and name in held and len(values):
            found.append(
                Answer(
                    task=name,
                    kind=labels.task.kind,
                    classes=labels.classes,
                    role=one.role,
                    preset=preset,
                    truth=labels.values[data.test_rows],
                    predicted=values.astype(np.float64),
                    held_truth=labels.values[data.train_rows],
                    held=held[name],
                    held_patients=data.patients[data.train_rows],
                )
            )
    return found


def _held_table(
    data: Dataset, answering: Sequence[Answering], preset: str, seed: int, held: Mapping[str, Held]
) -> pl.DataFrame:
    """held.parquet: as predictions.parquet, of the training rows, by parts of the model that were kept from them."""
    models = [
        Model(
            one.role,
            preset,
            one.network.trial.label,
            seed,
            {
                name: Prediction(values=values)
                for name, values in held[one.network.trial.id].items()
                if name in one.tasks
            },
        )
        for one in answering
    ]
    return prediction_table(data, models, data.train_rows).filter(pl.col("prediction").is_not_null())
