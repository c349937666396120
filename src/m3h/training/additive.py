"""Additive models: for each task what each feature adds, value by value, and what some add in pairs.

A task's output is a bias, plus functions of single features (m3h.dataset.basis), plus functions of pairs of those that
matter most (m3h.dataset.pairs). Single features are fitted twice, under a group lasso, which takes the few that matter
(m3h.training.sparse), and under a ridge, which takes all of them a little (m3h.training.dense); the model is a mix of
both. Pairs come on top, under a group lasso. Penalties and the mix are chosen for each task by cross-validation by
patient within the rows fitted on. The folds' models, averaged, are the task's model; each fold's own says what patients
look like that it has not seen, and that is what the rest of the network learns from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3h.dataset.basis import Basis
from m3h.dataset.pairs import COLUMNS, Pairs
from m3h.encoders.block import Block
from m3h.study.task import Kind
from m3h.training.dense import DensePath
from m3h.training.objective import Objective, mean_loss
from m3h.training.sparse import SparsePath

#: Penalties of single features, of the ridge, and of pairs, in the units of their modules; a path ends at the first
#: that is worse than the best so far.
SINGLE = (0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.055, 0.04)
RIDGE = (10.0, 3.0, 1.0, 0.3)
#: Shares of the ridge to choose from.
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
PAIRED = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08)
#: Folds within the rows fitted on.
FOLDS = 4
#: Pairs are made of so many features, those whose contributions vary most.
STRONGEST = 20

Float32 = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Additive:
    """One task's additive model.

    Outputs, log-odds or log-odds per class or values as fitted to, are ``bias`` (outputs,) plus
    ``weight`` (columns, outputs) times the basis, plus ``pair_weight`` (4 per pair, outputs) times the pairs.
    ``chosen`` are the penalties of the lasso, of the ridge and of pairs (inf: none of it), and the share of the ridge.
    """

    weight: Float32
    bias: Float32
    pairs: Pairs
    pair_weight: Float32
    chosen: tuple[float, float, float, float]

    def outputs(self, functions: Tensor, blocks: Mapping[str, Block], rows: Rows | None = None) -> Float32:
        """Outputs (row, outputs) of ``rows`` (default: all samples) from their functions (columns, row) and blocks."""
        out = _single_outputs(functions, torch.from_numpy(self.weight), torch.from_numpy(self.bias))
        if len(self.pairs.pairs):
            out = out + _pair_functions(self.pairs, blocks, rows).T @ torch.from_numpy(self.pair_weight)
        return np.asarray(out.numpy())

    @staticmethod
    def nothing(ground: Ground, width: int) -> Additive:
        """The model that says 0 of everybody."""
        weight, bias = np.zeros((ground.basis.columns, width), np.float32), np.zeros(width, np.float32)
        none = Pairs.fit(ground.blocks, [], ground.train[:0])
        return Additive(weight, bias, none, np.zeros((0, width), np.float32), (np.inf, np.inf, np.inf, 0.0))


@dataclass(frozen=True)
class Ground:
    """What the models of one fold's tasks have in common: the blocks, their functions (columns, sample) and those of
    the rows fitted on, these rows, their ``patients`` (row,) as numbers and their division into parts by patient;
    ``held`` bool (row,) for each part, and what else is ``kept`` because all tasks take it."""

    blocks: Mapping[str, Block]
    basis: Basis
    functions: Tensor
    fitted: Tensor
    train: Rows
    patients: Rows
    held: Sequence[NDArray[np.bool_]]
    kept: dict[str, Any] = field(default_factory=dict, compare=False)

    @staticmethod
    def of(blocks: Mapping[str, Block], train: Rows, patients: NDArray[Any], parts: Sequence[Rows]) -> Ground:
        """Fit the functions on ``train``; ``patients`` (sample,) of all samples."""
        basis = Basis.fit(blocks, train)
        functions = torch.from_numpy(basis.apply(blocks))
        held = [np.isin(train, part) for part in parts]
        own = np.unique(patients[train], return_inverse=True)[1]
        return Ground(blocks, basis, functions, functions[:, torch.from_numpy(train)], train, own, held)

    @cached_property
    def values(self) -> Float32:
        """The blocks as encoded, side by side (sample, columns)."""
        return side_by_side(self.blocks, np.arange(len(self.functions.T)))


def side_by_side(blocks: Mapping[str, Block], rows: Rows) -> Float32:
    """The columns of all blocks (row, columns), NaN = not measured or source absent."""
    gone = np.float32(np.nan)
    parts = [np.where(block.present[rows, None], block.values[rows], gone) for block in blocks.values()]
    return np.concatenate(parts, axis=1)


def fit_additive(
    ground: Ground, y: NDArray[np.float64], kind: Kind, width: int, alive: Callable[[], None] = lambda: None
) -> tuple[Additive, Float32]:
    """The additive model of one task, from labels ``y`` (row,) of the rows fitted on, NaN = unlabelled, and its outputs
    (sample, outputs) of all samples: of rows fitted on by the fold that held them out. ``alive`` is called now and
    then; what it raises ends the fit. Works in the caller's thread; the same bytes on every run in one thread."""
    work = _Work(ground, y, kind, width, alive)
    lasso, ridge = work.lasso(), work.ridge()
    share, single = work.mixed(lasso, ridge)
    chosen = work.strongest(single)
    pairs = Pairs.fit(ground.blocks, sorted({pair for own in chosen for pair in own}), ground.train)
    paired = work.paired(single, pairs, chosen)
    model = Additive(
        weight=_mean(single.weights),
        bias=_mean(single.biases) + _mean(paired.biases),
        pairs=pairs,
        pair_weight=_mean(paired.weights),
        chosen=(lasso.penalty, ridge.penalty, paired.penalty, share),
    )
    return _pruned(model, work, single, paired)


def _pruned(model: Additive, work: _Work, single: _Chosen, paired: _Chosen) -> tuple[Additive, Float32]:
    """The model without pairs of weight 0, and the outputs."""
    outputs = model.outputs(work.ground.functions, work.ground.blocks)
    outputs[work.ground.train] = single.held + paired.held
    by_pair = model.pair_weight.reshape(len(model.pairs.pairs), COLUMNS, model.bias.size)
    kept = np.abs(by_pair).sum((1, 2)) > 0
    pairs = Pairs(*(getattr(model.pairs, one.name)[kept] for one in fields(Pairs)))
    return replace(model, pairs=pairs, pair_weight=by_pair[kept].reshape(-1, model.bias.size)), outputs


@dataclass(frozen=True)
class _Chosen:
    """The folds' weights and biases at the penalty chosen, and the outputs of the rows each of them held out."""

    penalty: float
    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    held: Float32


class _Work:
    def __init__(
        self, ground: Ground, y: NDArray[np.float64], kind: Kind, width: int, alive: Callable[[], None]
    ) -> None:
        self.ground, self.y, self.kind, self.width, self.alive = ground, y, kind, width, alive
        self.held = ground.held
        self.functions = ground.fitted

    def lasso(self) -> _Chosen:
        """The few features that matter."""
        counts = torch.from_numpy(self.ground.basis.counts)
        return self._best(
            [SparsePath(self.functions, counts, one) for one in self._objectives()], self.functions, SINGLE
        )

    def ridge(self) -> _Chosen:
        """Every feature a little."""
        features = len(self.ground.basis.counts)
        return self._best(
            [DensePath(self.functions, features, one) for one in self._objectives()], self.functions, RIDGE
        )

    def mixed(self, lasso: _Chosen, ridge: _Chosen) -> tuple[float, _Chosen]:
        """The share of the ridge with the least loss on the rows held out, and that mix of both."""

        def of(share: float, one: Tensor, other: Tensor) -> Tensor:
            return one * (1 - share) + other * share

        both = torch.from_numpy(lasso.held), torch.from_numpy(ridge.held)
        losses = [mean_loss(self.kind, of(share, *both), self.y) for share in MIXES]
        share = MIXES[int(np.argmin(losses))]
        weights = [of(share, *pair) for pair in zip(lasso.weights, ridge.weights, strict=True)]
        biases = [of(share, *pair) for pair in zip(lasso.biases, ridge.biases, strict=True)]
        return share, _Chosen(lasso.penalty, weights, biases, np.asarray(of(share, *both).numpy()))

    def _objectives(self, offsets: Sequence[Tensor | None] | None = None) -> list[Objective]:
        """What each fold is fitted to."""
        offsets = offsets or [None] * len(self.held)
        return [Objective(self.y, self.kind, self.width, ~out, of) for out, of in zip(self.held, offsets, strict=True)]

    def paired(self, single: _Chosen, pairs: Pairs, chosen: Sequence[Sequence[tuple[int, int]]]) -> _Chosen:
        """Functions of pairs, on top; each fold may use the pairs that it chose itself."""
        functions = _pair_functions(pairs, self.ground.blocks, self.ground.train)
        counts = torch.full((len(pairs.pairs),), COLUMNS, dtype=torch.int64)
        listed = [tuple(pair) for pair in pairs.pairs.tolist()]
        said = [
            _single_outputs(self.functions, weight, bias)
            for weight, bias in zip(single.weights, single.biases, strict=True)
        ]
        paths = []
        for own, objective in zip(map(set, chosen), self._objectives(said), strict=True):
            allowed = torch.tensor([pair in own for pair in listed], dtype=torch.bool)
            paths.append(SparsePath(functions, counts, objective, allowed=allowed))
        return self._best(paths, functions, PAIRED, torch.from_numpy(single.held))

    def strongest(self, single: _Chosen) -> list[list[tuple[int, int]]]:
        """For each fold, the pairs of the features whose contributions vary most among the rows it is fitted on."""
        features = self.ground.basis.features(self.ground.blocks)
        group = np.repeat(np.arange(len(features)), self.ground.basis.counts)
        found = []
        for weight, held in zip(single.weights, self.held, strict=True):
            used = np.unique(group[weight.abs().sum(1).numpy() > 0])
            varies = {}
            for number in used[features[used] >= 0].tolist():
                columns = np.flatnonzero(group == number)
                adds = self.functions[columns][:, torch.from_numpy(np.flatnonzero(~held))].T @ weight[columns]
                varies[int(features[number])] = float(adds.double().var(0).sum())
            best = sorted(sorted(varies), key=lambda one: -varies[one])[:STRONGEST]
            found.append(list(combinations(sorted(best), 2)))
        return found

    def _best(
        self,
        paths: Sequence[SparsePath | DensePath],
        functions: Tensor,
        penalties: Sequence[float],
        offset: Tensor | None = None,
    ) -> _Chosen:
        """Go along the path in all folds at once, from no features at all up to the first penalty that is worse on the
        rows held out."""
        start = torch.zeros(len(self.y), self.width) if offset is None else offset
        best, least = None, np.inf
        for penalty in (np.inf, *penalties):
            held = torch.zeros(len(self.y), self.width)
            for path, out in zip(paths, self.held, strict=True):
                self.alive()
                if penalty < np.inf and len(functions):
                    path.go(penalty)
                rows = torch.from_numpy(np.flatnonzero(out))
                held[rows] = path.adds(functions[:, rows])
            loss = mean_loss(self.kind, start + held, self.y)
            if best is not None and not loss < least:
                break
            best, least = _Chosen(penalty, *_weights(paths), held.numpy()), loss
        assert best is not None
        return best


def _weights(paths: Sequence[SparsePath | DensePath]) -> tuple[list[Tensor], list[Tensor]]:
    return [path.weight.clone() for path in paths], [path.bias.clone() for path in paths]


def _mean(parts: Sequence[Tensor]) -> Float32:
    return np.asarray(torch.stack(list(parts)).mean(0).numpy())


def _pair_functions(pairs: Pairs, blocks: Mapping[str, Block], rows: Rows | None) -> Tensor:
    return torch.from_numpy(pairs.apply(blocks, rows))


def _single_outputs(functions: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    used = torch.nonzero(weight.abs().sum(1))[:, 0]
    return functions[used].T @ weight[used] + bias
