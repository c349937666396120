"""From a trained fleet to trained networks: predictions, patient groups, and what it takes to use them again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.training import predict
from m3h.training.clusters import centres
from m3h.training.gates import HeldOut, set_gates
from m3h.training.members import Members
from m3h.training.prepared import Prepared
from m3h.training.task_model import Fitted
from m3h.training.trained import TrainedNetwork

Centres = dict[tuple[int, int], NDArray[np.float32]]


def finish(
    prepared: Prepared, fleet: Members, dataset: Dataset, evaluate: bool, task_models: Mapping[str, Fitted]
) -> list[TrainedNetwork]:
    """One network per member of the fleet, with its predictions if asked for; ``seconds`` is left to the caller."""
    fleet.adam.zero()
    around = {name: one.model.centre for name, one in task_models.items()}
    held = set_gates(prepared.material, fleet, dataset, around)
    state = fleet.network.state_dict()
    raw = (
        predict.run(fleet.network, prepared.material, prepared.material.evaluate, fleet.evidence) if evaluate else None
    )
    found = _centres(prepared, fleet, dataset)
    space = prepared.space if _clusterings(fleet) else None
    results = []
    for member, trial in enumerate(fleet.trials):
        good = not fleet.failed[member]
        own = {slot: centre for (number, slot), centre in found.items() if number == member}
        groupings = {}
        if raw is not None and good and space is not None:
            groupings = {slot: predict.Grouping(centre, prepared.fixed) for slot, centre in own.items()}
        kept = prepared.stage.models(task_models, trial.tasks) if task_models else None
        results.append(
            TrainedNetwork(
                trial=trial,
                shape=fleet.shape,
                state={name: value[fleet.own(member)].detach().cpu().clone() for name, value in state.items()},
                scaler=prepared.material.scaler,
                task_models=kept,
                space=space,
                centres={trial.tasks[slot]: centre for slot, centre in own.items()},
                evaluated=prepared.material.evaluate,
                predictions=predict.member(raw, member, trial.tasks, fleet.shape.slots, groupings, kept)
                if raw is not None and good
                else {},
                attention=raw.attention[member] if raw is not None and good else np.zeros((0, 0)),
                held=_held(fleet, held, member, around) if good and trial.fold is None else {},
                failed=fleet.failed[member],
                warnings=tuple(fleet.warnings[member]),
            )
        )
    return results


def _held(fleet: Members, held: HeldOut, member: int, around: Mapping[str, float]) -> dict[str, NDArray[np.float32]]:
    found = {}
    for slot, name in enumerate(fleet.trials[member].tasks):
        if (member, slot) in held:
            values = predict.in_units(fleet.shape.slots[slot].kind, held[member, slot], around.get(name, 0.0))
            found[name] = values.astype(np.float32)
    return found


def _clusterings(fleet: Members) -> list[int]:
    return [slot for slot, part in enumerate(fleet.shape.slots) if part.kind == "clustering"]


def _centres(prepared: Prepared, fleet: Members, dataset: Dataset) -> Centres:
    """k-means centres by (member, slot) of the members that did not fail."""
    slots = _clusterings(fleet)
    if not slots:
        return {}
    latents = predict.latents(fleet.network, prepared.material, prepared.material.train, slots, fleet.evidence)
    jobs = [(member, slot) for member, why in enumerate(fleet.failed) if not why for slot in slots]
    clusters = [dataset.labels[fleet.trials[member].tasks[slot]].task.clusters for member, slot in jobs]
    found = centres([latents[slot][member] for member, slot in jobs], clusters, prepared.seed)
    return dict(zip(jobs, found, strict=True))
