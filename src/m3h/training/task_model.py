"""What comes before the network for each task: its additive model, and boosted trees beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3h.dataset.basis import Basis
from m3h.dataset.pairs import Pairs
from m3h.encoders.block import Block
from m3h.study.task import Kind
from m3h.training.additive import Additive, Ground, Rows, fit_additive, side_by_side
from m3h.training.boosted import Boosted, fit_boosted
from m3h.training.objective import best_beyond_doubt, row_losses

#: Shares of the trees to choose from; the first is taken unless another is better beyond doubt.
SHARES = (0.5, 0.0, 0.25, 0.75, 1.0)
#: Beyond doubt: by so many standard errors of the difference of the losses.
DOUBT = 2.0

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class TaskModel:
    """One task's additive model and trees. Outputs are those of both, trees counting ``share``, in units of ``scale``
    around ``centre`` (of regressions; else 1 and 0)."""

    additive: Additive
    boosted: Boosted | None
    share: float
    scale: float
    centre: float

    def outputs(self, functions: Tensor, blocks: Mapping[str, Block], values: Float32, rows: Rows) -> Float32:
        """Outputs (row, outputs) of ``rows`` from their functions (columns, row), their values (row, columns) and the
        blocks of all samples."""
        said = self.additive.outputs(functions, blocks, rows)
        return said if self.boosted is None else _mixed(said, self.boosted.outputs(values), self.share)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a checkpoint."""
        own = self.additive
        found = {"weight": own.weight, "bias": own.bias, "pair_weight": own.pair_weight}
        found |= {f"pairs.{part.name}": getattr(own.pairs, part.name) for part in fields(Pairs)}
        found["numbers"] = np.array([self.scale, self.centre, self.share, *own.chosen])
        if self.boosted is not None:
            found |= {f"trees.{name}": value for name, value in self.boosted.arrays().items()}
        return found

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> TaskModel:
        """What :meth:`arrays` described."""
        scale, centre, share, *chosen = arrays["numbers"].tolist()
        pairs = Pairs(*(arrays[f"pairs.{one.name}"] for one in fields(Pairs)))
        additive = Additive(arrays["weight"], arrays["bias"], pairs, arrays["pair_weight"], tuple(chosen))
        trees = {name.removeprefix("trees."): value for name, value in arrays.items() if name.startswith("trees.")}
        return TaskModel(additive, Boosted.from_arrays(trees) if trees else None, share, scale, centre)


@dataclass(frozen=True)
class TaskModels:
    """The models of a network's tasks, and the functions that the additive ones add up."""

    basis: Basis
    models: Mapping[str, TaskModel]

    def evidence(self, tasks: Sequence[str], blocks: Mapping[str, Block], rows: Rows) -> Tensor:
        """What the models say of some rows (1, row, evidence); see m3h.network.evidence."""
        functions, values = torch.from_numpy(self.basis.apply(blocks, rows)), side_by_side(blocks, rows)
        own = [self.models[name] for name in tasks if name in self.models]
        return evidence_of([model.outputs(functions, blocks, values, rows) for model in own])[None]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a checkpoint."""
        found = self.basis.arrays()
        for name, model in self.models.items():
            found |= {f"task/{what}/{name}": value for what, value in model.arrays().items()}
        return found

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]], sources: Sequence[str], tasks: Sequence[str]) -> TaskModels:
        """What :meth:`arrays` described, of these sources and of those of the tasks that have a model."""
        own: dict[str, dict[str, NDArray[Any]]] = {}
        for key, value in arrays.items():
            if key.startswith("task/"):
                _, what, name = key.split("/", 2)
                own.setdefault(name, {})[what] = value
        models = {name: TaskModel.from_arrays(own[name]) for name in tasks if name in own}
        return TaskModels(Basis.from_arrays(arrays, sources), models)


def evidence_of(said: Sequence[Float32]) -> Tensor:
    """Outputs (row, outputs) of several models side by side (row, evidence)."""
    return torch.from_numpy(np.concatenate(said, 1))


@dataclass(frozen=True)
class Fitted:
    """A task's model, and its ``outputs`` float32 (sample, outputs) of all samples: of rows fitted on by the fold that
    held them out."""

    model: TaskModel
    outputs: Float32


def fit_task(
    ground: Ground,
    labels: NDArray[np.float64],
    kind: Kind,
    width: int,
    *,
    trees: bool = False,
    seed: int = 0,
    alive: Callable[[], None] = lambda: None,
) -> Fitted:
    """The model of one task from ``labels`` (sample,), NaN = unlabelled, with boosted trees if ``trees``, whose random
    numbers follow from ``seed``. ``alive`` is called now and then; what it raises ends the fit. Works in the caller's
    thread; the same bytes on every run in one thread."""
    y = labels[ground.train]
    known = y[~np.isnan(y)]
    centre, scale = 0.0, 1.0
    if kind == "regression" and len(known):
        centre, scale = float(known.mean()), float(known.std()) or 1.0
    y = (y - centre) / scale
    fitted = _fit(ground, y, kind, width, trees, seed, alive)
    fitted = replace(fitted, model=replace(fitted.model, scale=scale, centre=centre))
    return _believed(fitted, ground, y) if kind == "regression" else fitted


def _fit(
    ground: Ground,
    y: NDArray[np.float64],
    kind: Kind,
    width: int,
    trees: bool,
    seed: int,
    alive: Callable[[], None],
) -> Fitted:
    """The model of y (row,) as it is."""
    additive, outputs = fit_additive(ground, y, kind, width, alive)
    if not trees:
        return Fitted(TaskModel(additive, None, 0.0, 1.0, 0.0), outputs)
    boosted, held = fit_boosted(ground, y, kind, width, seed, alive)
    said = np.empty_like(outputs)
    said[ground.train] = held
    others = np.setdiff1d(np.arange(len(said)), ground.train)
    said[others] = boosted.outputs(ground.values[others])
    share = _share(ground, kind, outputs[ground.train], held, y)
    return Fitted(TaskModel(additive, boosted if share else None, share, 1.0, 0.0), _mixed(outputs, said, share))


def _mixed(additive: Float32, boosted: Float32, share: float) -> Float32:
    return additive * np.float32(1 - share) + boosted * np.float32(share)


def _share(ground: Ground, kind: Kind, additive: Float32, boosted: Float32, y: NDArray[np.float64]) -> float:
    """Half of each, or what is better than that on the rows held out beyond doubt. The best of several shares is so
    partly by chance; two different models, averaged, seldom lose to the better one."""
    losses = [row_losses(kind, torch.from_numpy(_mixed(additive, boosted, share)), y).numpy() for share in SHARES]
    return SHARES[best_beyond_doubt(losses, ground.patients[~np.isnan(y)], DOUBT)] if len(losses[0]) else SHARES[0]


def _believed(fitted: Fitted, ground: Ground, y: NDArray[np.float64]) -> Fitted:
    """The model of a regression of ``y`` (row,), in its units; or the median for everybody, if the model is not better
    than that on the rows held out beyond doubt. Squared errors are decided by the few who are far from all others: a
    model that knows two of them, and nothing else, has the best score of all in cross-validation."""
    known = ~np.isnan(y)
    if not known.any():
        return fitted
    median, own = float(np.median(y[known])), fitted.model
    losses = [np.square(y - median)[known], np.square(y - fitted.outputs[ground.train, 0])[known]]
    if best_beyond_doubt(losses, ground.patients[known], DOUBT):
        return fitted
    model = TaskModel(Additive.nothing(ground, 1), None, 0.0, own.scale, own.centre + own.scale * median)
    return Fitted(model, np.zeros_like(fitted.outputs))
