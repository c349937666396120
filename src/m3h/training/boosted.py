"""Gradient-boosted trees of one task (LightGBM, Ke et al. 2017): what features say together, beyond additive models.

As additive models they are fitted in each fold of the rows fitted on without that fold, the number of trees is the one
with the least loss on the rows held out, and the mean of the folds' trees answers. All other settings are the same for
every task and study.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from m3h.study.task import Kind
from m3h.training.additive import Ground
from m3h.training.objective import Objective, mean_loss

if TYPE_CHECKING:
    import lightgbm

#: Small trees, as validation patients liked best.
SETTINGS: dict[str, Any] = {
    "learning_rate": 0.04,
    "num_leaves": 7,
    "min_data_in_leaf": 15,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 14.0,
    "max_bin": 63,  # as good as LightGBM's 255, in a quarter of the memory
    "boost_from_average": False,  # a fold may lack a class, whose log-odds are then not to be had
    "deterministic": True,
    "force_col_wise": True,  # the choice between row-wise and column-wise is else made by timing both
    "num_threads": 1,
    "verbosity": -1,
}
#: Each tree is offered this share of the columns, but no more than so many: with thousands, trees of all of them take
#: ten times as long.
COLUMN_SHARE, COLUMNS = 0.5, 256
#: Trees are added so many at a time, at most so many in all (for several classes, as many for each).
STEP, MOST = 50, 400

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Boosted:
    """The trees of one task: ``texts`` those of each fold as LightGBM writes them, "" or none without trees; ``start``
    (fold, outputs) what they are added to; ``usual`` (columns,) stands in for a value that is missing of a patient and
    was measured of everybody in the rows fitted on, NaN where trees learned what its absence says."""

    texts: tuple[str, ...]
    start: Float32
    usual: Float32

    def outputs(self, values: Float32) -> Float32:
        """Outputs (row, outputs) from values (row, columns) as encoded, NaN = not measured; log-odds, log-odds per
        class, or values in units of the task's scale around its centre."""
        filled = np.where(np.isnan(values), self.usual, values)
        total = np.zeros((len(values), self.start.shape[1]))
        for trees in self.read() if len(values) else ():
            total += np.asarray(trees.predict(filled, raw_score=True, num_threads=1)).reshape(total.shape)
        return np.asarray(self.start.astype(np.float64).mean(0) + total / len(self.start), np.float32)

    def read(self) -> Iterable[lightgbm.Booster]:
        """The trees of each fold that has any, read anew."""
        import lightgbm

        return (lightgbm.Booster(model_str=text) for text in self.texts if text)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a checkpoint."""
        packed = [np.frombuffer(zlib.compress(text.encode("ascii")), np.uint8) for text in self.texts]
        return {"start": self.start, "usual": self.usual} | {f"fold{n}": text for n, text in enumerate(packed)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Boosted:
        """What :meth:`arrays` described."""
        packed = [arrays[f"fold{number}"] for number in range(len(arrays) - 2)]
        texts = tuple(zlib.decompress(text.tobytes()).decode("ascii") for text in packed)
        return Boosted(texts, arrays["start"], arrays["usual"])


def fit_boosted(
    ground: Ground, y: Floats, kind: Kind, width: int, seed: int, alive: Callable[[], None]
) -> tuple[Boosted, Float32]:
    """The trees of one task from labels ``y`` (row,) of the rows fitted on, NaN = unlabelled, and the outputs (row,
    outputs) that each of these rows has from the fold that held it out. Works in the caller's thread."""
    table = _table(ground)
    folds = [_Fold(table, Objective(y, kind, width, ~out), out, seed) for out in ground.held]
    start = np.stack([fold.start for fold in folds])
    held = np.zeros((len(y), width), np.float32)
    for fold in folds:
        held[fold.held] = fold.start
    least, trees, best = mean_loss(kind, torch.from_numpy(held), y), 0, held
    while trees < MOST:
        held = held.copy()
        for fold in folds:
            held[fold.held] += fold.grow(alive)
        loss = mean_loss(kind, torch.from_numpy(held), y)
        if not loss < least:
            break
        least, trees, best = loss, trees + STEP, held
    texts = tuple(fold.text(trees) for fold in folds) if trees else ()
    return Boosted(texts, start, table.usual), best


@dataclass(frozen=True)
class _Table:
    """What the trees of all tasks read of the rows fitted on: values (row, columns), the same in LightGBM's bins, and
    medians (columns,) of what was measured of everybody, else NaN."""

    values: Float32
    binned: lightgbm.Dataset | None
    usual: Float32


_one_at_a_time = threading.Lock()


def _table(ground: Ground) -> _Table:
    """Made once and kept with the ground: with thousands of columns, finding bins takes as long as growing trees. Bins
    know no label."""
    with _one_at_a_time:
        if "boosted" not in ground.kept:
            import lightgbm

            values, binned = ground.values[ground.train], None
            if values.size:
                binned = lightgbm.Dataset(values, np.zeros(len(values)), params=SETTINGS).construct()
            ground.kept["boosted"] = _Table(values, binned, _usual(values))
        found: _Table = ground.kept["boosted"]
        return found


def _usual(values: Float32) -> Float32:
    if not len(values):
        return np.full(values.shape[1], np.nan, np.float32)
    # float64, as the mean of the two in the middle may be beyond float32 on the way; NaN of a column with holes
    return np.asarray([np.median(column.astype(np.float64)) for column in values.T], np.float32)


class _Fold:
    """The trees of one fold while they grow."""

    def __init__(self, table: _Table, of: Objective, out: NDArray[np.bool_], seed: int) -> None:
        import lightgbm

        self.start = of.start().numpy()
        self.held = np.flatnonzero(out)
        self._asked, self._outputs = table.values[out], of.outputs
        self._booster: lightgbm.Booster | None = None
        if table.binned is not None and len(of.rows):
            settings = SETTINGS | {
                "objective": of.kind,
                "feature_fraction": min(COLUMN_SHARE, COLUMNS / table.values.shape[1]),
                "seed": seed,
            }
            if of.kind == "multiclass":
                settings["num_class"] = of.outputs
            labels = of.truth.argmax(1) if of.kind == "multiclass" else of.truth[:, 0]
            start = np.tile(self.start, (len(of.rows), 1)).squeeze(1 if of.outputs == 1 else ())
            data = table.binned.subset(of.rows.tolist(), settings).construct()
            data.set_label(labels.numpy()).set_init_score(start)
            self._booster = lightgbm.Booster(settings, data)

    def grow(self, alive: Callable[[], None]) -> Float32:
        """Add :data:`STEP` trees; what they add to the outputs of the rows held out."""
        added = np.zeros((len(self.held), self._outputs), np.float32)
        if self._booster is None:
            return added
        before = self._booster.current_iteration()
        for _ in range(STEP):
            alive()
            self._booster.update()
        if len(self.held):
            new = self._booster.predict(
                self._asked, start_iteration=before, num_iteration=STEP, raw_score=True, num_threads=1
            )
            added += np.asarray(new, np.float32).reshape(added.shape)
        return added

    def text(self, trees: int) -> str:
        """The first trees as LightGBM writes them."""
        return "" if self._booster is None else str(self._booster.model_to_string(num_iteration=trees))
