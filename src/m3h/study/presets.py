"""Network presets: plain values that name every free choice of the network and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preset:
    """Every free choice of the network and its training. The defaults are those of the preset ``paper``: what the paper
    says, and where it is silent the choice and the reason beside it. What ``m3h`` chooses otherwise: PRESETS."""

    # widths (multiples of 64; a 44-task network has about 3.4 M weights, more are not earned by 10,000 rows)
    modality_width: int = 128
    hidden_tabular: int = 64
    hidden: int = 256
    shared_width: int = 256
    shared_deep: bool = True  # a second layer in the shared module
    task_hidden: int = 128  # 0: task networks are linear
    token_width: int = 64
    decoder_widths: tuple[int, ...] = (256, 512)
    # layers
    activation: Literal["relu", "gelu", "silu", "tanh", "sigmoid"] = "relu"
    dropout: float = 0.1
    norm: Literal["layer", "none"] = "layer"  # batch norm would be updated T + 1 times a batch
    # contrastive learning
    contrastive_weight: float = 1.0
    temperature: float = 0.1
    learned_temperature: bool = False
    projection: int = 0  # width of a projection head; 0: the modality outputs themselves
    # cross-task attention
    alpha: float = 0.1
    beta: float | Literal["log"] = 1.0  # weight of the identity; "log" is 1 + log(T - 1), which keeps T = 2's balance
    scope: Literal["sample", "row", "batch"] = "sample"  # batch makes a patient's output depend on batch mates
    scale: Literal["absolute", "literal"] = "absolute"  # literal: the signed maximum, for comparison only
    detach_maximum: bool = False
    # start
    bias_start: float = 0.1  # heads of rarer classes start at the log-odds; 0 switches it off
    regression_start: bool = True  # heads of regressions start at the training median
    multiclass_start: bool = False  # heads of classes start at the log shares
    # losses and steps
    reconstruction: Literal["all", "balance"] = "all"  # balance: mean per modality, then their mean
    target_scale: Literal["none", "deviation"] = "none"  # deviation: regression targets over their training deviation
    regression_loss: Literal["absolute", "squared"] = "absolute"  # squared needs targets over their deviation
    clip: float = 1.0  # gradient norm per network; 0 switches it off
    schedule: Literal["constant", "cosine"] = "constant"  # cosine: a short rise, then a fall to 0
    sequential_up_to: int = 3  # update "auto" is sequential for so many tasks, all that the paper trains; joint above
    shuffle_losses: bool = False  # sequential updates: order of the losses drawn anew for each batch
    # what the paper does not have
    additive: bool = False  # additive models of each task come first; the network learns on from what they say
    trees: bool = False  # with additive: boosted trees of each task beside them
    inputs: Literal["all", "clusterings"] = "all"  # with additive: whose task networks see the embeddings too
    copies: int = 1  # networks of one training, each kept from one part of the patients; their mean answers
    residual: bool = False  # attention adds to a task's token instead of replacing it
    head_scale: float = 1.0  # heads' weights start at so much of PyTorch's own start


@dataclass(frozen=True)
class Protocol:
    """How training and choosing go. Without ``grid`` one setting is trained, the last of each list. The defaults are
    those of the preset ``paper``; others: PROTOCOLS."""

    epochs: int = 15
    batch_sizes: tuple[int, ...] = (512, 256)
    learning_rates: tuple[float, ...] = (1e-4, 3e-4)
    folds: int = 5
    update: Literal["auto", "sequential", "joint"] = "auto"
    grid: bool = False
    test_share: float = 0.2


PRESETS: dict[str, Preset] = {
    "paper": Preset(),
    "m3h": Preset(
        additive=True,
        trees=True,
        inputs="clusterings",
        copies=4,
        residual=True,
        shared_deep=False,
        task_hidden=0,
        token_width=16,
        beta="log",
        activation="gelu",
        dropout=0.4,
        regression_loss="squared",
        target_scale="deviation",
        schedule="cosine",
        sequential_up_to=0,
        head_scale=0.1,
    ),
}
DEFAULT_PRESET = "m3h"
#: What a study without [protocol] trains by, preset by preset.
PROTOCOLS: dict[str, Protocol] = {
    "paper": Protocol(),
    "m3h": Protocol(epochs=20, batch_sizes=(512, 256), learning_rates=(5e-4, 1e-3)),
}


def protocol_of(preset: Preset) -> Protocol:
    """The protocol that goes with a preset, whatever fields of it were overridden."""
    return PROTOCOLS["m3h" if preset.additive else "paper"]


@dataclass(frozen=True)
class SearchOptions:
    """How the best task set of each task is looked for, by cross-validation on training rows.

    ``paper`` is the paper's beam; ``planned`` reaches its sets with far fewer trainings. ``tasks`` are those searched
    among (default: the largest group that excludes the same sources); ``largest`` and ``width``: tasks of a set, sets
    kept at a level; ``folds`` of the protocol's folds are used (default: all).
    """

    method: Literal["planned", "paper"] = "planned"
    tasks: tuple[str, ...] = ()
    largest: int = 3
    width: int = 3
    folds: int | None = None


@dataclass(frozen=True)
class TimOptions:
    """How the task interaction measurement is made: what adding a task does to the score of another.

    ``exact`` trains every task set (up to 10 tasks), ``pairs`` every pair and single, ``shared`` random sets that serve
    all tasks at once. ``tasks`` as in search; ``folds`` validation folds of the protocol's; ``replicates`` repetitions
    with other random numbers; ``sets`` random sets for each of them (default: by the number of tasks); ``inclusion``
    probability of a task in a random set; ``limit`` the largest random set.
    """

    method: Literal["shared", "pairs", "exact"] = "shared"
    tasks: tuple[str, ...] = ()
    folds: int = 1
    replicates: int = 3
    sets: int | None = None
    inclusion: float = 0.5
    limit: int | None = None
