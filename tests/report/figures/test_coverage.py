from collections.abc import Callable
from pathlib import Path

from m3h.report.contents import read
from m3h.report.figures import coverage

Run = Callable[..., Path]


def test_bars_are_the_audits_shares(run: Run) -> None:
    bars = coverage.bars(read(run(1)))
    assert [bar.source for bar in bars] == ["demographics", "bedside", "note", "xray"]
    assert bars[2] == coverage.Bar("note", "language", 0.62, 0.60)
    assert coverage.draw(bars, "a").startswith("<svg")
