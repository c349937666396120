"""Whether predictions can be taken at their word: reliability curves, measures of calibration, and what mends it."""

from m3h.evaluation.calibration.calibrator import Calibrator, calibrator
from m3h.evaluation.calibration.curve import Bin, Curve, curve
from m3h.evaluation.calibration.measures import Calibration, RegressionCalibration, calibration, regression_calibration

__all__ = [
    "Bin",
    "Calibration",
    "Calibrator",
    "Curve",
    "RegressionCalibration",
    "calibration",
    "calibrator",
    "curve",
    "regression_calibration",
]
