"""Conformal prediction by patient: sets of classes and intervals of values that hold the truth as often as promised."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError, SettingError
from m3h.evaluation.calibration.estimate import Estimate, check_probabilities, estimates, labelled, ratio, totals
from m3h.evaluation.intervals import Draws
from m3h.study.task import Kind

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
#: Levels that are usually asked for.
LEVELS = (0.8, 0.9)


@dataclass(frozen=True)
class Conformal:
    """Limits of scores, of a task of ``kind``, that hold the truth at ``level`` (0.9: nine times of ten).

    ``limits``: one for regressions, or how far down and how far up; for classes the highest score, 1 - probability, at
    which a class is in the set, of each class (all equal unless ``by_class``). Infinite where too few patients were
    seen: then every class, or value, is possible. ``scaled``: residuals were divided by a scale of each row, which
    :meth:`intervals` then needs. ``patients`` that the limits come from, of each limit.
    """

    kind: Kind
    level: float
    limits: tuple[float, ...]
    patients: tuple[int, ...]
    by_class: bool
    scaled: bool

    def sets(self, probabilities: Floats) -> Flags:
        """Which classes are possible, (n, classes): of a binary task the negative, then the positive one.

        ``probabilities`` (n, classes), of a binary task also (n,) of the positive class. A set may be empty: then no
        class is as likely as the true one mostly was. Errors: DataError for a regression, another number of classes,
        no probabilities.
        """
        if self.kind == "regression":
            raise DataError("sets of a regression", next_step="ask for its intervals")
        shares = _shares(self.kind, probabilities)
        if shares.shape[1:] != (len(self.limits),):
            raise DataError(f"probabilities of shape {probabilities.shape}", expected=f"(rows, {len(self.limits)})")
        inside: Flags = 1 - shares <= np.array(self.limits)
        return inside

    def intervals(self, values: Floats, scale: Floats | None = None) -> tuple[Floats, Floats]:
        """Lowest and highest possible value of each row, (n,) each, in the unit of ``values`` (n,).

        ``scale`` (n,) above 0, as when the limits were found, or None then and now. Errors: DataError for classes, or a
        scale that is missing, not asked for or not above 0.
        """
        if self.kind != "regression":
            raise DataError(f"intervals of a {self.kind} task", next_step="ask for its sets")
        if self.scaled != (scale is not None):
            raise DataError("a scale" if scale is not None else "no scale", expected="a scale now as when fitted")
        each = np.ones(len(values)) if scale is None else _scale(scale, values)
        return values - self.limits[0] * each, values + self.limits[-1] * each

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, infinite limits as None; :meth:`from_dict` reads them."""
        limits = [None if math.isinf(limit) else limit for limit in self.limits]
        return asdict(self) | {"limits": limits, "patients": list(self.patients)}

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> Conformal:
        """The limits that :meth:`as_dict` wrote. Errors: DataError for other keys or no limit."""
        names = {item.name for item in fields(Conformal)}
        if set(content) != names or not content["limits"]:
            raise DataError("no conformal limits", got=", ".join(sorted(content)), expected=", ".join(sorted(names)))
        limits = tuple(math.inf if limit is None else float(limit) for limit in content["limits"])
        return Conformal(**{**content, "limits": limits, "patients": tuple(content["patients"])})


@dataclass(frozen=True)
class Coverage:
    """Of ``n`` labelled rows with the subgroup ``value`` ("" of all rows) the share ``covered``, from 0 to 1, and the
    mean ``size``: classes in a set, or the width of an interval in the task's unit (lower is better)."""

    value: str
    n: int
    covered: Estimate
    size: float


def conformal(
    kind: Kind,
    truth: Floats,
    predicted: Floats,
    patients: NDArray[np.str_],
    *,
    level: float,
    by_class: bool = False,
    two_sided: bool = False,
    scale: Floats | None = None,
) -> Conformal:
    """Limits from predictions of rows that the model was not trained on, such as out-of-fold ones of training patients.

    ``truth`` (n,) 0 and 1, class numbers or values, NaN where a row has no label (left out); ``predicted`` (n,), for
    classes (n, classes); ``patients`` (n,) a name a row; ``level`` between 0 and 1, usually one of LEVELS; ``scale``
    (n,) above 0, of a regression: how uncertain each row is, in the unit of the task. A row's score is 1 - the
    probability of its class (Sadinle, Lei & Wasserman 2019), or its absolute residual, over its scale.

    Rows of one patient are not exchangeable with others', patients are. So each of the K patients weighs 1 / (K + 1),
    spread evenly over that patient's rows, the remaining 1 / (K + 1) lies at infinity, and the limit is the lowest
    score up to which the weights reach ``level``. With a row each it is the ceil((K + 1) level)-th lowest (Vovk,
    Gammerman & Shafer 2005). ``by_class``: a limit of each class, from the patients who have it (Vovk 2012).
    ``two_sided``, of a regression: a limit of the residuals below and one of those above, each at (1 + level) / 2, so
    that what is skewed, as a stay is, has its long side where it is (Linusson, Johansson & Lofstrom 2014).

    Guarantee: a row taken at random from a new patient like these is covered with a probability of at least ``level``
    (``by_class``: also of the rows of each class), whatever the model, if the same model, not trained on these
    patients, predicts both (Lee, Barber & Willett 2023; the setting of Dunn, Wasserman & Ramdas 2022). Out-of-fold
    predictions come from other models than the final one, so that there the guarantee holds about, not strictly
    (cross-conformal prediction, Vovk 2015). It is an average over patients: of a subgroup, or one patient, it promises
    nothing.

    Errors: DataError for a clustering, truths or predictions that do not fit the kind or are not finite, lengths that
    differ; SettingError for a level outside 0 to 1.
    """
    if kind not in ("binary", "multiclass", "regression"):
        raise DataError(f"conformal limits of a {kind} task", expected="binary, multiclass or regression")
    if not 0 < level < 1:
        raise SettingError("a level", got=f"{level:g}", expected="between 0 and 1, such as 0.9")
    if patients.shape != truth.shape:
        raise DataError(f"patients of shape {patients.shape}", expected=f"({len(truth)},), as the truth has rows")
    if by_class and kind == "regression":
        raise DataError("limits by class of a regression", next_step="leave by_class out")
    if two_sided and kind != "regression":
        raise DataError(f"limits of two sides of a {kind} task", next_step="leave two_sided out")
    known = ~np.isnan(truth)
    scores, classes = _scores(kind, truth, predicted, scale)
    names = patients[known]
    if two_sided:
        (below, count), (above, _) = (_limit(side, names, (1 + level) / 2) for side in (-scores, scores))
        return Conformal(kind, level, (below, above), (count, count), False, scale is not None)
    if kind == "regression":
        scores = np.abs(scores)
    if not by_class:
        limit, count = _limit(scores, names, level)
        repeated = 1 if kind == "regression" else predicted.shape[1] if predicted.ndim == 2 else 2
        return Conformal(kind, level, (limit,) * repeated, (count,) * repeated, False, scale is not None)
    numbers = range(predicted.shape[1] if predicted.ndim == 2 else 2)
    each = [_limit(scores[classes == number], names[classes == number], level) for number in numbers]
    return Conformal(kind, level, tuple(one[0] for one in each), tuple(one[1] for one in each), True, False)


def coverage(
    fitted: Conformal,
    truth: Floats,
    predicted: Floats,
    draws: Draws | None,
    *,
    subgroup: NDArray[np.str_] | None = None,
    scale: Floats | None = None,
) -> tuple[Coverage, ...]:
    """How often the truth was inside: of all rows first, then of each value of ``subgroup`` (n,) in sorted order.

    ``truth`` (n,), NaN where a row has no label (left out), and ``predicted`` as for :func:`conformal`, of patients it
    was not fitted on. ``draws`` (draws, n) from m3h.evaluation.intervals.patient_draws give 95 % intervals by patient
    of the coverage of these limits; that of limits from K other patients differs by sqrt(level (1 - level) / K) or so.
    Every row counts once here, while the promise is one of patients: where patients with many rows are harder to
    predict the two differ. Rows of subgroup "" (unknown) count in all rows only. NaN where no row has a label. Errors:
    as :func:`conformal`.
    """
    if subgroup is not None and subgroup.shape != truth.shape:
        raise DataError(f"subgroup of shape {subgroup.shape}", expected=f"({len(truth)},), as the truth has rows")
    known = ~np.isnan(truth)
    kept = labelled(truth, truth, draws)[2]
    scores, classes = _scores(fitted.kind, truth, predicted, scale)
    if fitted.kind == "regression":
        low, high = fitted.intervals(predicted[known], None if scale is None else scale[known])
        size = high - low
        inside = ((-scores <= fitted.limits[0]) & (scores <= fitted.limits[-1])).astype(np.float64)
    else:
        size = fitted.sets(predicted[known]).sum(axis=1).astype(np.float64)
        inside = (scores <= np.array(fitted.limits)[classes]).astype(np.float64)
    values = np.full(len(inside), "") if subgroup is None else subgroup[known]
    names = sorted(set(values.tolist()) - {""})
    members = [np.ones(len(inside), dtype=np.bool_), *(values == name for name in names)]
    return tuple(_coverage(name, rows, inside, size, kept) for name, rows in zip(["", *names], members, strict=True))


def _coverage(value: str, rows: Flags, inside: Floats, size: Floats, draws: Draws | None) -> Coverage:
    columns = np.column_stack([rows * inside, rows])

    def shares(drawn: Draws | None) -> list[Floats]:
        sums = totals(columns, drawn)
        return [ratio(sums[:, 0], sums[:, 1])]

    (covered,) = estimates(shares(None), None if draws is None else shares(draws))
    return Coverage(value, int(rows.sum()), covered, float(size[rows].mean()) if rows.any() else float("nan"))


def _limit(scores: Floats, patients: NDArray[np.str_], level: float) -> tuple[float, int]:
    """The limit of the ``scores`` (n,), and how many ``patients`` (n,) have them."""
    if not len(scores):
        return math.inf, 0
    _, owner, rows = np.unique(patients, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / rows[owner[order]])
    # sums of thirds and tenths miss whole numbers by rounding
    place = int(np.searchsorted(reached, level * (len(rows) + 1) - 1e-9))
    return (float(scores[order[place]]) if place < len(scores) else math.inf), len(rows)


def _scores(kind: Kind, truth: Floats, predicted: Floats, scale: Floats | None) -> tuple[Floats, NDArray[np.int64]]:
    """Score and class of each labelled row; of a regression the residual, signed, over its scale, and 0."""
    if scale is not None and kind != "regression":
        raise DataError(f"a scale of a {kind} task", expected="a scale of a regression, or none")
    dimensions = predicted.ndim if kind == "binary" else 1 + (kind == "multiclass")
    known = ~np.isnan(truth)
    truth, values, _ = labelled(truth, predicted, None, dimensions=dimensions)
    if not np.isfinite(values).all():
        raise DataError("a prediction is not finite", next_step="leave out a model that diverged")
    if kind == "regression":
        residuals = truth - values
        return residuals / (1.0 if scale is None else _scale(scale, predicted)[known]), np.zeros(len(truth), np.int64)
    shares = _shares(kind, values)
    if not np.isin(truth, np.arange(shares.shape[1])).all():
        raise DataError("class numbers do not fit the predictions", expected=f"0 to {shares.shape[1] - 1}")
    found = truth.astype(np.int64)
    return 1 - shares[np.arange(len(found)), found], found


def _shares(kind: Kind, probabilities: Floats) -> Floats:
    """Probabilities of all classes, (n, classes)."""
    check_probabilities(probabilities)
    # in float32 1 - p would lie on the other side of a limit of float64
    probabilities = probabilities.astype(np.float64)
    if kind == "binary" and probabilities.ndim == 1:
        return np.column_stack([1 - probabilities, probabilities])
    return probabilities


def _scale(scale: Floats, values: Floats) -> Floats:
    if scale.shape != values.shape or not (np.isfinite(scale) & (scale > 0)).all():
        raise DataError(f"a scale of shape {scale.shape}", expected=f"finite numbers above 0, ({len(values)},)")
    return scale
