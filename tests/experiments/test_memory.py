"""Memory that training takes, from the plan alone; that the estimate holds is measured where fleets are formed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from m3h.dataset.dataset import Dataset
from m3h.experiments.memory import fleet_bytes, largest_bytes, resident_bytes
from m3h.study.presets import PRESETS, Protocol
from m3h.training.batches import material
from m3h.training.trial import make_trial
from made import make_dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    return make_dataset(samples=160)


def test_memory_grows_with_members_and_is_that_of_the_largest_fleet(data: Dataset) -> None:
    single, pair = (
        make_trial(data, tasks, preset=PRESETS["paper"], protocol=Protocol())
        for tasks in (("death",), ("unit", "group"))
    )
    two = (single, replace(single, learning_rate=1e-4))
    fleets = [(single,), (pair,), two]
    each = [fleet_bytes(data, fleet) for fleet in fleets]
    inputs = material(data, single.sources, data.train_rows, data.test_rows).values
    assert each[2] > each[0] > sum(part.numel() * part.element_size() for part in inputs)
    assert largest_bytes(data, fleets) == max(each) and largest_bytes(data, fleets[:1]) == each[0]
    assert largest_bytes(data, []) == 0


def test_what_is_resident_is_what_the_system_says() -> None:
    status = Path("/proc/self/status")
    held = np.ones(50_000_000, np.uint8)
    found = resident_bytes()
    assert held.sum() < found < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if status.exists():
        (said,) = [line.split() for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
        assert found == pytest.approx(int(said[1]) * 1024, rel=0.02)
