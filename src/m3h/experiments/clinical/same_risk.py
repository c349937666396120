"""Does the same risk mean the same for everybody: risk quantiles beside what came, by subgroup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.evaluation.calibration.by_group import group_curves
from m3h.experiments.clinical.answer import Answer
from m3h.experiments.scoring import table_of

CALIBRATION_GROUPS = {
    **dict.fromkeys(("task", "role", "preset", "group", "subgroup"), pl.String),
    **dict.fromkeys(("patients", "bin", "n"), pl.Int64),
    **dict.fromkeys(("predicted", "observed", "low", "high"), pl.Float64),
    "reason": pl.String,
}


def calibration_groups_table(
    answers: Sequence[Answer], groups: Mapping[str, NDArray[np.str_]], patients: NDArray[np.str_]
) -> pl.DataFrame:
    """calibration_groups.csv: calibrated risk and what came by quantile of the risk, in each subgroup of ``groups``
    (column -> value of each test row, "" unknown) and, with an empty subgroup, of all whose value is known; yes-or-no
    tasks. A subgroup of few ``patients`` (of the test rows) has one row without a bin, and the reason."""
    rows: list[dict[str, Any]] = []
    for answer in answers:
        if answer.kind != "binary":
            continue
        for name, values in groups.items():
            for one in group_curves(answer.truth, answer.calibrated, values, patients):
                common = answer.names | {"group": name, "subgroup": one.value, "patients": one.patients}
                if one.reason:
                    rows.append(common | {"n": one.rows, "reason": one.reason})
                for quantile in one.quantiles:
                    rows.append(common | vars(quantile) | {"bin": quantile.number, "reason": ""})
    return table_of(rows, CALIBRATION_GROUPS)
