"""Adam for a fleet: every member has its own learning rate, gradient norm and step count.

The steps are PyTorch's fused Adam over views of the fleet's parameters: neighbouring members with equal learning
rate and step count are one view, so the usual case is one call over as many tensors as one network has. Measured on
24 members of an icu2012-sized network on 2 cores, that costs about a tenth of the same arithmetic in tensor code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.optim.adam import adam


class FleetAdam:
    """Adam (Kingma & Ba 2015), betas 0.9 and 0.999, no weight decay, after clipping each member's gradient norm.

    A parameter without a gradient is skipped, so its moments do not decay; so are members that are not ``active``.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], learning_rates: Sequence[float], clip: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.learning_rates = list(learning_rates)
        self.clip = clip
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [[0] * len(self.learning_rates) for _ in self.parameters]

    def zero(self) -> None:
        """Drop all gradients."""
        for p in self.parameters:
            p.grad = None

    def norms(self) -> Float[Tensor, " fleet"]:
        """Gradient norm of each member over all parameters that have a gradient."""
        each = [torch.linalg.vector_norm(p.grad.flatten(1), dim=1) for p in self.parameters if p.grad is not None]
        norms: Tensor = torch.linalg.vector_norm(torch.stack(each), dim=0)
        return norms

    def step(self, active: Bool[Tensor, " fleet"]) -> Bool[Tensor, " fleet"]:
        """One step of the active members; tells which of them have a finite gradient (the others do not step)."""
        norms = self.norms()
        finite = torch.isfinite(norms).cpu()  # who steps is decided on the CPU, whatever the device
        stepping = (active & finite).tolist()
        if self.clip:
            self._shrink(norms)
        by_rate: dict[float, list[tuple[int, int, int, int]]] = {}
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                for begin, end, rate, steps in self._runs(index, stepping):
                    by_rate.setdefault(rate, []).append((index, begin, end, steps))
        for rate, views in by_rate.items():
            self._apply(rate, views)
        return finite

    def _shrink(self, norms: Tensor) -> None:
        factors = (self.clip / (norms + 1e-6)).clamp_max(1.0)
        if bool((factors < 1).any()):
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(factors.view(-1, *[1] * (parameter.dim() - 1)))

    def _runs(self, index: int, stepping: Sequence[bool]) -> Iterator[tuple[int, int, float, int]]:
        """Neighbouring members that step with equal rate and count: (begin, end, rate, steps before)."""
        counts, rates = self.steps[index], self.learning_rates
        begin = 0
        while begin < len(rates):
            if not stepping[begin]:
                begin += 1
                continue
            end = begin + 1
            while end < len(rates) and stepping[end] and (rates[end], counts[end]) == (rates[begin], counts[begin]):
                end += 1
            yield begin, end, rates[begin], counts[begin]
            begin = end

    def _apply(self, rate: float, views: Sequence[tuple[int, int, int, int]]) -> None:
        parameters, gradients, first, second, counts = [], [], [], [], []
        for index, begin, end, steps in views:
            gradient = self.parameters[index].grad
            assert gradient is not None
            parameters.append(self.parameters[index].data[begin:end])
            gradients.append(gradient[begin:end])
            first.append(self.first[index][begin:end])
            second.append(self.second[index][begin:end])
            counts.append(torch.tensor(float(steps), device=gradient.device))
            self.steps[index][begin:end] = [steps + 1] * (end - begin)
        adam(
            parameters,
            gradients,
            first,
            second,
            [],
            counts,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
