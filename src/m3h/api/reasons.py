"""Which features a run's answers rest on, whether that is so, and answers to read with what pushed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.evaluation.scores import Prediction
from m3h.experiments.scoring import table_of
from m3h.explain.attribution import Attribution, attributions
from m3h.explain.changes import MEASURED
from m3h.explain.deletion import deletion
from m3h.explain.examples import Example, Reason, examples
from m3h.explain.importance import feature_importance
from m3h.training.trained import TrainedNetwork

FEATURES = {
    **dict.fromkeys(("task", "role", "source", "feature", "unit"), pl.String),
    **dict.fromkeys(("value", "low", "high", "direction", "unexplained"), pl.Float64),
}
DELETION = {
    **dict.fromkeys(("task", "role", "metric", "order"), pl.String),
    "count": pl.Int64,
    **dict.fromkeys(("moved", "score"), pl.Float64),
}
EXAMPLES = {
    **dict.fromkeys(("task", "role", "group"), pl.String),
    "number": pl.Int64,
    "prediction": pl.Float64,
    **dict.fromkeys(("predicted", "truth"), pl.String),
    "rank": pl.Int64,
    **dict.fromkeys(("source", "feature", "unit", "measured"), pl.String),
    "adds": pl.Float64,
}
#: Rows whose features are explained; fewer where a network has no task models: all of it is then integrated gradients.
EXPLAINED, EXPLAINED_NETWORK = 500, 100
#: So many features of a task are listed.
LISTED = 30
#: Features removed from every row, and the most draws of as many random ones: of many rows one draw is enough.
REMOVED, REPEATS = (1, 5, 20), 5
#: Tasks with examples, and features listed of an example.
TOLD, PUSHING = 6, 4
#: The oldest age that is given; the few who are older would be known by it.
OLDEST = 89
_AGE = re.compile(r"(?<![a-z])age(?![a-z])", re.IGNORECASE)


def explanations(
    data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """features.csv and deletion.csv of a network's ``tasks``."""
    most = EXPLAINED if network.task_models is not None else EXPLAINED_NETWORK
    found = attributions(network, data, tasks=tasks, most=most)
    yield "features.csv", feature_table(data, role, found)
    yield "deletion.csv", deletion_table(data, network, role, found)


def feature_table(data: Dataset, role: str, found: Mapping[str, Attribution]) -> pl.DataFrame:
    """features.csv: how far each feature moves a task's output on average, the strongest of each task, and which way;
    ``unexplained`` is the mean absolute part of the outputs that attributions leave over."""
    made: list[dict[str, Any]] = []
    for name, one in found.items():
        common = {"task": name, "role": role, "unexplained": float(np.abs(one.error).mean()) if len(one.rows) else 0.0}
        made += [common | {**vars(part)} for part in feature_importance(one, data)[:LISTED]]
    return table_of(made, FEATURES)


def deletion_table(data: Dataset, network: TrainedNetwork, role: str, found: Mapping[str, Attribution]) -> pl.DataFrame:
    """deletion.csv: how far outputs move, and the headline score then, without the ``count`` features of each row with
    the largest attributions, and without as many random ones; 0 is nothing removed."""
    made = []
    for name, one in found.items():
        repeats = min(max(EXPLAINED // max(len(one.rows), 1), 1), REPEATS)
        curves = deletion(network, data, one, counts=REMOVED, repeats=repeats)
        for order, points in (("largest", curves.largest), ("random", curves.random)):
            common = {"task": name, "role": role, "metric": curves.metric, "order": order}
            made += [common | vars(point) for point in points]
    return table_of(made, DELETION)


def surest(data: Dataset, network: TrainedNetwork, tasks: Sequence[str]) -> dict[str, float]:
    """By task how sure the network was where it was most wrong: the largest loss of a labelled test row, in nats. Tasks
    about a number state no sureness and are left out."""
    found = {}
    for name in tasks:
        labels, said = data.labels[name], network.predictions[name]
        truth = labels.values[data.test_rows]
        if labels.task.kind in ("binary", "multiclass") and not np.isnan(truth).all():
            least = float(np.min(_of_truth(labels.task.kind, said, truth)))
            found[name] = -float(np.log(max(least, 1e-12)))
    return found


def _of_truth(kind: str, said: Prediction, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that each labelled row's answer had."""
    assert said.values is not None
    known = ~np.isnan(truth)
    values, answers = said.values[known], truth[known].astype(np.int64)
    if kind == "multiclass":
        return np.asarray(values[np.arange(len(values)), answers])
    return np.where(answers == 1, values, 1 - values)


def example_table(data: Dataset, network: TrainedNetwork, role: str, tasks: Sequence[str]) -> pl.DataFrame:
    """examples.csv: for each of the ``tasks`` test rows of which the network was surest, right and wrong, and what
    pushed its answer; a row per feature, in log-odds or the task's unit.

    No row names a patient or sample. Texts and images push as a whole, ages above 89 are one, and numbers have three
    digits. ``prediction`` is the probability of yes or of the class predicted, or the value.
    """
    made: list[dict[str, Any]] = []
    for name in tasks:
        found = [one for one in examples(network, data, name, count=1, reasons=10**9) if one.group != "borderline"]
        for number, one in enumerate(found, start=1):
            common = {"task": name, "role": role, "group": one.group, "number": number}
            common |= _answers(data, name, one)
            made += [common | {"rank": rank, **told} for rank, told in enumerate(_pushing(data, one), start=1)]
    return table_of(made, EXAMPLES)


def _answers(data: Dataset, task: str, one: Example) -> dict[str, Any]:
    labels = data.labels[task]
    if labels.task.kind == "regression":
        predicted, truth = (_shown(task, value) for value in (one.predicted, one.truth))
        return {"prediction": None, "predicted": predicted, "truth": truth}
    words = labels.classes if labels.task.kind == "multiclass" else ("no", "yes")
    return {"prediction": one.prediction, "predicted": words[int(one.predicted)], "truth": words[int(one.truth)]}


def _pushing(data: Dataset, one: Example) -> list[dict[str, Any]]:
    """The strongest features of an example; those of a text or an image together, nameless."""
    whole: dict[str, float] = {}
    found: list[dict[str, Any]] = []
    for reason in one.reasons:
        if data.blocks[reason.source].modality in MEASURED:
            told = {"source": reason.source, "feature": reason.feature, "unit": reason.unit}
            found.append(told | {"measured": _measured(reason), "adds": reason.adds})
        else:
            whole[reason.source] = whole.get(reason.source, 0.0) + reason.adds
    found += [{"source": name, "feature": "", "unit": "", "measured": "", "adds": adds} for name, adds in whole.items()]
    return sorted(found, key=lambda row: -abs(row["adds"]))[:PUSHING]


def _measured(reason: Reason) -> str:
    if reason.feature == "absent":
        return "yes" if reason.value else "no"
    return "" if np.isnan(reason.value) else _shown(f"{reason.source}.{reason.feature}", reason.value)


def _shown(name: str, value: float) -> str:
    """A number with three digits; an age above the oldest one that is told is not told."""
    if _AGE.search(name) and value > OLDEST:
        return f"{OLDEST + 1} or older"
    return f"{value:.3g}" if abs(value) < 1000 else f"{float(f'{value:.3g}'):.0f}"
