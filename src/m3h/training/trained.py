"""What a training leaves: one network with all it takes to use it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from m3h.dataset.dataset import Rows
from m3h.dataset.scale import Scaler
from m3h.evaluation.scores import Prediction
from m3h.network.network import Network, Shape
from m3h.training.clusters import FixedSpace
from m3h.training.task_model import TaskModels
from m3h.training.trial import Trial


@dataclass(frozen=True)
class TrainedNetwork:
    """One trial, done.

    ``state`` are the weights as a fleet of its copies (one unless the preset has more); ``scaler`` was fitted on the
    rows trained on, and so were ``task_models``, what comes before the network; ``centres`` of each clustering task
    (clusters, token width). ``predictions`` per task and ``attention`` (task that asks, task that answers) are those of
    the rows the trial is scored on, ``evaluated``. ``held`` is what is predicted of the rows trained on, in their
    order, by what was kept from them: values as in Prediction by task; empty for a fold's trial, and for networks of
    one copy, of which no part was kept from any row. ``failed`` says why the training did not end well ("" if it did; a
    failed network has no predictions). ``seconds`` is the member's share of its fleet's time.
    """

    trial: Trial
    shape: Shape
    state: dict[str, Tensor]
    scaler: Scaler
    task_models: TaskModels | None = None
    space: FixedSpace | None = None
    centres: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    evaluated: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    predictions: dict[str, Prediction] = field(default_factory=dict)
    attention: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    held: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    seconds: float = 0.0
    failed: str = ""
    warnings: tuple[str, ...] = ()

    def network(self) -> Network:
        """The network, a fleet of its copies, without gradients."""
        network = Network(self.shape, self.shape.preset.copies)
        network.load_state_dict(self.state)
        return network.requires_grad_(False)
