"""How much of a network's corrections to believe, task by task, by what it says of patients it was kept from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3h.core import seeds
from m3h.dataset.dataset import Dataset, Rows
from m3h.dataset.split import folds
from m3h.training import losses
from m3h.training.batches import Material
from m3h.training.members import Members
from m3h.training.objective import best_beyond_doubt
from m3h.training.predict import CHUNK

#: Shares of the correction to choose from; the first is taken unless another is better beyond doubt: by so many
#: standard errors of the difference of the losses. Of regressions, whose squared errors few patients decide, by more.
GATES = (0.0, 0.25, 0.5, 0.75, 1.0)
DOUBT, DOUBT_OF_REGRESSIONS = 1.0, 2.0

#: (member, slot) -> outputs (row, outputs) of rows trained on, by what was kept from them, as in predict.Raw.
HeldOut = dict[tuple[int, int], NDArray[np.float64]]


def held_parts(dataset: Dataset, train: Rows, copies: int) -> NDArray[np.int64]:
    """The copy (sample,) that each sample's labels are kept from, by patient; -1: from none, as outside the rows
    trained on."""
    parts = np.full(dataset.samples, -1, np.int64)
    patients = len(np.unique(dataset.patients[train]))
    if copies > 1 and patients > 1:
        seed = seeds.small(dataset.seed, "copies")
        for number, rows in enumerate(folds(dataset.patients, train, min(copies, patients), seed)):
            parts[rows] = number
    return parts


@torch.no_grad()
def set_gates(material: Material, fleet: Members, dataset: Dataset, centres: Mapping[str, float]) -> HeldOut:
    """Choose each task's gate: of :data:`GATES` the one with the least loss, if beyond doubt, where every row is
    corrected by the copy that was kept from it; outputs of regressions are around their ``centres``. Gives what the
    members, so gated, say of the rows trained on that were held out. Nothing to choose, and nothing held out, with one
    copy, or without evidence. Losses are taken on the CPU: not every device has float64."""
    evidence = fleet.network.evidence
    if evidence is None or fleet.evidence is None or fleet.held is None:
        return {}
    found: HeldOut = {}
    rows = torch.from_numpy(material.train).to(material.device)
    own = fleet.evidence[:: fleet.copies, rows].cpu()  # (member, row, evidence)
    copy = fleet.held[rows].clamp_min(0).cpu()  # (row,)
    outputs = _outputs(fleet, material, rows)
    patients = np.unique(dataset.patients[material.train], return_inverse=True)[1]
    for slot, said in outputs.items():
        kind = fleet.shape.slots[slot].kind
        loss_of = losses.row_loss(kind, fleet.preset)
        for member, trial in enumerate(fleet.trials):
            mine = evidence.own(own[member : member + 1], slot)[0]  # (row, outputs)
            held = said[fleet.own(member)][copy, torch.arange(len(rows))]
            name = trial.tasks[slot]
            labels = torch.from_numpy(dataset.labels[name].values[material.train] - centres.get(name, 0.0))
            known = ~torch.isnan(labels)
            if not known.any():
                continue
            scale = float(fleet.network.output_scale[member * fleet.copies, slot])
            value = labels.nan_to_num().float() / scale
            every = [loss_of(mine + gate * (held - mine), value)[known].double().numpy() for gate in GATES]
            doubt = DOUBT_OF_REGRESSIONS if kind == "regression" else DOUBT
            gate = GATES[best_beyond_doubt(every, patients[known.numpy()], doubt)]
            evidence.gate[fleet.own(member), slot] = gate
            found[member, slot] = (mine + gate * (held - mine)).double().numpy() * scale
    return found


def _outputs(fleet: Members, material: Material, rows: Tensor) -> dict[int, Tensor]:
    """What each copy says of the rows: slot -> (copy, row, outputs), on the CPU."""
    parts: dict[int, list[Tensor]] = {}
    slots = [number for number, slot in enumerate(fleet.shape.slots) if slot.kind != "clustering"]
    for begin in range(0, len(rows), CHUNK):
        inputs = material.inputs(rows[begin : begin + CHUNK], fleet.evidence)
        for slot, y in fleet.network(inputs, None, slots).heads.items():
            parts.setdefault(slot, []).append(y.cpu())
    return {slot: torch.cat(some, 1) for slot, some in parts.items()}
