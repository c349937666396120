import dataclasses
from collections.abc import Callable
from pathlib import Path

import polars as pl

from m3h.report.contents import read
from m3h.report.gallery import attentions, closer_look, gained, interaction, scores, sources

Run = Callable[..., Path]


def test_each_kind_of_question_has_its_figure(run: Run) -> None:
    titles = [plates.title for plates in closer_look(read(run(5)))]
    assert titles == ["Yes-or-no questions", "Questions of several classes", "Questions about a number", "Groupings"]
    assert [plates.title for plates in closer_look(read(run(1)))] == ["Yes-or-no questions"]


def test_families_of_metrics_have_axes_of_their_own(run: Run) -> None:
    found = scores(read(run(5)))
    assert len(found) == 3
    assert all(plates.plates[0].svg.startswith("<svg") for plates in found)


def test_later_parts_say_which_they_are(run: Run) -> None:
    auroc = scores(read(run(44)))[0]
    assert len(auroc.plates) > 1
    assert auroc.plates[1].caption == f"Part 2 of {len(auroc.plates)}."


def test_missing_figures_say_why(run: Run) -> None:
    contents = read(run(5))
    bare = dataclasses.replace(
        contents, run={}, attention=contents.attention.head(0), predictions=contents.predictions.head(0)
    )
    for plates in (sources(bare), attentions(bare), *closer_look(bare)):
        assert not plates.plates
        assert plates.missing.endswith(".")


def test_attention_caption_gives_equal_and_own_share(run: Run) -> None:
    caption = attentions(read(run(5))).plates[0].caption
    assert "Equal shares would be 0.20" in caption


def test_interactions_and_gains_have_their_figures(pooled: Run) -> None:
    contents = read(pooled(20, tim="shared", search=True))
    assert interaction(contents).plates[0].caption.startswith("A row is a question that is scored")
    drawn = gained(contents).plates
    assert [bool(plate.caption) for plate in drawn] == [False] * (len(drawn) - 1) + [True]


def test_nothing_measured_or_preferred_is_said(pooled: Run) -> None:
    contents = read(pooled(4, tim="shared", search=True))
    alone = pl.col("task_set") == pl.col("task")
    bare = dataclasses.replace(
        contents, tim=contents.tim.head(0), search=contents.search.filter(alone).with_columns(chosen=pl.lit(True))
    )
    for plates in (interaction(bare), gained(bare)):
        assert not plates.plates
        assert plates.missing.endswith(".")
