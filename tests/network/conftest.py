"""Random numbers that are the same whichever tests ran before in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def own_randomness() -> Iterator[None]:
    """Torch's own generator starts anew for each test, and goes on afterwards where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
