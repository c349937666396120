import dataclasses
from collections.abc import Callable
from pathlib import Path

from m3h.report.contents import read
from m3h.report.figures import clusters

Run = Callable[..., Path]


def test_sizes_keep_the_numbers_of_the_groups(run: Run) -> None:
    (panel,) = clusters.panels(read(run(5)))
    assert panel.task == "phenotype"
    assert panel.sizes[:3] == (12, 0, 1)
    assert panel.empty == 1
    assert clusters.draw([panel], "a")[0].startswith("<svg")


def test_no_sizes_no_panel(run: Run) -> None:
    contents = read(run(5))
    assert clusters.panels(dataclasses.replace(contents, run={**contents.run, "clusters": {}})) == []
