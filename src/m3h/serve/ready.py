"""Networks and trees that are made once and kept: what a prediction of one patient would else spend its time on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from m3h.network.network import Network
from m3h.training.boosted import Boosted
from m3h.training.task_model import TaskModel, TaskModels
from m3h.training.trained import TrainedNetwork

if TYPE_CHECKING:
    import lightgbm


@dataclass(frozen=True)
class ReadyTrees(Boosted):
    """Boosted trees whose texts are read once. Says what :class:`Boosted` says, to the last bit."""

    @cached_property
    def _kept(self) -> tuple[lightgbm.Booster, ...]:
        return tuple(super().read())

    def read(self) -> tuple[lightgbm.Booster, ...]:
        """As :meth:`Boosted.read`, the same ones on each call."""
        return self._kept


@dataclass(frozen=True)
class ReadyNetwork(TrainedNetwork):
    """A trained network whose modules are built once."""

    @cached_property
    def built(self) -> Network:
        """The network, as :meth:`TrainedNetwork.network` builds it."""
        return super().network()

    def network(self) -> Network:
        """As :meth:`TrainedNetwork.network`, the same one on each call: it is not to be trained on."""
        return self.built


def ready(trained: TrainedNetwork) -> ReadyNetwork:
    """A trained network with its modules built and its trees read."""
    models = None if trained.task_models is None else _models(trained.task_models)
    made = ReadyNetwork(**_parts(trained) | {"task_models": models})
    made.network()
    return made


def _models(models: TaskModels) -> TaskModels:
    return replace(models, models={name: _model(model) for name, model in models.models.items()})


def _model(model: TaskModel) -> TaskModel:
    if model.boosted is None:
        return model
    trees = ReadyTrees(**_parts(model.boosted))
    trees.read()  # now, and not when the first patient is waiting
    return replace(model, boosted=trees)


def _parts(of: Any) -> dict[str, Any]:
    return {part.name: getattr(of, part.name) for part in fields(of)}
