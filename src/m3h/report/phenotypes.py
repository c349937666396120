"""Where the groups of clustering tasks lie: the maps, and what may and may not be read from them."""

from __future__ import annotations

from markupsafe import Markup

from m3h.report import words
from m3h.report.contents import Contents
from m3h.report.figures import phenotypes
from m3h.report.figures.phenotypes import Panel
from m3h.report.plates import Plate, Plates

_MEANINGS = {
    "UMAP": "UMAP keeps neighbours together; distances between islands, and their sizes, mean little.",
    "PCA": "These are the first two principal components, not UMAP, for umap-learn was not installed where the study "
    "ran (pip install umap-learn): groups that overlap here may be apart in other dimensions.",
}


def maps(contents: Contents) -> list[Plates]:
    """The maps of all clustering tasks; [] where the run kept none."""
    found = phenotypes.panels(contents)
    plates = tuple(
        # Markup: built by the drawing library, every name in it drawn as shapes or escaped by the serialiser
        Plate(Markup(phenotypes.draw(panel, f"phenotypes-{place}")), _caption(panel))
        for place, panel in enumerate(found)
    )
    return (
        [Plates(f"Maps of the groups, by {' and '.join(sorted({p.method for p in found}))}", plates)] if found else []
    )


def _caption(panel: Panel) -> str:
    drawn = (
        f"{panel.task}: {words.counted(panel.rows, 'test row')}, a dot each, in the space in which the network groups"
    )
    if len(panel.maps) > 1:
        beside = (
            "Single and joint network have spaces of their own, so that places do not compare; a number and its colour "
            "are the same in both for the groups that share most rows, one to one."
        )
    elif panel.same:
        beside = "Joint and single are the same network here, for no other question is in its set."
    else:
        beside = f"Only the {words.series(panel.maps[0].role).lower()} network groups these rows."
    numbers = "A number stands on a row near the middle of its group."
    return f"{drawn} them. {_MEANINGS.get(panel.method, '')} {beside} {numbers}"
