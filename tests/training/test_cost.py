from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from m3h.dataset.dataset import Dataset
from m3h.network.network import Network, Shape, Slot
from m3h.study.presets import PRESETS, Protocol
from m3h.training.cost import default_memory, machine_memory, member_flops, sizes
from m3h.training.trial import make_trial

PAPER = PRESETS["paper"]
WIDE = (("tabular", 6), ("timeseries", 451), ("language", 2304), ("vision", 2084))
PAIR = Shape(WIDE, (Slot("binary", 1),) * 2, PAPER)


def test_needed_arithmetic_is_counted_by_hand(learning_data: Callable[..., Dataset]) -> None:
    """One pair at the paper's scale, one epoch of 256 rows; weights of matrices, layer by layer."""
    data = learning_data()
    first = 6 * 64 + (451 + 2304 + 2084) * 256
    modalities = first + (64 + 3 * 256) * 128
    rest = 512 * 256 + 256 * 256 + 2 * (256 * 128 + 128 * 64) + 2 * 64 + 3 * 64 * 64 + 2 * 64
    for update, weights in (
        ("joint", 3 * (modalities + rest) - first),
        ("sequential", 3 * modalities - first + 2 * (3 * (modalities + rest) - first)),
    ):
        protocol = Protocol(epochs=3, update=update)  # type: ignore[arg-type]
        trial = make_trial(data, ["death", "sepsis"], preset=PAPER, protocol=protocol)
        assert member_flops(PAIR, trial, 256) == 2 * 256 * 3 * weights


def test_a_decoder_works_for_its_own_loss_only(learning_data: Callable[..., Dataset]) -> None:
    data = learning_data()
    shape = Shape(WIDE, (Slot("binary", 1), Slot("clustering", 0)), PAPER)
    decoder = 64 * 256 + 256 * 512 + 512 * shape.inputs
    assert sizes(shape).decoder == decoder
    trial = make_trial(data, ["death", "group"], preset=PAPER, protocol=Protocol(epochs=1, update="sequential"))
    # the head of the pair's second task has 64 weights, counted in both of its losses
    plain = member_flops(PAIR, trial, 1) - 2 * 2 * 3 * 64
    assert member_flops(shape, trial, 1) == plain + 2 * 3 * decoder


def test_every_learned_number_is_counted() -> None:
    shape = Shape(WIDE, (Slot("multiclass", 4), Slot("clustering", 0)), PAPER)
    assert sizes(shape).learned == Network(shape, 1).weights()


def test_memory_is_a_share_of_the_machines() -> None:
    total = machine_memory()
    assert 1 << 30 < total < 1 << 50
    assert default_memory("cpu") == default_memory("mps") == int(total * 0.25)


PEAK = """
import json, os, resource, sys
sys.path.insert(0, sys.argv[1])
import lightgbm, sklearn.cluster, sklearn.decomposition
from made import make_dataset, make_wide
from m3h.study.presets import PRESETS, Protocol
from m3h.training.cost import fleet_bytes
from m3h.training.fleet import train_fleet
from m3h.training.forming import trial_shape
from m3h.training.trial import make_trial

def measure(names, wide, update, members, preset):
    data = make_wide(rows=700, widths=(6, 451, 2304, 2084)) if wide else make_dataset(samples=1200)
    protocol = Protocol(epochs=1, batch_sizes=(256,), update=update)
    rates = [1e-4 * (1 + number) for number in range(members)]
    plan = [make_trial(data, names, preset=PRESETS[preset], protocol=protocol, learning_rate=rate) for rate in rates]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    done = train_fleet(data, plan)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return after - before, fleet_bytes(trial_shape(data, plan[0]), plan[0], data.samples, members)

for case in json.loads(sys.argv[2]):
    if os.fork() == 0:  # a process of its own: the peak of a process never falls
        print(json.dumps(measure(*case)), flush=True)
        os._exit(0)
    os.wait()
"""
CASES = {
    "a small network of many tasks": (["death", "sepsis", "unit", "stay"], False, "joint", 40, "paper"),
    "pairs at the paper's width": (["death", "stay"], True, "sequential", 9, "paper"),
    "a clustering with its decoder": (["death", "group"], True, "joint", 5, "paper"),
    "an additive model and trees": (["death"], True, "joint", 1, "m3h"),
}


def test_memory_stays_below_the_estimate_and_not_far_below() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PEAK, str(Path(__file__).parents[1]), json.dumps(list(CASES.values()))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(measured) == len(CASES)
    for name, (taken, estimate) in zip(CASES, measured, strict=True):
        assert estimate / 4 < taken < estimate, name
