"""One task as the model answers it: predictions of test rows, and of training rows held out, as made and calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from m3h.evaluation.calibration import Calibrator
from m3h.evaluation.reliance import Reliance, known, reliance
from m3h.study.task import Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """The predictions of the model that answers for ``task``, of preset ``preset`` in its ``role``.

    ``truth`` (n,) and ``predicted`` (n, ...) are of the test rows; ``held_truth`` (m,), ``held`` (m, ...) and
    ``held_patients`` (m,) of the training rows, predicted by parts of the model that were kept from them: rows whose
    prediction is NaN were not held out. Values as in m3h.evaluation.scores.Prediction.
    """

    task: str
    kind: Kind
    classes: tuple[str, ...]
    role: str
    preset: str
    truth: Floats
    predicted: Floats
    held_truth: Floats
    held: Floats
    held_patients: NDArray[np.str_]

    @property
    def names(self) -> dict[str, str]:
        """What every row of a table of it begins with."""
        return {"task": self.task, "role": self.role, "preset": self.preset}

    @cached_property
    def held_known(self) -> NDArray[np.bool_]:
        """The training rows (m,) that are labelled and were held out."""
        return known(self.held_truth, self.held)

    @cached_property
    def reliance(self) -> Reliance:
        """What mends its predictions and stands beside them, from the training rows held out."""
        return reliance(self.kind, self.held_truth, self.held, self.held_patients)

    @property
    def calibrator(self) -> Calibrator:
        """What mends its predictions."""
        return self.reliance.calibrator

    @cached_property
    def calibrated(self) -> Floats:
        """The test rows' predictions, mended."""
        return self.calibrator.apply(self.predicted)

    @cached_property
    def held_calibrated(self) -> Floats:
        """The predictions of the training rows that are :attr:`held_known`, mended."""
        return self.calibrator.apply(self.held[self.held_known])

    def outcomes(self) -> list[tuple[str, Floats, Floats, Floats]]:
        """Class, truth (n,), prediction and calibrated prediction (n,): one outcome without a class name, or each class
        against all others."""
        if self.kind != "multiclass":
            return [("", self.truth, self.predicted, self.calibrated)]
        known = ~np.isnan(self.truth)
        return [
            (
                name,
                np.where(known, (self.truth == number).astype(np.float64), np.nan),
                self.predicted[:, number],
                self.calibrated[:, number],
            )
            for number, name in enumerate(self.classes)
        ]
