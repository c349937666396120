"""One simulated hospital that the tests read: 300 patients in the layout of version 2.2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from m3h.hospital.simulate.hospital import simulate

#: Small tables, enough patients.
PATIENTS, EVENTS = 300, 120
Read = Callable[[str], pl.DataFrame]


@pytest.fixture(scope="session")
def big_hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "hospital"
    simulate(folder, patients=PATIENTS, seed=4, release="2.2", events_per_stay=EVENTS)
    return folder


@pytest.fixture(scope="session")
def read(big_hospital: Path) -> Read:
    """Reads a table of the hospital; everything is text."""

    def one(table: str) -> pl.DataFrame:
        return pl.read_csv(big_hospital / f"{table}.csv.gz", infer_schema=False)

    return one
