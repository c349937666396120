"""Can risks be taken at their word, and what does acting on them do: calibration, decision curves, operating points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from m3h.evaluation import operating
from m3h.evaluation.calibration import calibration, curve, regression_calibration
from m3h.evaluation.calibration.estimate import Estimate
from m3h.evaluation.decision import decision_curve
from m3h.evaluation.intervals import Draws
from m3h.experiments.clinical.answer import Answer
from m3h.experiments.scoring import table_of
from m3h.study.task import Kind

_NAMES = dict.fromkeys(("task", "role", "preset"), pl.String)
_VALUE = dict.fromkeys(("value", "low", "high"), pl.Float64)
CALIBRATION = {
    **_NAMES,
    **dict.fromkeys(("class", "stage", "metric"), pl.String),
    **dict.fromkeys(("n", "events"), pl.Int64),
    **_VALUE,
}
CURVES = {
    **_NAMES,
    **dict.fromkeys(("class", "stage"), pl.String),
    **dict.fromkeys(("bin", "n"), pl.Int64),
    **dict.fromkeys(("predicted", "observed", "low", "high"), pl.Float64),
}
DECISIONS = {
    **_NAMES,
    **dict.fromkeys(("threshold", "model", "low", "high", "treat_all", "gain", "gain_low", "gain_high"), pl.Float64),
}
OPERATING = {
    **_NAMES,
    **dict.fromkeys(("wanted", "threshold"), pl.Float64),
    "metric": pl.String,
    "n": pl.Int64,
    **_VALUE,
}
#: Predictions as the model makes them, and after calibration.
STAGES = ("raw", "calibrated")


def calibration_table(answers: Sequence[Answer], draws: Draws) -> pl.DataFrame:
    """calibration.csv: how far predictions are from what comes, before and after calibration; of several classes each
    against all others. ``draws`` (draws, test rows)."""
    return table_of([row for answer in answers for row in _measures(answer, draws)], CALIBRATION)


def _measures(answer: Answer, draws: Draws) -> Iterator[dict[str, Any]]:
    for class_, truth, *predicted in answer.outcomes():
        for stage, values in zip(STAGES, predicted, strict=True):
            common = answer.names | {"class": class_, "stage": stage}
            if answer.kind == "regression":
                line = regression_calibration(truth, values, draws)
                found, counts = {"slope": line.slope, "intercept": line.intercept, "bias": line.bias}, {"n": line.n}
            else:
                one = calibration(truth, values, draws)
                found = {"slope": one.slope, "intercept": one.intercept, "ece": one.ece}
                found |= {"ratio": one.ratio, "brier": one.brier}
                counts = {"n": one.n, "events": one.events}
            for metric, estimate in found.items():
                yield common | counts | {"metric": metric} | _numbers(estimate)


def curve_table(answers: Sequence[Answer]) -> pl.DataFrame:
    """calibration_curve.csv: what was predicted beside what came, bin by bin."""
    rows = []
    for answer in answers:
        kind: Kind = "regression" if answer.kind == "regression" else "binary"
        for class_, truth, *predicted in answer.outcomes():
            for stage, values in zip(STAGES, predicted, strict=True):
                common = answer.names | {"class": class_, "stage": stage}
                rows += [
                    common | {"bin": number, **vars(one)}
                    for number, one in enumerate(curve(kind, truth, values).bins, start=1)
                ]
    return table_of(rows, CURVES)


def decision_table(answers: Sequence[Answer], draws: Draws) -> pl.DataFrame:
    """decision.csv: net benefit of acting on the calibrated risk, of treating all, and what the model gains over the
    better of treating all and none; yes-or-no tasks."""
    rows = []
    for answer in answers:
        if answer.kind == "binary":
            for one in decision_curve(answer.truth, answer.calibrated, draws):
                rows.append(
                    answer.names
                    | {"threshold": one.threshold, "model": one.model.value, "treat_all": one.treat_all.value}
                    | {"low": one.model.low, "high": one.model.high}
                    | {"gain": one.gain.value, "gain_low": one.gain.low, "gain_high": one.gain.high}
                )
    return table_of(rows, DECISIONS)


def operating_table(answers: Sequence[Answer], draws: Draws) -> pl.DataFrame:
    """operating.csv: what thresholds do that reach a wanted sensitivity among training patients held out; yes-or-no
    tasks, thresholds of the calibrated risk."""
    rows = []
    for answer in answers:
        if answer.kind != "binary":
            continue
        cuts = operating.thresholds(answer.held_truth[answer.held_known], answer.held_calibrated)
        for wanted, cut in zip(operating.WANTED, cuts, strict=True):
            point = operating.at(answer.truth, answer.calibrated, cut, draws)
            common: dict[str, Any] = answer.names | {"wanted": wanted, "threshold": cut, "n": point.n}
            for metric in ("sensitivity", "specificity", "ppv", "npv", "flagged"):
                rows.append(common | {"metric": metric} | _numbers(getattr(point, metric)))
    return table_of(rows, OPERATING)


def _numbers(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
