"""Mending predictions afterwards: what is fitted on held-out predictions of some patients, applied to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from m3h.core.errors import DataError
from m3h.evaluation.calibration.estimate import check_outcomes, check_probabilities, labelled
from m3h.evaluation.calibration.line import fit_line
from m3h.evaluation.calibration.logistic import EDGE, in_the_large, logits, recalibration, slope_error
from m3h.evaluation.calibration.temperature import fit_temperature
from m3h.study.task import Kind

Floats = NDArray[np.float64]
Fitted = Literal["slope and intercept", "intercept", "nothing"]

#: Patients that must have each outcome (multiclass: another class than the commonest) for an intercept, and a slope.
LEAST_INTERCEPT, LEAST_SLOPE = 10, 30
#: A slope cannot be told from 0 if it is below this many of its standard errors.
DOUBT = 2.0
#: The widest edges with finite logits. Fits stop short of them (EDGE), or one row would decide; to apply that as well
#: would tie rows that the model ranks.
LOWEST, HIGHEST = float(np.finfo(np.float64).tiny), float(1 - np.finfo(np.float64).epsneg)


@dataclass(frozen=True)
class Calibrator:
    """What is done to predictions of a task of ``kind``: numbers alone, so that JSON can hold it.

    ``slope`` (above 0; for classes the inverse temperature) and ``intercepts`` (one; for classes one each) act on the
    logit of a probability, the logarithms of class probabilities, or the value itself in the task's unit. ``fitted``
    tells which of them were fitted, ``reason`` why not both ("" where both were).
    """

    kind: Kind
    slope: float
    intercepts: tuple[float, ...]
    fitted: Fitted
    reason: str

    def apply(self, values: Floats) -> Floats:
        """Calibrated ``values``: (n,) probabilities, (n, classes) probabilities or (n,) values in the task's unit.

        Never NaN or infinite for finite values. The ranking of a binary task's or a regression's rows stays; that of
        rows by the probability of one class among several may change, that of a row's classes only by the intercepts.
        Errors: DataError for no probabilities or another number of classes.
        """
        if self.fitted == "nothing":
            return values.astype(np.float64)
        return _APPLIED[self.kind](self, values.astype(np.float64))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; :meth:`from_dict` reads them."""
        return asdict(self) | {"intercepts": list(self.intercepts)}

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> Calibrator:
        """The calibrator that :meth:`as_dict` wrote. Errors: DataError for other keys or a value that cannot be."""
        names = {item.name for item in fields(Calibrator)}
        if set(content) != names:
            raise DataError("no calibrator", got=", ".join(sorted(content)), expected=", ".join(sorted(names)))
        read = Calibrator(**{**content, "intercepts": tuple(float(value) for value in content["intercepts"])})
        known = read.kind in _APPLIED and read.fitted in get_args(Fitted)
        if not known or not 0 < read.slope < np.inf or not np.isfinite(read.intercepts).all():
            raise DataError(
                "no calibrator",
                got=f"{read.kind}, slope {read.slope}, fitted {read.fitted}",
                expected="a known kind, a slope above 0 and finite intercepts",
            )
        return read


def calibrator(kind: Kind, truth: Floats, predicted: Floats, patients: NDArray[np.str_]) -> Calibrator:
    """The calibrator of a task from predictions of rows that the model was not trained on, such as out-of-fold ones.

    ``truth`` (n,) 0 and 1, class numbers or values in the task's unit, NaN where a row has no label (left out);
    ``predicted`` (n,), for classes (n, classes); ``patients`` (n,) a name a row. Never fit it on rows that are scored.

    Binary: logistic recalibration (Cox 1958; Platt 1999). Only the intercept with fewer than LEAST_SLOPE patients of an
    outcome, or where the slope is not DOUBT standard errors (by patient) above 0; nothing below LEAST_INTERCEPT.
    Classes: inverse temperature and class biases in one convex fit (m3h.evaluation.calibration.temperature), with the
    same rules. Regression: the least-squares line, or a shift, or nothing: what lowers squared errors of patients left
    out of the fit by more than two standard errors (m3h.evaluation.calibration.line).
    Errors: DataError for a clustering, truths that do not fit the kind, lengths that differ.
    """
    if kind not in _FITTED:
        raise DataError(f"a calibrator of a {kind} task", expected=", ".join(sorted(_FITTED)))
    if patients.shape != truth.shape:
        raise DataError(f"patients of shape {patients.shape}", expected=f"({len(truth)},), as the truth has rows")
    kept_patients = patients[~np.isnan(truth)]
    truth, predicted, _ = labelled(truth, predicted, None, dimensions=2 if kind == "multiclass" else 1)
    if not len(truth) or not np.isfinite(predicted).all():
        why = "no row has a label" if not len(truth) else "a prediction is not finite"
        return _nothing(kind, predicted, why)
    return _FITTED[kind](truth, predicted, np.unique(kept_patients, return_inverse=True)[1])


def _nothing(kind: Kind, predicted: Floats, reason: str) -> Calibrator:
    count = 1 if predicted.ndim == 1 else predicted.shape[1]
    return Calibrator(kind, 1.0, (0.0,) * count, "nothing", reason)


def _binary(truth: Floats, predicted: Floats, patients: NDArray[np.int64]) -> Calibrator:
    check_outcomes(truth)
    check_probabilities(predicted)
    fewest = min(len(np.unique(patients[truth == outcome])) for outcome in (0, 1))
    if fewest < LEAST_INTERCEPT:
        return _nothing("binary", predicted, f"{fewest} patients of one outcome, fewer than {LEAST_INTERCEPT}")
    logit = logits(predicted)
    reason = f"{fewest} patients of one outcome, fewer than {LEAST_SLOPE}"
    if fewest >= LEAST_SLOPE:
        intercept, slope = (float(value[0]) for value in recalibration(truth, logit))
        if np.isnan(slope):
            reason = "predictions are constant or separate the outcomes"
        elif slope > DOUBT * slope_error(truth, logit, intercept, slope, patients):
            return Calibrator("binary", slope, (intercept,), "slope and intercept", "")
        else:
            reason = "the slope cannot be told from 0"
    shift = float(in_the_large(truth, logit)[0])
    if np.isnan(shift):
        return _nothing("binary", predicted, "predictions are at 0 or 1 throughout")
    return Calibrator("binary", 1.0, (shift,), "intercept", reason)


def _multiclass(truth: Floats, predicted: Floats, patients: NDArray[np.int64]) -> Calibrator:
    check_probabilities(predicted)
    classes = predicted.shape[1]
    if not np.isin(truth, np.arange(classes)).all():
        raise DataError("class numbers do not fit the predictions", expected=f"whole numbers from 0 to {classes - 1}")
    found = truth.astype(np.int64)
    commonest = int(np.bincount(found, minlength=classes).argmax())
    fewest = len(np.unique(patients[found != commonest]))
    if fewest < LEAST_INTERCEPT:
        return _nothing("multiclass", predicted, f"{fewest} patients beside one class, fewer than {LEAST_INTERCEPT}")
    logs = np.log(np.maximum(predicted, EDGE))
    reason = f"{fewest} patients beside one class, fewer than {LEAST_SLOPE}"
    if fewest >= LEAST_SLOPE:
        slope, biases, error = fit_temperature(found, logs, patients, with_slope=True)
        if slope > DOUBT * error:
            return Calibrator("multiclass", slope, tuple(biases.tolist()), "slope and intercept", "")
        reason = "the slope cannot be told from 0"
    _, biases, _ = fit_temperature(found, logs, patients, with_slope=False)
    return Calibrator("multiclass", 1.0, tuple(biases.tolist()), "intercept", reason)


def _regression(truth: Floats, predicted: Floats, patients: NDArray[np.int64]) -> Calibrator:
    count = len(np.unique(patients))
    if count < LEAST_SLOPE:
        return _nothing("regression", predicted, f"{count} patients, fewer than {LEAST_SLOPE}")
    fitted = fit_line(truth, predicted, patients)
    if fitted is None:
        return _nothing("regression", predicted, "no line is better by two standard errors")
    slope, intercept, with_slope = fitted
    if with_slope:
        return Calibrator("regression", slope, (intercept,), "slope and intercept", "")
    return Calibrator("regression", 1.0, (intercept,), "intercept", "a slope makes it no better")


def _apply_binary(fitted: Calibrator, values: Floats) -> Floats:
    check_probabilities(values)
    kept = np.clip(values, LOWEST, HIGHEST)
    result: Floats = expit(fitted.slope * (np.log(kept) - np.log1p(-kept)) + fitted.intercepts[0])
    return result


def _apply_multiclass(fitted: Calibrator, values: Floats) -> Floats:
    if values.ndim != 2 or values.shape[1] != len(fitted.intercepts):
        raise DataError(f"probabilities of shape {values.shape}", expected=f"(rows, {len(fitted.intercepts)})")
    check_probabilities(values)
    result: Floats = softmax(fitted.slope * np.log(np.maximum(values, LOWEST)) + np.array(fitted.intercepts), axis=1)
    return result


def _apply_regression(fitted: Calibrator, values: Floats) -> Floats:
    return fitted.slope * values + fitted.intercepts[0]


_FITTED: dict[str, Callable[[Floats, Floats, NDArray[np.int64]], Calibrator]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}
_APPLIED: dict[str, Callable[[Calibrator, Floats], Floats]] = {
    "binary": _apply_binary,
    "multiclass": _apply_multiclass,
    "regression": _apply_regression,
}
