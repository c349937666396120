"""From a trained lane to trained networks: predictions, patient groups, and what it takes to use them again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3h.dataset.dataset import Dataset
from m3h.training import predict
from m3h.training.clusters import centres
from m3h.training.lane import Lane
from m3h.training.prepared import Prepared
from m3h.training.trained import TrainedNetwork

Centres = dict[tuple[int, int], NDArray[np.float32]]


def finish(prepared: Prepared, lane: Lane, dataset: Dataset, evaluate: bool) -> list[TrainedNetwork]:
    """One network per member of the lane, with its predictions if asked for; ``seconds`` is left to the caller."""
    lane.adam.zero()
    state = lane.network.state_dict()
    raw = predict.run(lane.network, prepared.material, prepared.material.evaluate) if evaluate else None
    found = _centres(prepared, lane, dataset)
    space = prepared.space if _clusterings(lane) else None
    results = []
    for member, trial in enumerate(lane.trials):
        good = not lane.failed[member]
        own = {slot: centre for (number, slot), centre in found.items() if number == member}
        groupings = {}
        if raw is not None and good and space is not None:
            groupings = {slot: predict.Grouping(centre, prepared.fixed) for slot, centre in own.items()}
        results.append(
            TrainedNetwork(
                trial=trial,
                shape=lane.shape,
                state={name: value[member : member + 1].detach().cpu().clone() for name, value in state.items()},
                scaler=prepared.material.scaler,
                space=space,
                centres={trial.tasks[slot]: centre for slot, centre in own.items()},
                evaluated=prepared.material.evaluate,
                predictions=predict.member(raw, member, trial.tasks, lane.shape.slots, groupings)
                if raw is not None and good
                else {},
                attention=raw.attention[member] if raw is not None and good else np.zeros((0, 0)),
                failed=lane.failed[member],
                warnings=tuple(lane.warnings[member]),
            )
        )
    return results


def _clusterings(lane: Lane) -> list[int]:
    return [slot for slot, part in enumerate(lane.shape.slots) if part.kind == "clustering"]


def _centres(prepared: Prepared, lane: Lane, dataset: Dataset) -> Centres:
    """k-means centres by (member, slot) of the members that did not fail."""
    slots = _clusterings(lane)
    if not slots:
        return {}
    latents = predict.latents(lane.network, prepared.material, prepared.material.train, slots)
    jobs = [(member, slot) for member in np.flatnonzero(lane.alive).tolist() for slot in slots]
    clusters = [dataset.labels[lane.trials[member].tasks[slot]].task.clusters for member, slot in jobs]
    found = centres([latents[slot][member] for member, slot in jobs], clusters, prepared.seed)
    return dict(zip(jobs, found, strict=True))
