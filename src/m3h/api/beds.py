"""Beds from the stays that a run predicts: checked on its test patients, and forecast for new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from m3h.core.errors import SettingError, nearest
from m3h.evaluation.beds import Forecast, Known, Validation, forecast, validate
from m3h.report import folder

_PREDICTED: folder.Schema = {
    **dict.fromkeys(("sample", "patient", "task", "class", "role"), folder.TEXT),
    **dict.fromkeys(("truth", "prediction"), folder.NUMBER),
}
#: Roles in the order in which a task's answer is looked for: as m3h predict answers.
_ANSWERS = ("best", "joint", "single")


@dataclass(frozen=True)
class Beds:
    """The forecast for a cohort, how such forecasts did on test patients, and from how many known stays."""

    stay: str
    death: str | None
    patients: int
    known: int
    forecast: Forecast
    validation: Validation


def beds(
    run: Path,
    *,
    stay: str | None = None,
    death: str | None = None,
    new: pl.DataFrame | None = None,
    days: Sequence[int],
    ward: int = 30,
    level: float = 0.9,
    seed: int = 0,
) -> Beds:
    """The beds that a cohort takes on each of the coming ``days``.

    ``run`` is the folder of a run with held-out predictions of its training patients (held.parquet). ``stay`` names
    the regression of the days that patients stay, by default the only one in days; ``death`` a yes-or-no task, whose
    risk then counts beside the predicted stay. ``new`` are predictions as M3H.predict gives them, by default those of
    the test patients. One row of each patient counts, the first. Forecasts of wards of ``ward`` test patients are
    compared with what happened to them.

    Errors: SettingError for a task that is not there or not of its kind; FolderError where the run lacks a file;
    DataError where there are too few patients.
    """
    tasks = _tasks(run)
    stay = _stay(tasks, stay)
    if death is not None:
        _check_death(tasks, death)
    names = [stay, *([death] if death else [])]
    held, test = (
        _wide(folder.parquet(run / file, _PREDICTED), names) for file in ("held.parquet", "predictions.parquet")
    )
    if held.is_empty():
        raise folder.not_a_run(run / "held.parquet", f"holds no prediction of {stay}")
    known = Known.of(_numbers(held, names), _column(held, f"truth {stay}"), _died(held, death), _patients(held))
    cohort = test if new is None else _wide(_as_joint(new), names)
    if cohort.is_empty():
        raise SettingError(f'there is no prediction of "{stay}" for these patients')
    cohort = cohort.unique("patient", keep="first", maintain_order=True)
    return Beds(
        stay=stay,
        death=death,
        patients=cohort.height,
        known=len(known.stay),
        forecast=forecast(known, _numbers(cohort, names), days, level=level, seed=seed),
        validation=validate(
            known,
            _numbers(test, names),
            _column(test, f"truth {stay}"),
            _patients(test),
            days,
            beds=ward,
            level=level,
            seed=seed,
        ),
    )


def _tasks(run: Path) -> dict[str, Mapping[str, Any]]:
    told = folder.json_object(run / "run.json")
    return {task["name"]: task for task in (told.get("audit") or {}).get("tasks") or []}


def _stay(tasks: Mapping[str, Mapping[str, Any]], asked: str | None) -> str:
    in_days = [name for name, task in tasks.items() if task["kind"] == "regression" and task.get("unit") == "days"]
    if asked is None and len(in_days) == 1:
        return in_days[0]
    regressions = [name for name, task in tasks.items() if task["kind"] == "regression"]
    if asked is None or asked not in regressions:
        raise SettingError(
            "which task is the stay?" if asked is None else f'no regression "{asked}"{nearest(asked, regressions)}',
            got=f"{len(in_days)} regressions in days" if asked is None else None,
            expected=f"one of {', '.join(regressions)}" if regressions else "a study with a task of days",
            next_step="name it with --stay",
        )
    return asked


def _check_death(tasks: Mapping[str, Mapping[str, Any]], death: str) -> None:
    binary = [name for name, task in tasks.items() if task["kind"] == "binary"]
    if death not in binary:
        raise SettingError(
            f'no yes-or-no task "{death}"{nearest(death, binary)}', expected=f"one of {', '.join(binary) or 'none'}"
        )


def _wide(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """A row a sample: sample, patient, and prediction and truth of each task by the model that answers for it; samples
    that lack a prediction are left out."""
    wide: pl.DataFrame | None = None
    for name in names:
        own = frame.filter(pl.col("task") == name)
        role = next((role for role in _ANSWERS if (own["role"] == role).any()), "")
        own = own.filter(pl.col("role") == role).unique("sample", keep="first").sort("sample")
        own = own.select(
            "sample", "patient", pl.col("prediction").alias(f"predicted {name}"), pl.col("truth").alias(f"truth {name}")
        )
        wide = own if wide is None else wide.join(own.drop("patient"), on="sample", how="inner", maintain_order="left")
    assert wide is not None
    return wide.drop_nulls([f"predicted {name}" for name in names])


def _as_joint(new: pl.DataFrame) -> pl.DataFrame:
    return new.with_columns(pl.lit("joint").alias("role"), pl.lit(None, pl.Float64).alias("truth"))


def _numbers(frame: pl.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    return np.stack([_column(frame, f"predicted {name}") for name in names], axis=1)


def _column(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    return frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _died(frame: pl.DataFrame, death: str | None) -> NDArray[np.float64] | None:
    return None if death is None else _column(frame, f"truth {death}")


def _patients(frame: pl.DataFrame) -> NDArray[np.str_]:
    return frame["patient"].cast(pl.String).to_numpy().astype(np.str_)
