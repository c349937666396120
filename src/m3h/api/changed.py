"""What becomes of a run's answers when what is known of patients changes: those of the model and of the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.intervals import patient_draws
from m3h.evaluation.scores import Prediction
from m3h.experiments.baselines import Asks
from m3h.experiments.scoring import table_of
from m3h.explain.changes import FACTORS, MEASURED, Change, Factor, Unit, continuous, signal_of, usual_changes
from m3h.explain.outputs import ask, chosen_rows
from m3h.explain.robustness import Ask, curve
from m3h.training.trained import TrainedNetwork

ROBUSTNESS = {
    **dict.fromkeys(("task", "role", "preset", "change", "metric"), pl.String),
    "amount": pl.Float64,
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
}
#: Rows whose input is changed, and redraws of their patients.
CHANGED, DRAWS = 1000, 200
#: So many of the most important signals or columns are read in another unit.
UNITS = 2


@dataclass(frozen=True)
class Opponent:
    """A baseline that was trained for a task: ``preset`` its name, ``asks`` what it predicts."""

    preset: str
    task: str
    asks: Asks


def robustness_table(
    data: Dataset,
    network: TrainedNetwork,
    role: str,
    preset: str,
    tasks: Sequence[str],
    opponents: Sequence[Opponent] = (),
    features: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """robustness.csv: headline scores, and how far predictions move, when a source is gone, values are noisy, gone at
    random, or the most important of the measured ``features`` (features.csv) come in another unit; of the network and,
    on the same rows, draws and changes, of the ``opponents``."""
    rows = chosen_rows(data, None, CHANGED)
    draws = patient_draws(data.patients[rows], data.seed, DRAWS)
    changes = (*usual_changes(data, network.trial.sources), *other_units(data, features))
    asked: list[tuple[str, str, Ask]] = [(role, preset, partial(ask, network, tasks=tasks))]
    for name in dict.fromkeys(one.preset for one in opponents):
        own = [one for one in opponents if one.preset == name and one.task in tasks]
        asked.append(("baseline", name, partial(_ask, own)))
    return table_of(
        [
            {"role": whose, "preset": name, **vars(point)}
            for whose, name, model in asked
            for point in curve(model, data, rows, changes, draws)
        ],
        ROBUSTNESS,
    )


def other_units(data: Dataset, features: pl.DataFrame | None) -> list[Change]:
    """The signals and columns that matter most, on average over tasks, each in other units."""
    if features is None or features.is_empty():
        return []
    measured = {name: block for name, block in data.blocks.items() if block.modality in MEASURED}
    varying = {
        name: {block.names[place] for place in np.flatnonzero(continuous(data, name))}
        for name, block in measured.items()
    }
    worth: dict[tuple[str, str], float] = {}
    for part in features.partition_by("task", maintain_order=True):
        total = float(part["value"].sum()) or 1.0
        for source, feature, value in part.select("source", "feature", "value").iter_rows():
            if feature in varying.get(source, ()):
                key = source, signal_of(data.blocks[source], feature)
                worth[key] = worth.get(key, 0.0) + value / total
    first = sorted(worth, key=lambda key: (-worth[key], key))[:UNITS]
    return [
        Unit(source, name, factor)
        if data.blocks[source].modality == "timeseries" and name not in data.blocks[source].names
        else Factor(source, name, factor)
        for source, name in first
        for factor in FACTORS
    ]


def _ask(opponents: Sequence[Opponent], data: Dataset, rows: Rows) -> Mapping[str, Prediction]:
    return {one.task: Prediction(values=one.asks(data, rows)) for one in opponents}
