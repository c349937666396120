"""Shapley values of a network's sources: what each input about a patient is worth to a task, and what it did to one
patient's output.

The value of a coalition is what the trained network says with all other sources absent (m3h.explain.coalitions). So a
part is what *this* model loses without a source, not what a model trained without it would: sources that say the same
share what they say. And no patient trained on may have lacked what a coalition lacks: with nothing known at all a
model may be far off, R2 far below 0, and all of that is counted as worth of the sources.

    asked = ask_sources(trained, dataset)       # once: a few times what predicting the rows takes
    source_importance(asked, dataset)           # split of each task's score
    source_contributions(asked)                 # split of each row's output
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.dataset.dataset import Dataset, Rows
from m3h.evaluation.intervals import Draws, interval, patient_draws
from m3h.evaluation.scores import measure
from m3h.explain.coalitions import Coalitions
from m3h.explain.outputs import checked_rows, prediction_of
from m3h.explain.shapley import EXACT, Plan, plan, split
from m3h.study.task import HEADLINE
from m3h.training.trained import TrainedNetwork

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AskedSources:
    """What a network says of ``rows`` in every coalition of the plan: task -> outputs (coalition, row, outputs) on the
    scale of m3h.explain.outputs; ``sources`` are the players, in the order of the network."""

    sources: tuple[str, ...]
    rows: Rows
    plan: Plan
    outputs: Mapping[str, Floats]


@dataclass(frozen=True)
class SourceShare:
    """What one source adds to a task's score: ``value`` in the metric's unit with the 95 % interval ``low`` to ``high``
    by patient, NaN where there is none; ``error`` is the standard error of drawing orders, 0 where all coalitions were
    asked."""

    source: str
    value: float
    low: float
    high: float
    error: float


@dataclass(frozen=True)
class SourceImportance:
    """A task's score split among sources: ``shares`` add up to ``with_all`` less ``with_none``, the scores with every
    source and with none. Headline metrics, all of which are better when higher; ``n`` rows have a label. Everything is
    NaN where the rows cannot be scored."""

    task: str
    metric: str
    n: int
    with_all: float
    with_none: float
    shares: tuple[SourceShare, ...]


@dataclass(frozen=True)
class SourceContributions:
    """A task's outputs split among sources, row by row.

    ``values`` (row, source, outputs) add up over sources to ``outputs`` (row, outputs) less ``base`` (outputs,), what
    the network says of a patient of whom nothing is known; all on the scale of m3h.explain.outputs. ``errors`` are
    standard errors of drawing orders, 0 where all coalitions were asked.
    """

    task: str
    sources: tuple[str, ...]
    rows: Rows
    values: Floats
    base: Floats
    outputs: Floats
    errors: Floats


def ask_sources(
    trained: TrainedNetwork,
    dataset: Dataset,
    *,
    tasks: Sequence[str] | None = None,
    rows: Rows | None = None,
    orders: int = 200,
    exact: int = EXACT,
) -> AskedSources:
    """Ask a network of ``rows`` (ascending; None: the test rows) in all coalitions of its sources, or with more than
    ``exact`` sources along ``orders`` random ones, which follow from the dataset's seed.

    ``tasks`` None are all but clusterings. Holds coalitions x rows x outputs float64 numbers: with eleven sources,
    ask for hundreds of rows, not thousands. Errors: SettingError for unknown tasks, clusterings, rows that are not
    there, or a dataset that lacks a source.
    """
    found = checked_rows(dataset, rows)
    coalitions = Coalitions(trained, dataset, found, tasks)
    asked = plan(len(coalitions.sources), seed=dataset.seed, orders=orders, exact=exact)
    return AskedSources(coalitions.sources, found, asked, coalitions.outputs(asked.coalitions))


def source_importance(
    asked: AskedSources, dataset: Dataset, *, draws: Draws | None = None
) -> tuple[SourceImportance, ...]:
    """Each task's headline score on the rows asked, split among sources, with 95 % intervals by patient.

    ``draws`` (draws, row) None are a study's own of these rows, drawn by its seed; all coalitions are scored on the
    same draws, so that intervals are those of the differences. Errors: DataError if draws are of other rows.
    """
    if draws is None:
        draws = patient_draws(dataset.patients[asked.rows], dataset.seed)
    if draws.shape[1:] != asked.rows.shape:
        raise DataError(f"draws of shape {draws.shape}", expected=f"(draws, {len(asked.rows)}), as rows were asked")
    return tuple(_importance(name, asked, dataset, draws) for name in asked.outputs)


def _importance(name: str, asked: AskedSources, dataset: Dataset, draws: Draws) -> SourceImportance:
    labels = dataset.labels[name]
    kind, truth = labels.task.kind, labels.values[asked.rows]
    known = ~np.isnan(truth)
    kept = draws[:, known]
    scores = np.empty((len(asked.plan.coalitions), 1 + len(kept)))
    for number, said in enumerate(asked.outputs[name]):
        score = measure(kind, truth[known], prediction_of(kind, said[known]))[HEADLINE[kind]].bootstrap
        scores[number, :1], scores[number, 1:] = score(None), score(kept)
    values, errors = split(asked.plan, scores)
    shares = []
    for source, value, error in zip(asked.sources, values, errors[:, 0], strict=True):
        shares.append(SourceShare(source, float(value[0]), *interval(value[1:]), float(error)))
    # coalitions are ascending: the first is of no source, the last of all
    return SourceImportance(
        name, HEADLINE[kind], int(known.sum()), float(scores[-1, 0]), float(scores[0, 0]), tuple(shares)
    )


def source_contributions(asked: AskedSources) -> dict[str, SourceContributions]:
    """Each row's outputs split among sources, by task."""
    found = {}
    for name, said in asked.outputs.items():
        values, errors = (np.moveaxis(part, 0, 1) for part in split(asked.plan, said))
        base = said[0, 0] if said.shape[1] else np.zeros(said.shape[2])
        found[name] = SourceContributions(name, asked.sources, asked.rows, values, base, said[-1], errors)
    return found
