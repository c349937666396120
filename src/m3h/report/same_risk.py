"""Does the same risk mean the same for everybody: the figures by subgroup, and what to read from them."""

from __future__ import annotations

from m3h.report.contents import Contents
from m3h.report.figures import by_group
from m3h.report.plates import Plates, of_sheets

_NONE = (
    "Nothing is drawn: no column of the study has two to "
    f"{by_group.MOST} subgroups that are large enough among the test patients of a yes-or-no question. "
    "calibration_groups.csv says of each how many patients it has."
)


def curves(contents: Contents) -> list[Plates]:
    """Risk quantile against observed rate, one entry per column of subgroups; [] where the run kept nothing of it."""
    groups = by_group.groups(contents)
    if not groups and contents.appraisal["calibration_groups"].height:
        return [Plates("Risk and observed rate by subgroup", missing=_NONE)]
    return [
        of_sheets(
            f"Risk and observed rate by {by_group.column(group.name)}",
            by_group.draw(group, f"same-risk-{place}"),
            _caption(group),
            "",
        )
        for place, group in enumerate(groups)
    ]


def _caption(group: by_group.Group) -> str:
    return (
        f"Test patients in {by_group.parted(group)} of the calibrated risk, the lowest left, the same for all: how "
        "many of each group had the outcome, with 95 % intervals that take rows for independent. On the dashed line "
        "risks are what happens; where the groups' lines part by more than their intervals, the same risk may not mean "
        "the same for all of them. Many points are compared, so a single gap is a hint and not a finding. "
        f"calibration_groups.csv has the numbers.{by_group.left_out(group)}"
    )
