"""The 41 signals of MIMIC-IV's time series that the paper's data set has (Soenksen 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from m3h.hospital.catalog.paper import rows

SignalSource = Literal["chart", "labs", "procedures"]


@dataclass(frozen=True)
class Signal:
    """One signal: its source, its name, and the label and item of MIMIC-IV's dictionary that carry it.

    ``unit`` is "" where there is none; procedures are durations in hours. A value below ``low`` or above ``high``
    cannot be (None: no limit), and where a laboratory value has a limit it is above 0.
    """

    source: SignalSource
    name: str
    label: str
    itemid: int
    unit: str
    low: float | None
    high: float | None

    def plausible(self, value: float) -> bool:
        """Whether the value can be; False for NaN."""
        above = self.low is None or (value > self.low if self.source == "labs" else value >= self.low)
        return value == value and above and (self.high is None or value <= self.high)


@cache
def signals() -> tuple[Signal, ...]:
    """All signals in the order of the published file: nine at the bedside, 22 of the laboratory, ten procedures."""
    return tuple(
        Signal(
            source=row["source"],  # type: ignore[arg-type]
            name=row["signal"],
            label=row["label"],
            itemid=int(row["itemid"]),
            unit=row["unit"],
            low=_limit(row["low"]),
            high=_limit(row["high"]),
        )
        for row in rows("signals.csv")
    )


def _limit(text: str) -> float | None:
    return float(text) if text else None
