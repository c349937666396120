"""Why a run's model says what it says: what its sources and features are worth, how far attention reaches, and what
becomes of its scores when the input changes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import patient_draws
from m3h.experiments.scoring import table_of
from m3h.explain.attention import attention_facts
from m3h.explain.attribution import attributions
from m3h.explain.changes import usual_changes
from m3h.explain.importance import feature_importance
from m3h.explain.outputs import ask, chosen_rows, gate
from m3h.explain.robustness import curve
from m3h.explain.sources import ask_sources, source_importance
from m3h.training.trained import TrainedNetwork

_VALUE = dict.fromkeys(("value", "low", "high"), pl.Float64)
SOURCES = {
    **dict.fromkeys(("task", "role", "metric", "source"), pl.String),
    "n": pl.Int64,
    **_VALUE,
    **dict.fromkeys(("with_all", "with_none"), pl.Float64),
}
FEATURES = {
    **dict.fromkeys(("task", "role", "source", "feature", "unit"), pl.String),
    **_VALUE,
    **dict.fromkeys(("direction", "unexplained"), pl.Float64),
}
ROBUSTNESS = {
    **dict.fromkeys(("task", "role", "change", "metric"), pl.String),
    "amount": pl.Float64,
    **_VALUE,
}
GATES = {
    **dict.fromkeys(("task", "task_set"), pl.String),
    **dict.fromkeys(("gate", "own", "entropy", "between_rows"), pl.Float64),
}
#: Rows that are asked in every coalition of sources, whose features are explained (fewer where a network has no task
#: models: all of it is then integrated gradients), and whose input is changed.
ASKED, EXPLAINED, EXPLAINED_NETWORK, CHANGED = 2000, 500, 100, 1000
#: So many features of a task are listed.
LISTED = 30


def source_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """sources.csv: each task's headline score split among the sources (Shapley values), on test rows."""
    rows = chosen_rows(data, None, ASKED)
    found = source_importance(ask_sources(network, data, tasks=tasks, rows=rows), data)
    made = [
        {"task": one.task, "role": role, "metric": one.metric, "n": one.n, "with_all": one.with_all}
        | {"with_none": one.with_none, "source": part.source, "value": part.value, "low": part.low, "high": part.high}
        for one in found
        for part in one.shares
    ]
    return table_of(made, SOURCES)


def feature_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """features.csv: how far each feature moves a task's output on average, the strongest of each task, and which way;
    ``unexplained`` is the mean absolute part of the outputs that attributions leave over."""
    most = EXPLAINED if network.task_models is not None else EXPLAINED_NETWORK
    made: list[dict[str, Any]] = []
    for name, one in attributions(network, data, tasks=tasks, most=most).items():
        common = {"task": name, "role": role, "unexplained": float(np.abs(one.error).mean()) if len(one.rows) else 0.0}
        made += [common | {**vars(part)} for part in feature_importance(one, data)[:LISTED]]
    return table_of(made, FEATURES)


def robustness_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """robustness.csv: headline scores, and how far predictions move, when a source is gone, values are noisy, or gone
    at random."""
    rows = chosen_rows(data, None, CHANGED)
    draws = patient_draws(data.patients[rows], data.seed, 200)
    changes = usual_changes(data, network.trial.sources)
    points = curve(partial(ask, network, tasks=tasks), data, rows, changes, draws)
    return table_of([{"role": role, **vars(point)} for point in points], ROBUSTNESS)


def gate_table(data: Dataset, network: TrainedNetwork) -> pl.DataFrame:
    """gates.csv: of each task of a joint network how much of its correction is believed, the attention it keeps for
    itself, how even its attention is (1: all tasks alike), and how far it differs between patients."""
    found = attention_facts(network, data, chosen_rows(data, None, CHANGED))
    made = [
        {"task": name, "task_set": network.trial.label, "gate": float(found.gates[number])}
        | {"own": float(found.own[number]), "entropy": float(found.entropy[number])}
        | {"between_rows": float(found.between_rows[number].max())}
        for number, name in enumerate(found.tasks)
    ]
    return table_of(made, GATES)


def explained(
    data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str], say: Callable[[str], None]
) -> Iterator[tuple[str, pl.DataFrame | str]]:
    """Table after table by file name, of the network's ``tasks`` but clusterings; or in a sentence why there is none.
    ``say`` is told what is going on."""
    named = [name for name in tasks if data.labels[name].task.kind != "clustering"]
    if named and len(data.test_rows):
        say("asking without each source")
        yield "sources.csv", source_table(data, network, role, named)
        say("explaining features")
        if importlib.util.find_spec("captum") is None and _needs_captum(network, named):
            yield "features.csv", "features were not explained: that needs Captum, in the extra explain"
        else:
            yield "features.csv", feature_table(data, network, role, named)
        say("asking with changed inputs")
        yield "robustness.csv", robustness_table(data, network, role, named)
    if len(network.trial.tasks) > 1 and len(data.test_rows):
        yield "gates.csv", gate_table(data, network)


def _needs_captum(network: TrainedNetwork, tasks: Sequence[str]) -> bool:
    """Whether the network itself has a part in what it says, and not its task models alone."""
    return any(gate(network, network.trial.tasks.index(name)) != 0 for name in tasks)
