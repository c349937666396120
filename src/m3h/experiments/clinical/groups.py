"""For whom a model is better or worse: its scores by subgroup, with tests that are corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.evaluation.intervals import Draws
from m3h.evaluation.scores import Prediction
from m3h.evaluation.subgroups import Subgroup, age_bands, corrected, subgroups
from m3h.experiments.clinical.answer import Answer
from m3h.experiments.scoring import table_of

SUBGROUPS = {
    **dict.fromkeys(("task", "role", "preset", "group", "subgroup", "metric"), pl.String),
    **dict.fromkeys(("n", "patients"), pl.Int64),
    **dict.fromkeys(("value", "low", "high", "difference", "difference_low", "difference_high"), pl.Float64),
    **dict.fromkeys(("p", "holm", "q"), pl.Float64),
    "reason": pl.String,
}
#: A column of more different numbers than this is divided into thirds.
DIFFERENT = 8
AGE = "age"


def groups_of(data: Dataset) -> dict[str, NDArray[np.str_]]:
    """The subgroups of the test rows, column by column: the study's own, and bands of age where a tabular source has a
    column of that name. "" is unknown; columns of a single value are left out."""
    rows = data.test_rows
    found = {name: _named(name, values[rows], values[data.train_rows]) for name, values in data.subgroups.items()}
    for block in data.blocks.values():
        if block.modality == "tabular" and AGE in block.names and AGE not in found:
            ages = np.where(block.present, block.values[:, block.names.index(AGE)], np.nan).astype(np.float64)
            found[AGE] = _named(AGE, ages[rows], ages[data.train_rows])
    return {name: values for name, values in found.items() if len(set(values.tolist()) - {""}) > 1}


def _named(name: str, values: NDArray[np.generic], trained: NDArray[np.generic]) -> NDArray[np.str_]:
    """Values as words: numbers of few values as they are, ages in bands, others in thirds of the training rows."""
    if not np.issubdtype(values.dtype, np.number) and not np.issubdtype(values.dtype, np.bool_):
        return np.array(["" if value is None or value != value else str(value) for value in values.tolist()], np.str_)
    numbers, known = values.astype(np.float64), trained.astype(np.float64)
    known = known[~np.isnan(known)]
    if name == AGE and not (numbers < 0).any():
        return age_bands(numbers)
    if len(np.unique(known)) <= DIFFERENT:
        return np.array(["" if np.isnan(value) else f"{value:g}" for value in numbers], np.str_)
    low, high = np.quantile(known, (1 / 3, 2 / 3))
    words = np.array([f"up to {low:.3g}", f"{low:.3g} to {high:.3g}", f"above {high:.3g}", ""])
    place = (numbers > low).astype(np.int64) + (numbers > high)
    return np.asarray(words[np.where(np.isnan(numbers), 3, place)], np.str_)


def subgroup_table(
    answers: Sequence[Answer], groups: Mapping[str, NDArray[np.str_]], patients: NDArray[np.str_], draws: Draws
) -> pl.DataFrame:
    """subgroups.csv: the headline score in each subgroup, its difference to all other patients, and p corrected over
    all tasks and subgroups of the run. ``groups``: column -> value of each test row; ``patients`` of the test rows."""
    names: list[dict[str, str]] = []
    found: list[Subgroup] = []
    for answer in answers:
        for name, values in groups.items():
            own = subgroups(
                answer.kind, answer.truth, Prediction(values=answer.predicted), values, patients, draws=draws
            )
            found += own
            names += [answer.names | {"group": name, "subgroup": one.value} for one in own]
    rows = [name | asdict(one) | {"value": one.score} for name, one in zip(names, corrected(found), strict=True)]
    return table_of(rows, SUBGROUPS)
