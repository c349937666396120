"""Metrics of predictions, each for many weightings of the same rows at once: what a bootstrap needs.

Every function takes ``weights`` (draws, rows), whole numbers that say how often a row is in a draw, or None for each
row once, and gives one value per draw (draws,), float64. The value is that of the resampled rows, ties included, and
NaN where the draw cannot be scored. Predictions that are not finite (a network that diverged) give NaN throughout.
Rows without a label must have been dropped before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from m3h.core.errors import DataError

Floats = NDArray[np.float64]
#: Draws of rows: (draws, rows), how often a row is in a draw.
Weights = NDArray[np.generic]

#: A pass over some draws holds at most this many weights as float64 (8 MB), and a few arrays of that size beside.
CELLS = 1_000_000


def auroc(truth: Floats, score: Floats, weights: Weights | None = None) -> Floats:
    """Area under the receiver operating characteristic, from 0 to 1; higher is better, 0.5 is chance.

    The share of pairs of a positive and a negative row in which the positive has the higher score, equal scores
    counting one half. ``truth`` (n,) holds 0 and 1, ``score`` (n,) anything that rises with the risk. NaN for a draw
    without a positive or without a negative row. Equal to scikit-learn's roc_auc_score on the resampled rows.

    Truth 0 0 1 1 with scores 0.1 0.4 0.35 0.8: three of four pairs are in order, 0.75.
    """
    _check_binary(truth, score)
    if _unusable(score):
        return _undefined(weights)
    positive, negative = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    negative = negative[np.argsort(score[negative], kind="stable")]
    below = np.searchsorted(score[negative], score[positive], side="left")
    up_to = np.searchsorted(score[negative], score[positive], side="right")

    def area(drawn: Floats) -> Floats:
        cases = drawn[:, positive]
        controls = np.zeros((len(drawn), len(negative) + 1))
        np.cumsum(drawn[:, negative], axis=1, out=controls[:, 1:])
        # whole numbers below 2**53: the sums are exact in whatever order they run
        won = (cases * (controls[:, below] + controls[:, up_to])).sum(axis=1)
        return _ratio(won, 2.0 * cases.sum(axis=1) * controls[:, -1])

    return _per_draw(area, weights, len(truth))


def auprc(truth: Floats, score: Floats, weights: Weights | None = None) -> Floats:
    """Area under the precision-recall curve, as average precision (no interpolation); from 0 to 1, higher is better.

    The sum over distinct scores, highest first, of the recall gained there times the precision reached there; chance
    is the prevalence. ``truth`` (n,) holds 0 and 1. NaN for a draw that lacks a class. Equal to scikit-learn's
    average_precision_score on the resampled rows.

    Truth 0 0 1 1 with scores 0.1 0.4 0.35 0.8: 1/2 * 1/1 + 1/2 * 2/3 = 0.833.
    """
    _check_binary(truth, score)
    if _unusable(score):
        return _undefined(weights)
    order = np.argsort(-score, kind="stable")
    # a threshold stands behind the last of equal scores
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    positive = truth[order] == 1

    def area(drawn: Floats) -> Floats:
        ranked = drawn[:, order]
        called = np.cumsum(ranked, axis=1)[:, last]
        hits = np.cumsum(ranked * positive, axis=1)[:, last]
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        gained = np.diff(hits, axis=1, prepend=0.0)
        both = called[:, -1] > hits[:, -1]
        return np.where(both, _ratio((gained * precision).sum(axis=1), hits[:, -1]), np.nan)

    return _per_draw(area, weights, len(truth))


def brier(truth: Floats, probability: Floats, weights: Weights | None = None) -> Floats:
    """Brier score: mean squared difference of probability and outcome, from 0 to 1; lower is better.

    ``truth`` (n,) holds 0 and 1, ``probability`` (n,) lies between 0 and 1. NaN for a draw without rows.
    Errors: DataError for a probability outside 0 to 1. Equal to scikit-learn's brier_score_loss.
    """
    _check_binary(truth, probability)
    outside = (probability < 0) | (probability > 1)
    if outside.any():
        raise DataError(
            f"{int(outside.sum())} of {len(probability)} predictions are no probabilities",
            got=", ".join(f"{value:g}" for value in probability[outside][:3]),
            expected="numbers from 0 to 1",
            next_step="give probabilities, not logits",
        )
    return _weighted_mean((truth - probability) ** 2, weights)


def macro_auroc(truth: Floats, probabilities: Floats, weights: Weights | None = None) -> Floats:
    """Plain mean of the one-versus-rest :func:`auroc` of the classes; from 0 to 1, higher is better, 0.5 is chance.

    ``truth`` (n,) holds class numbers, ``probabilities`` (n, classes). Averaged are the classes that some but not all
    rows have; :func:`classes_left_out` tells the others. The same classes count in every draw: one that lacks a class
    counted, or all others, is NaN, or else draws would measure different things. Equal to scikit-learn's
    roc_auc_score(multi_class="ovr", average="macro") where all classes occur. NaN if no class can be scored.
    """
    _check_rows(truth, probabilities, 2)
    scored = sorted(set(range(probabilities.shape[1])) - set(classes_left_out(truth, probabilities.shape[1])))
    if not scored:
        return _undefined(weights)
    areas = [auroc((truth == label).astype(np.float64), probabilities[:, label], weights) for label in scored]
    average: Floats = np.stack(areas).mean(axis=0)
    return average


def classes_left_out(truth: Floats, classes: int) -> tuple[int, ...]:
    """The class numbers below ``classes`` that no row has or every row has: they have no one-versus-rest AUROC."""
    counts = np.bincount(truth.astype(np.int64), minlength=classes)
    return tuple(int(label) for label in np.flatnonzero((counts == 0) | (counts == len(truth))))


def r2(truth: Floats, prediction: Floats, weights: Weights | None = None) -> Floats:
    """Coefficient of determination, 1 - squared errors / squared deviations from the mean of the draw's rows.

    1 is perfect, 0 is as good as that mean, below 0 is worse; higher is better. ``truth`` and ``prediction`` (n,) in
    the same unit. NaN for a draw whose truths are all equal. Equal to scikit-learn's r2_score elsewhere.
    """
    _check_rows(truth, prediction, 1)
    if _unusable(prediction):
        return _undefined(weights)
    # squares of deviations from the overall mean keep the digits that squares of the truths themselves would lose
    centred = truth - truth.mean()
    squares, errors = centred**2, (truth - prediction) ** 2

    def explained(drawn: Floats) -> Floats:
        rows = drawn.sum(axis=1)
        second = (drawn * squares).sum(axis=1)
        spread = second - _ratio((drawn * centred).sum(axis=1) ** 2, rows)
        spread[~(spread > 1e-12 * second)] = 0.0  # what rounding leaves of a draw of equal truths
        return 1.0 - _ratio((drawn * errors).sum(axis=1), spread)

    return _per_draw(explained, weights, len(truth))


def mae(truth: Floats, prediction: Floats, weights: Weights | None = None) -> Floats:
    """Mean absolute error in the unit of ``truth`` (n,); lower is better. NaN for a draw without rows."""
    _check_rows(truth, prediction, 1)
    return _weighted_mean(np.abs(truth - prediction), weights)


def mean(values: Floats, weights: Weights | None = None) -> Floats:
    """Mean over the rows of a measure that each row has by itself (n,), such as its reconstruction error."""
    return _weighted_mean(values, weights)


def _weighted_mean(values: Floats, weights: Weights | None) -> Floats:
    if _unusable(values):
        return _undefined(weights)
    return _per_draw(lambda drawn: _ratio((drawn * values).sum(axis=1), drawn.sum(axis=1)), weights, len(values))


def _per_draw(measure: Callable[[Floats], Floats], weights: Weights | None, rows: int) -> Floats:
    """``measure`` of all draws, a chunk at a time; each draw is summed by itself, so chunks change no digit."""
    return np.concatenate([measure(drawn) for drawn in _chunks(weights, rows)])


def _chunks(weights: Weights | None, rows: int) -> Iterator[Floats]:
    if weights is None:
        yield np.ones((1, rows))
        return
    if weights.ndim != 2 or weights.shape[1] != rows:
        raise DataError(f"weights of shape {weights.shape}", expected=f"(draws, {rows})")
    step = max(1, CELLS // max(1, rows))
    for start in range(0, max(1, len(weights)), step):
        yield weights[start : start + step].astype(np.float64)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """``top / bottom``, NaN where ``bottom`` is 0."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)


def _unusable(predictions: Floats) -> bool:
    return len(predictions) == 0 or not bool(np.isfinite(predictions).all())


def _undefined(weights: Weights | None) -> Floats:
    return np.full(1 if weights is None else len(weights), np.nan)


def _check_binary(truth: Floats, score: Floats) -> None:
    _check_rows(truth, score, 1)
    wrong = truth[(truth != 0) & (truth != 1)]
    if len(wrong):
        raise DataError(
            f"{len(wrong)} of {len(truth)} outcomes are neither 0 nor 1",
            got=", ".join(f"{value:g}" for value in wrong[:3]),
            expected="0 or 1; rows without a label dropped",
        )


def _check_rows(truth: Floats, prediction: Floats, dimensions: int) -> None:
    if truth.ndim != 1 or prediction.ndim != dimensions or len(prediction) != len(truth):
        shape = "(rows,)" if dimensions == 1 else "(rows, classes)"
        raise DataError(
            f"predictions of shape {prediction.shape} for truth of shape {truth.shape}",
            expected=f"truth (rows,) and predictions {shape}",
        )
    if np.isnan(truth).any():
        raise DataError(f"{int(np.isnan(truth).sum())} rows have no label", next_step="drop them before scoring")
