"""The plain model with the weights, batches and dropout masks of ours: do both end at the same scores?"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from fleet_data import study
from m3h.network.between import Dropout
from m3h.network.network import Network
from m3h.study.presets import PRESETS, Protocol
from m3h.training.batches import batches, mask_generator, order_generator
from m3h.training.fleet import FleetTraining, train_fleet
from m3h.training.prepared import Materials
from m3h.training.trial import Trial, make_trial

WIDTHS = (
    6,
    72,
    120,
    90,
)  # the plain model gives narrow sources 64 hidden numbers, the paper preset only the tabular one
TASKS = {"sequential": 2, "joint": 8}


class Replay(nn.Module):
    """Multiplies by the next of the masks it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        return x * self.masks.pop(0) if self.training else x


class Skipping(torch.optim.Adam):
    """Adam that passes by what a loss did not touch. The plain model puts all heads' outputs side by side, so a task's
    loss gives the other heads gradients of zeros, with which Adam would move them on."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and not p.grad.any():
                    p.grad = None
        super().step(closure)


def plain(module: ModuleType, network: Network) -> tuple[nn.Module, list[Replay], list[Replay]]:
    """The opponent's model with our first member's weights; its early dropouts, and those of the tasks."""
    tasks = len(network.shape.slots)
    model = module.Reference([width for _, width in network.shape.modalities], tasks)
    early: list[Replay] = []
    blocks = [*model.modality, model.shared[0]]
    for block, ours in zip(blocks, [*network.modalities.values(), network.shared], strict=True):
        body = ours.body
        for theirs, part in ((block[0], body.into), (block[1], body.norm), (block[4], body.out)):
            theirs.weight.data, theirs.bias.data = part.weight.data[0].clone(), part.bias.data[0].clone()
        block[3] = Replay()
        early.append(block[3])
    late = []
    for slot, block in enumerate(model.task):
        for theirs, part in ((block[0], network.tasks.into), (block[3], network.tasks.out)):
            theirs.weight.data, theirs.bias.data = part.weight.data[0, slot].clone(), part.bias.data[0, slot].clone()
        block[2] = Replay()
        late.append(block[2])
        head = network.heads.head(slot)
        assert head.bias is not None
        model.head[slot].weight.data, model.head[slot].bias.data = (
            head.weight.data[0].clone(),
            head.bias.data[0].clone(),
        )
    attention = network.attention
    model.token.weight.data = attention.token.data[0].clone()
    for theirs, ours_one in ((model.q, attention.query), (model.k, attention.key), (model.v, attention.value)):
        theirs.weight.data = ours_one.data[0].T.clone()
    return model, early, late


def masks(trial: Trial, step: int, model: nn.Module, early: list[Replay], late: list[Replay], rows: int) -> None:
    """Hand the model the masks of all its passes over one batch."""
    numbers = [-1] if trial.update == "joint" else [-1, *range(len(late))]
    for number in numbers:
        dropout = Dropout(trial.preset.dropout, mask_generator(trial, step, number + 1))
        embedding_only = trial.update == "sequential" and number == -1
        for position, part in enumerate(early):
            if embedding_only and position == len(early) - 1:
                break
            width = trial.preset.hidden_tabular if position == 0 else trial.preset.hidden
            width = trial.preset.shared_width if position == len(early) - 1 else width
            part.masks.append(drawn(dropout, (rows, width)))
        if not embedding_only:
            whole = drawn(dropout, (len(late), rows, trial.preset.task_hidden))
            for slot, part in enumerate(late):
                part.masks.append(whole[slot])


def drawn(dropout: Dropout, shape: tuple[int, ...]) -> Tensor:
    mask = dropout.mask(torch.empty(1, *shape))
    assert mask is not None
    return mask


def compared(module: ModuleType) -> list[list[str]]:
    """AUROC of each task after a whole training of 15 epochs: the plain model's and ours."""
    table = [["update", "tasks", "task", "opponent", "m3h", "difference"]]
    data, kept = study(4000, WIDTHS, whole=True), Materials()
    for update, count in TASKS.items():
        names = list(data.labels)[:count]
        protocol = Protocol(epochs=15, batch_sizes=(256,), learning_rates=(3e-4,), update=update)  # type: ignore[arg-type]
        trial = make_trial(data, names, preset=PRESETS["paper"], protocol=protocol)
        start = FleetTraining(data, [trial], kept)
        model, early, late = plain(module, start.lanes[0].network)
        optimiser = Skipping(model.parameters(), trial.learning_rate)
        inputs = kept.of(data, trial).material
        labels = torch.from_numpy(np.stack([data.labels[name].values for name in names], 1)).float()
        step = 0
        for epoch in range(trial.epochs):
            for rows in batches(inputs.train, trial.batch_size, order_generator(trial, epoch)):
                masks(trial, step, model, early, late, len(rows))
                module.step(model, optimiser, [x[rows] for x in inputs.values], labels[rows], update)
                step += 1
        model.eval()
        with torch.no_grad():
            said = model([x[inputs.evaluate] for x in inputs.values])[0].numpy()
        (done,) = train_fleet(data, [trial], materials=kept)
        for slot, name in enumerate(names):
            truth = data.labels[name].values[inputs.evaluate]
            scores = [roc_auc_score(truth, values) for values in (said[:, slot], done.predictions[name].values)]
            gap = f"{abs(scores[0] - scores[1]):.5f}"
            table.append([update, str(count), name, f"{scores[0]:.4f}", f"{scores[1]:.4f}", gap])
            print("  ".join(table[-1]), flush=True)
    return table
