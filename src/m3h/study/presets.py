"""Network presets: plain values that name every free choice of the network and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preset:
    """Every choice the paper leaves open, with the default of the preset ``paper`` and the reason beside it."""

    # widths (multiples of 64; a 44-task network has about 3.4 M weights, more are not earned by 10,000 rows)
    modality_width: int = 128
    hidden_tabular: int = 64
    hidden: int = 256
    shared_width: int = 256
    task_hidden: int = 128
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
    clip: float = 1.0  # gradient norm per network; 0 switches it off
    shuffle_losses: bool = False  # sequential updates: order of the losses drawn anew for each batch


PRESETS: dict[str, Preset] = {"paper": Preset()}
DEFAULT_PRESET = "paper"

#: Sequential updates are all that the paper trains (groups of up to three); above that the preset goes joint.
SEQUENTIAL_UP_TO = 3


@dataclass(frozen=True)
class Protocol:
    """How training and choosing go. Without ``grid`` one setting is trained, the last of each list."""

    epochs: int = 15
    batch_sizes: tuple[int, ...] = (512, 256)
    learning_rates: tuple[float, ...] = (1e-4, 3e-4)
    folds: int = 5
    update: Literal["auto", "sequential", "joint"] = "auto"
    grid: bool = False
    test_share: float = 0.2


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
