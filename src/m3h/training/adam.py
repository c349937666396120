"""Adam for a fleet: every member has its own learning rate, gradient norm and step count.

The steps are PyTorch's fused Adam over views of the fleet's parameters: neighbouring members with equal learning
rate, step count and shrinkage are one view. Shrinking a gradient to its norm's limit is left to the fused step on the
CPU, which saves a pass over all gradients; elsewhere it is a product, since there may be thousands of members.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

Which = NDArray[np.bool_]


class FleetAdam:
    """Adam (Kingma & Ba 2015), betas 0.9 and 0.999, no weight decay, after clipping each member's gradient norm.

    A parameter without a gradient is skipped, so its moments do not decay; so are members that are not active.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], learning_rates: Sequence[float], clip: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.rates = np.asarray(learning_rates, np.float64)
        self.clip = clip
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [np.zeros(len(self.rates), np.int64) for _ in self.parameters]
        self.views: dict[tuple[int, int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def zero(self) -> None:
        """Drop all gradients."""
        for p in self.parameters:
            p.grad = None

    def norms(self) -> Float[Tensor, " fleet"]:
        """Gradient norm of each member over all parameters that have a gradient."""
        each = [torch.linalg.vector_norm(p.grad.flatten(1), dim=1) for p in self.parameters if p.grad is not None]
        # by rows, so that a member's sum runs in the same order in a fleet of any size
        norms: Tensor = torch.linalg.vector_norm(torch.stack(each, 1), dim=1)
        return norms

    def step(self, active: Which, factor: float = 1.0) -> Which:
        """One step of the active members, ``factor`` times their learning rate long; tells which of them have a finite
        gradient (the others do not step)."""
        norms = self.norms()
        known = norms.cpu().numpy().astype(np.float64)  # who steps is decided on the CPU, whatever the device
        finite = np.isfinite(known)
        scale = np.maximum((known + 1e-6) / self.clip, 1.0) if self.clip else np.ones_like(known)
        if norms.device.type != "cpu":
            if (scale[active & finite] > 1).any():
                self._shrink(norms)
            scale = np.ones_like(known)
        touched: dict[bytes, list[int]] = {}
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                touched.setdefault(self.steps[index].tobytes(), []).append(index)
        for indices in touched.values():
            counts = self.steps[indices[0]].copy()
            for begin, end in self._runs(active & finite, counts, scale):
                self._apply(indices, begin, end, int(counts[begin]) + 1, float(scale[begin]), factor)
        return finite

    def _shrink(self, norms: Tensor) -> None:
        factors = (self.clip / (norms + 1e-6)).clamp_max(1.0)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factors.view(-1, *[1] * (parameter.dim() - 1)))

    def _runs(
        self, stepping: Which, counts: NDArray[np.int64], scale: NDArray[np.float64]
    ) -> Iterator[tuple[int, int]]:
        """Neighbouring members that step alike: (begin, end)."""
        columns = (stepping[1:] == stepping[:-1], counts[1:] == counts[:-1], scale[1:] == scale[:-1])
        alike = columns[0] & columns[1] & columns[2] & (self.rates[1:] == self.rates[:-1])
        edges = [0, *(np.flatnonzero(~alike) + 1).tolist(), len(stepping)]
        for begin, end in itertools.pairwise(edges):
            if stepping[begin]:
                yield begin, end

    def _view(self, index: int, begin: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        key = (index, begin, end)
        if key not in self.views:
            whole = (self.parameters[index].data, self.first[index], self.second[index])
            self.views[key] = tuple(part[begin:end] for part in whole)  # type: ignore[assignment]
        return self.views[key]

    def _apply(self, indices: Sequence[int], begin: int, end: int, step: int, scale: float, factor: float) -> None:
        views = [self._view(index, begin, end) for index in indices]
        gradients = [g[begin:end] for index in indices if (g := self.parameters[index].grad) is not None]
        device = gradients[0].device
        for index in indices:
            self.steps[index][begin:end] = step
        torch._fused_adam_(
            [view[0] for view in views],
            gradients,
            [view[1] for view in views],
            [view[2] for view in views],
            [],
            [torch.tensor(float(step), device=device)] * len(indices),
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=float(self.rates[begin]) * factor,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
            grad_scale=torch.tensor(scale, dtype=torch.float32) if scale != 1 else None,
        )
