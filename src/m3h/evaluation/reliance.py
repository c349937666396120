"""How far a model's answers to a task can be relied on, as numbers that are kept with the model for new patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError
from m3h.evaluation.calibration import Calibrator, calibrator
from m3h.evaluation.calibration.band import Band, band
from m3h.evaluation.conformal import LEVELS, Conformal, conformal
from m3h.study.task import Kind

Floats = NDArray[np.float64]
_KEYS = {"calibrator", "limits", "bands", "least"}


@dataclass(frozen=True)
class Reliance:
    """What mends the predictions of a task, and what is to be said beside them.

    ``limits`` of conformal sets and intervals, by rising level; ``bands`` of calibrated risks: one of a yes-or-no task,
    one of each class of several, None where too few patients had it; none of a regression. ``least`` is the lowest
    value seen, of a regression. All are of the calibrated
    prediction, and from patients that the model, or the part of it that spoke, was not trained on.
    """

    calibrator: Calibrator
    limits: tuple[Conformal, ...]
    bands: tuple[Band | None, ...]
    least: float | None

    @property
    def level(self) -> float:
        """The highest level of the limits: what :meth:`interval` and :meth:`possible` use."""
        return self.limits[-1].level

    def interval(self, calibrated: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bounds, shaped as ``calibrated``, NaN where none is known.

        Of a number: conformal, where the value of nine of ten patients lies at a level of 0.9, and no lower than any
        seen: a stay is not of minus three days, and a new patient is below all K seen once in K + 1 times. Of a risk:
        the 95 % interval of the share of such patients who have the outcome (m3h.evaluation.calibration.band).
        """
        if self.calibrator.kind == "regression":
            low, high = self.limits[-1].intervals(calibrated)
            if self.least is None or not np.isfinite(self.limits[-1].limits).all():
                return np.full(calibrated.shape, np.nan), np.full(calibrated.shape, np.nan)
            return np.maximum(low, self.least), np.maximum(high, self.least)
        columns = calibrated.reshape(len(calibrated), -1)
        bounds = np.full((2, *columns.shape), np.nan)
        for number, one in enumerate(self.bands):
            if one is not None:
                bounds[0, :, number], bounds[1, :, number] = one.around(columns[:, number])
        return bounds[0].reshape(calibrated.shape), bounds[1].reshape(calibrated.shape)

    def possible(self, calibrated: Floats) -> NDArray[np.bool_]:
        """Which classes the conformal set of each row holds: (n, classes); of a yes-or-no task no, then yes.

        Errors: DataError of a regression."""
        return self.limits[-1].sets(calibrated)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; :meth:`from_dict` reads them."""
        return {
            "calibrator": self.calibrator.as_dict(),
            "limits": [limit.as_dict() for limit in self.limits],
            "bands": [None if one is None else one.as_list() for one in self.bands],
            "least": self.least,
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> Reliance:
        """What :meth:`as_dict` wrote. Errors: DataError for other keys, or values that cannot be."""
        if set(content) != _KEYS or not content["limits"]:
            got, expected = ", ".join(sorted(content)), ", ".join(sorted(_KEYS))
            raise DataError("nothing that tells how far answers can be relied on", got=got, expected=expected)
        return Reliance(
            Calibrator.from_dict(content["calibrator"]),
            tuple(Conformal.from_dict(limit) for limit in content["limits"]),
            tuple(None if one is None else Band.from_list(one) for one in content["bands"]),
            None if content["least"] is None else float(content["least"]),
        )


def reliance(
    kind: Kind, truth: Floats, held: Floats, patients: NDArray[np.str_], levels: Sequence[float] = LEVELS
) -> Reliance:
    """From predictions ``held`` of rows that the model was not trained on, such as training rows by the folds.

    ``truth`` (n,), NaN where a row has no label; ``held`` (n,), of classes (n, classes), NaN where nothing was held
    out; ``patients`` (n,) a name a row; rising ``levels`` between 0 and 1. Errors: those of
    m3h.evaluation.calibration.calibrator and m3h.evaluation.conformal.conformal.
    """
    rows = known(truth, held)
    truth, held, patients = truth[rows], held[rows], patients[rows]
    mended = calibrator(kind, truth, held, patients)
    calibrated = mended.apply(held)
    sides = kind == "regression"
    limits = tuple(
        conformal(kind, truth, calibrated, patients, level=level, two_sided=sides) for level in sorted(levels)
    )
    least = float(truth.min()) if sides and len(truth) else None
    return Reliance(mended, limits, _bands(kind, truth, calibrated, patients), least)


def known(truth: Floats, held: Floats) -> NDArray[np.bool_]:
    """The rows (n,) that are labelled and were held out."""
    found: NDArray[np.bool_] = ~np.isnan(truth) & ~np.isnan(held.reshape(len(held), -1)).any(axis=1)
    return found


def _bands(kind: Kind, truth: Floats, calibrated: Floats, patients: NDArray[np.str_]) -> tuple[Band | None, ...]:
    if kind == "regression":
        return ()
    if kind == "binary":
        return (band(truth, calibrated, patients),)
    return tuple(
        band((truth == number).astype(np.float64), calibrated[:, number], patients)
        for number in range(calibrated.shape[1])
    )
