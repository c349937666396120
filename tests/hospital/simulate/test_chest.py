"""Chest images: tables that fit the files, times that are hard to read, findings that can be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from m3h.core import seeds
from m3h.hospital.simulate.images import SIDE, draw_chest, jpeg

Read = Callable[[str], pl.DataFrame]
EIGHT = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Lung Opacity"),
    *("Pneumonia", "Pneumothorax"),
)


def test_every_image_lies_where_the_tables_say(read: Read, big_hospital: Path) -> None:
    table = read("cxr/mimic-cxr-2.0.0-metadata")
    assert (
        table["dicom_id"].is_unique().all() and table["dicom_id"].str.contains("^([0-9a-f]{8}-){4}[0-9a-f]{8}$").all()
    )
    assert table["study_id"].str.contains("^5[0-9]{7}$").all()
    paths = {
        f"files/p{row['subject_id'][:2]}/p{row['subject_id']}/s{row['study_id']}/{row['dicom_id']}.jpg"
        for row in table.iter_rows(named=True)
    }
    found = {path.relative_to(big_hospital / "cxr").as_posix() for path in big_hospital.rglob("*.jpg")}
    assert paths == found
    with Image.open(big_hospital / "cxr" / min(found)) as one:
        assert (one.format, one.mode, one.size) == ("JPEG", "L", (SIDE, SIDE))
    split = read("cxr/mimic-cxr-2.0.0-split")
    assert set(split["dicom_id"]) == set(table["dicom_id"])
    assert split.group_by("subject_id").agg(pl.col("split").n_unique())["split"].max() == 1


def test_study_times_come_with_and_without_leading_zeros(read: Read) -> None:
    text = read("cxr/mimic-cxr-2.0.0-metadata")["StudyTime"]
    assert text.str.contains(r"^0\d{5}\.\d{3}$").any() and text.str.contains(r"^[1-9]\d{0,4}(\.\d+)?$").any()
    seconds = text.cast(pl.Float64).cast(pl.Int64)
    assert seconds.max() < 240000 and (seconds % 100).max() < 60 and (seconds // 100 % 100).max() < 60


def test_studies_before_in_and_outside_of_admissions(read: Read) -> None:
    images = read("cxr/mimic-cxr-2.0.0-metadata").with_columns(
        taken=pl.format(
            "{} {}", "StudyDate", pl.col("StudyTime").cast(pl.Float64).cast(pl.Int64).cast(pl.String).str.zfill(6)
        ).str.to_datetime("%Y%m%d %H%M%S")
    )
    stays = read("hosp/admissions").with_columns(
        pl.col("admittime", "dischtime", "edregtime", "deathtime").str.to_datetime()
    )
    both = images.join(stays, on="subject_id")
    inside = both.filter(pl.col("taken").is_between("admittime", "dischtime"))
    emergency = both.filter(pl.col("taken").is_between("edregtime", pl.col("admittime") - pl.duration(seconds=1)))
    assert 0.5 < inside["dicom_id"].n_unique() / len(images) < 0.95
    assert emergency["dicom_id"].n_unique() > 0.03 * len(images)
    left = (
        inside.filter(pl.col("deathtime").is_not_null())["deathtime"]
        - inside.filter(pl.col("deathtime").is_not_null())["taken"]
    )
    assert 0.03 * len(inside) < (left.dt.total_hours() < 48).sum() < 0.25 * len(inside)


def test_labels(read: Read) -> None:
    table, other = read("cxr/mimic-cxr-2.0.0-chexpert"), read("cxr/mimic-cxr-2.0.0-negbio")
    values = set(table.select(pl.concat_list(pl.col(*EIGHT)).explode()).to_series())
    assert values == {"1.0", "0.0", "-1.0", None}
    positive = table.select((pl.col(name) == "1.0").fill_null(False).alias(name) for name in EIGHT)
    alone = positive.filter(pl.sum_horizontal(pl.all().cast(pl.Int64)) == 1)
    assert 0.5 < len(alone) / len(table) < 0.75
    assert min(alone.sum().row(0)) > 0.03 * len(table)
    nothing = (table["No Finding"] == "1.0").fill_null(False)
    assert nothing.any() and not (nothing & positive.select(pl.any_horizontal(pl.all())).to_series()).any()
    assert table["study_id"].to_list() == other["study_id"].to_list() and not table.equals(other)


@pytest.mark.parametrize("finding", [*EIGHT, "Pleural Effusion", "Support Devices", "Lung Lesion"])
def test_a_finding_changes_the_picture_where_it_should(finding: str) -> None:
    """The same random numbers with and without it: the mean difference is larger than the grain of one pixel."""
    for lateral in (False, True):
        with_it, without = (
            np.mean(
                [draw_chest(shown, lateral=lateral, random=seeds.generator(3, "x", i)) for i in range(20)],
                axis=0,
            )
            for shown in ({finding: 0.8}, {})
        )
        assert np.abs(with_it - without).max() > 10


def test_a_picture_is_the_same_every_time() -> None:
    first, second = (jpeg(draw_chest({"Edema": 0.7}, lateral=False, random=seeds.generator(1, "x"))) for _ in range(2))
    assert first == second != jpeg(draw_chest({}, lateral=False, random=seeds.generator(1, "x")))


def test_a_linear_model_sees_the_findings(read: Read, big_hospital: Path) -> None:
    """Pixels in, findings out, trained on one half of the patients and tested on the other."""
    rows = read("cxr/mimic-cxr-2.0.0-metadata").filter(pl.col("ViewPosition").is_in(["AP", "PA"]))
    rows = rows.join(read("cxr/mimic-cxr-2.0.0-chexpert"), on=["subject_id", "study_id"]).sort("dicom_id")
    pixels = []
    for row in rows.iter_rows(named=True):
        folder = big_hospital / "cxr" / "files" / f"p{row['subject_id'][:2]}" / f"p{row['subject_id']}"
        with Image.open(folder / f"s{row['study_id']}" / f"{row['dicom_id']}.jpg") as one:
            pixels.append(np.asarray(one.reduce(4), dtype=float).ravel())
    features = (np.array(pixels) - 128) / 64
    train = (rows["subject_id"].cast(pl.Int64) % 2 == 0).to_numpy()
    for name in (*EIGHT, "Pleural Effusion"):
        truth = (rows[name] == "1.0").fill_null(False).to_numpy()
        model = LogisticRegression(C=0.01, max_iter=300).fit(features[train], truth[train])
        assert roc_auc_score(truth[~train], model.decision_function(features[~train])) > 0.75, name
