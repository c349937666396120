"""What a training costs, by formula: arithmetic and memory, from the plan alone and never from measured time."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from m3h.dataset.basis import BINNED, BINS
from m3h.network.network import Network, Shape
from m3h.training.additive import FOLDS
from m3h.training.boosted import SETTINGS
from m3h.training.predict import CHUNK
from m3h.training.stage import FITS
from m3h.training.trial import Trial

#: Share of a machine's memory, or of a card's, that a fleet may take unless told otherwise.
MACHINE_SHARE = 0.25
CARD_SHARE = 0.8
#: Arithmetic of a fleet: about a minute on the slowest sensible machine of the device (two cores of a server; a card of
#: 10 TFLOP/s; the graphics of a laptop).
FLEET_FLOPS = {"cpu": 1e13, "cuda": 6e14, "mps": 1e14}
#: On a CPU a fleet is no larger than one core trains fast, and small enough that several cores have some: so many
#: weights, whose gradients then stay in the cache, and so many members.
CORE_WEIGHTS = 6_500_000
CORE_MEMBERS = 8
#: Code, thread pools and buffers of the libraries.
LIBRARIES = 160 << 20


@dataclass(frozen=True)
class Sizes:
    """Weights of one network's matrices: all, those of the modality networks, of their first layers, and of each
    decoder; ``learned`` counts every number that is learned."""

    matrices: int
    modalities: int
    first: int
    decoder: int
    learned: int


@lru_cache(maxsize=256)
def sizes(shape: Shape) -> Sizes:
    """The weights of a shape's network."""
    with torch.device("meta"):
        network = Network(shape, 1)
    matrices = {name: p.numel() for name, p in network.named_parameters() if p.dim() > 2 and ".bias" not in name}
    decoders = sum(count for name, count in matrices.items() if name.startswith("decoders."))
    clusterings = sum(slot.kind == "clustering" for slot in shape.slots)
    into = sum(count for name, count in matrices.items() if name.startswith("modalities.") and ".into." in name)
    return Sizes(
        matrices=sum(matrices.values()),
        modalities=sum(count for name, count in matrices.items() if name.startswith("modalities.")),
        first=into,
        decoder=decoders // clusterings if clusterings else 0,
        learned=network.weights(),
    )


def member_flops(shape: Shape, trial: Trial, rows: int) -> int:
    """Floating-point operations that one member's training needs on ``rows`` training rows, all epochs.

    Products with weights alone, forward once, backward once for weights and once for inputs but for the first
    layers'; what a benchmark divides by time. Norms, the attention's mixing and the contrastive loss come on top.
    """
    size = sizes(shape)
    clusterings = sum(slot.kind == "clustering" for slot in shape.slots)
    trunk = size.matrices - clusterings * size.decoder
    if trial.update == "joint":
        products = 3 * size.matrices - size.first
    else:
        products = (3 * size.modalities - size.first) * shape.contrasting
        products += len(shape.slots) * (3 * trunk - size.first) + 3 * clusterings * size.decoder
    return 2 * products * rows * trial.epochs * shape.preset.copies


def most_members(shape: Shape, trial: Trial, rows: int) -> int:
    """Members of a fleet of trials like this one that are worth it, were there memory enough: at least 1."""
    most = int(FLEET_FLOPS[trial.device] // max(1, member_flops(shape, trial, rows)))
    if trial.device == "cpu":
        most = min(most, CORE_MEMBERS, CORE_WEIGHTS // (sizes(shape).learned * shape.preset.copies))
    return max(1, most)


def member_bytes(shape: Shape, samples: int) -> int:
    """Bytes that each member of a fleet keeps throughout: weights, gradients and two moments; and at the end its
    network on its own with what it says of at most ``samples`` rows."""
    told = sum(16 * slot.width + 16 for slot in shape.slots)
    told += sum(16 * shape.preset.token_width for slot in shape.slots if slot.kind == "clustering")
    return (20 * sizes(shape).learned + samples * (told + 4 * shape.evidence)) * shape.preset.copies


def pass_bytes(shape: Shape, batch: int, half: bool) -> int:
    """Bytes that each member of a fleet takes while it is computed: activations, what is kept for the backward pass,
    and temporary results, of a batch of training or of scoring."""
    preset, slots, modalities = shape.preset, len(shape.slots), len(shape.modalities)
    entries = 8 * modalities * (preset.hidden + 2 * preset.modality_width) + 10 * preset.shared_width
    entries += slots * (6 * preset.task_hidden + 14 * preset.token_width) + 9 * slots * slots
    clusterings = sum(slot.kind == "clustering" for slot in shape.slots)
    entries += clusterings * (5 * shape.inputs + 4 * sum(preset.decoder_widths))
    pairs = 4 * batch * batch
    passes = 4 * (max(batch, CHUNK) * entries + pairs) + 4 * sizes(shape).learned
    return passes * (2 if half else 1) * shape.preset.copies


def shared_bytes(shape: Shape, batch: int, samples: int) -> int:
    """Bytes that a training takes whatever the fleet: the scaled inputs of all samples, what scaling them takes for a
    while, batches with their masks, the fixed space of clusterings, and the libraries."""
    preset, slots = shape.preset, len(shape.slots)
    inputs = samples * shape.inputs * 4
    widest = max(width for _, width in shape.modalities)
    scaling = min(samples, 4096) * widest * 40 + samples * widest * 4
    hidden = len(shape.modalities) * preset.hidden + preset.shared_width + slots * preset.task_hidden
    batches = max(batch, CHUNK) * (4 * shape.inputs + (slots + 1) * hidden) * 4
    before = 0
    if shape.evidence:
        columns = sum(width * (BINS + 2 if name in BINNED else 1) for name, width in shape.modalities)
        # the functions of all samples and of the rows fitted on, and what fits of several tasks copy of them
        before = (2 + FITS) * columns * samples * 4
        if preset.trees:
            # the values of all samples; of each fit those of its rows, of the rows held out, and in bins
            before += (4 + 14 * FITS) * shape.inputs * samples
            # the sums of gradients by bin that each fold keeps for each leaf
            before += FITS * FOLDS * SETTINGS["num_leaves"] * SETTINGS["max_bin"] * 16 * shape.inputs
    clustering = any(slot.kind == "clustering" for slot in shape.slots)
    space = 4 * inputs + 64 * samples * preset.token_width * 4 if clustering else 0
    return inputs + before + max(scaling, batches + space) + LIBRARIES


def fleet_bytes(shape: Shape, trial: Trial, samples: int, members: int) -> int:
    """Upper estimate of the bytes that training and scoring a fleet add to what the data set takes."""
    return (
        shared_bytes(shape, trial.batch_size, samples)
        + members * member_bytes(shape, samples)
        + members * pass_bytes(shape, trial.batch_size, trial.precision == "bfloat16")
    )


def default_memory(device: str) -> int:
    """Bytes a fleet may take unless told otherwise: a fixed share of the machine's memory, or of the card's."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory * CARD_SHARE)
    return int(machine_memory() * MACHINE_SHARE)


def machine_memory() -> int:
    """The machine's memory in bytes, or the limit of the container that this process is in."""
    if sys.platform == "win32":
        import ctypes

        status = (ctypes.c_ulonglong * 8)()
        ctypes.cast(status, ctypes.POINTER(ctypes.c_ulong))[0] = ctypes.sizeof(status)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(status)
        return int(status[1])
    import os

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    return min(total, int(text)) if text.isdigit() else total
