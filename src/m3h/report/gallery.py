"""The figures of the report in their places: each a list of SVGs with a caption, or a sentence on why it is missing."""

from __future__ import annotations

from markupsafe import Markup

from m3h.report import choices, interactions, phenotypes, words
from m3h.report.contents import Contents
from m3h.report.figures import attention, changes, clusters, coverage, forest, gains, reliability, roc, scatter
from m3h.report.figures import importance as importance_bars
from m3h.report.figures import interactions as heat_map
from m3h.report.plates import Plate, Plates
from m3h.report.plates import of_sheets as _plates


def sources(contents: Contents) -> Plates:
    """Coverage bars."""
    bars = coverage.bars(contents)
    return _plates(
        "What is at hand",
        [coverage.draw(bars, "coverage")] if bars else [],
        "Share of samples for which each source holds anything.",
        "The run kept no counts of its sources, so their coverage is not drawn.",
    )


def scores(contents: Contents) -> list[Plates]:
    """The forest plots, one entry per family of metrics."""
    found: dict[str, list[forest.Panel]] = {}
    for panel in forest.panels(contents):
        found.setdefault(panel.title, []).append(panel)
    plates = [
        _plates(title, [forest.draw(panel, f"forest-{panel.family}-{panel.part}") for panel in panels], "", "")
        for title, panels in found.items()
    ]
    return plates or [Plates("Scores", missing="No question could be scored, so there is nothing to draw.")]


def attentions(contents: Contents) -> Plates:
    """One matrix per joint task set."""
    matrices = attention.matrices(contents)
    plates = []
    for index, matrix in enumerate(matrices):
        count = len(matrix.tasks)
        caption = (
            f"{count} questions, preset {matrix.preset}. A row is a question, its columns are the questions whose "
            f"representation it drew from; each row sums to 1. Equal shares would be {words.number(1 / count, 2)}; a "
            f"question keeps {words.number(attention.own_share(matrix), 2)} for itself on average."
        )
        plates.append(Plate(Markup(attention.draw(matrix, f"attention-{index}")), caption))
    missing = "No joint network of two or more questions left attention weights, so there is no matrix to draw."
    return Plates("Which questions look at which", tuple(plates), "" if plates else missing)


def interaction(contents: Contents) -> Plates:
    """The heat map of interactions."""
    made = interactions.matrix(contents)
    return _plates(
        "Which questions help which",
        [heat_map.draw(made, "interactions")] if made and made.measured else [],
        interactions.reading(made) if made else "",
        "No pair of questions could be measured, so there is no matrix to draw.",
    )


def gained(contents: Contents) -> Plates:
    """Gains of the chosen sets, one sheet or more per family of metrics."""
    panels = gains.panels(choices.choices(contents))
    caption = (
        "The circle is the gain by cross-validation, which chose the set; the cross is the gain on test rows with its "
        "95 % interval. Where the circle lies to the right, choosing has flattered. Questions that are best alone are "
        "not drawn."
    )
    return Plates(
        "What the chosen sets gain",
        tuple(
            # Markup: built by the drawing library, every name in it drawn as shapes or escaped by the serialiser
            Plate(Markup(gains.draw(panel, f"gains-{place}")), caption if place == len(panels) else "")
            for place, panel in enumerate(panels, start=1)
        ),
        "" if panels else "No question had a set that the search preferred to it alone.",
    )


def trust(contents: Contents) -> list[Plates]:
    """Reliability and decision curves, where there are any."""
    found = []
    if curves := reliability.reliabilities(contents):
        caption = (
            "Dots: groups of test patients of like calibrated risk, by how many had the outcome, with 95 % intervals. "
            "On the dashed line risks are what happens. The orange line is before calibration."
        )
        drawings = reliability.draw_reliabilities(curves, "reliability")
        found.append(_plates("Predicted and observed", drawings, caption, ""))
    if gained := reliability.benefits(contents):
        caption = (
            "Cases treated per patient, less needless treatments weighed by the threshold: at a threshold of 10 % nine "
            "needless ones outweigh one case. The line with its 95 % band acts on the calibrated risk, the dashed line "
            "treats everybody, zero treats nobody; the highest is best."
        )
        found.append(_plates("What acting on it is worth", reliability.draw_benefits(gained, "benefit"), caption, ""))
    return found


def importance(contents: Contents) -> Plates | None:
    """Bars of the features that matter most; None where none were explained."""
    caption = (
        "Mean size of what each feature adds to an answer, in log-odds or the question's unit. Blue: more of it raises "
        "the answer; orange: lowers it; grey: no one direction. Columns of texts and images, such as svd3, are "
        "components without a meaning of their own."
    )
    found = importance_bars.bars(contents)
    return _plates("What matters most", importance_bars.draw(found, "importance"), caption, "") if found else None


def changed(contents: Contents) -> Plates | None:
    """Scores under changed inputs, the model beside the baselines; None where nothing was changed."""
    panels = changes.panels(contents)
    if not panels:
        return None
    counts = words.listed([f"{n} ({family})" for family, n in {one.family: one.questions for one in panels}.items()])
    caption = (
        f"Means over the questions that every model answers: {counts}. The band, or line, is the middle half of the "
        "questions. All models see the same changed rows. Values are cut at the lower edge."
    )
    return _plates("What becomes of the scores when the input changes", changes.draw(panels, "changed"), caption, "")


def closer_look(contents: Contents) -> list[Plates]:
    """Small multiples, one entry per kind of question that the study has."""
    kinds = {task["kind"] for task in contents.tasks}
    missing = "The run kept no test predictions of these questions that could be drawn."
    found = []
    if "binary" in kinds:
        curves = roc.binary(contents)
        caption = (
            "Sensitivity against the share of false alarms, at every threshold; the number is the area under the curve."
        )
        found.append(_plates("Yes-or-no questions", roc.draw_binary(curves, "roc"), caption, missing))
    if "multiclass" in kinds:
        curves = roc.multiclass(contents)
        drawings = roc.draw_multiclass(curves, "classes") if curves else []
        caption = "Each class against all others, largest first; the number is the area under the curve."
        found.append(_plates("Questions of several classes", drawings, caption, missing))
    if "regression" in kinds:
        found.append(_regressions(contents, missing))
    if "clustering" in kinds:
        groups = clusters.panels(contents)
        empty = sum(panel.empty for panel in groups)
        note = f" {words.counted(empty, 'group')} held no row." if empty else ""
        found.append(
            _plates(
                "Groupings",
                clusters.draw(groups, "clusters"),
                f"Rows in each group. The numbers of the groups have no meaning of their own.{note}",
                "The run kept no sizes of the groups.",
            )
        )
        found += phenotypes.maps(contents)
    return found


def _regressions(contents: Contents, missing: str) -> Plates:
    panels = scatter.panels(contents)
    series = words.listed(sorted({words.series(panel.series).lower() for panel in panels}))
    caption = (
        f"Predicted against observed values of the {series} network; on the dashed line they agree. Many rows are "
        f"drawn as hexagons: the darker, the more rows, on a logarithmic scale.{scatter.told(panels)}"
    )
    return _plates("Questions about a number", scatter.draw(panels, "scatter"), caption, missing)
