"""The published embeddings file as a study; the file here is made up, of its width and with its kinds of damage."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from m3h.core.errors import DataError, FolderError
from m3h.hospital.catalog.tasks import THORACIC
from m3h.hospital.haim import PARTS, make_study

FACTS = (
    "haim_id",
    "img_id",
    "img_charttime",
    "img_deltacharttime",
    "discharge_location",
    "img_length_of_stay",
    "death_status",
)
OTHERS = ("Fracture", "Lung Lesion", "No Finding", "Pleural Effusion", "Pleural Other", "Support Devices")
WIDTH = 4845
COLUMNS = [f"{part.prefix}{number}" for part in PARTS for number in range(part.width)]
TAIL = ["split", *sorted((*THORACIC, *OTHERS)), "PerformedProcedureStepDescription", "ViewPosition"]


def row(number: int, haim: int, image: str, **more: Any) -> dict[str, Any]:
    """One row; its features are its number, unless told otherwise."""
    values = np.random.default_rng(number).normal(size=WIDTH).round(4)
    found: dict[str, Any] = dict(zip(COLUMNS, values.tolist(), strict=True))
    found |= {
        "haim_id": haim,
        "img_id": image,
        "img_charttime": f"2180-01-{haim + 1:02} 10:00:00",
        "img_deltacharttime": 5,
    }
    found |= {"discharge_location": "HOME", "img_length_of_stay": 60, "death_status": 0, "split": "train"}
    found |= {"Edema": 1.0, "Pneumonia": -1.0}
    for prefix, value in more.pop("parts", {}).items():
        part = next(one for one in PARTS if one.prefix == prefix)
        found |= {f"{prefix}{place}": value for place in range(part.width)}
    return found | more


def written(folder: Path, rows: list[dict[str, Any]], columns: list[str] | None = None, tail: str = "") -> Path:
    file = folder / "cxr_ic_fusion_1103.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns or [*FACTS, *COLUMNS, *TAIL], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        stream.write(tail)
    return file


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "haim_mimiciv_key_ids.csv"
    file.write_text(
        "stay_id,subject_id,hadm_id\n30000000.0,10000000,20000000\n30000001,10000001,20000001\n30000002,10000002,20000002\n"
    )
    return file


def test_whole_rows_once_each_with_what_is_absent_missing(tmp_path: Path, keys: Path) -> None:
    empty = {"n_ecg_": 0.25}
    file = written(
        tmp_path,
        [
            row(1, 0, "a", parts={"ts_ce_": 0.0, **empty}),
            row(2, 1, "b", parts={"vmd_": 0.0, "vmp_": 0.0, **empty}, death_status=1, img_length_of_stay=30),
            row(3, 2, "c", parts={"ts_le_": 0.0, "n_ecg_": 0.5}, Edema="", Pneumothorax=1.0, Cardiomegaly=1.0),
            row(4, 0, "a"),  # the image again
            row(5, 9, "d"),  # a stay that the key file does not have
            row(6, 1, "e", vd_7="?"),
        ],
        tail="1,f,2180-01-02 10:00:00,5,HOME\n",  # the file ends in the middle of a row
    )
    diagnoses = tmp_path / "mimic" / "hosp" / "diagnoses_icd.csv"  # the only table of MIMIC that is read
    diagnoses.parent.mkdir(parents=True)
    diagnoses.write_text("hadm_id,icd_code,icd_version\n20000000,0380,9\n29999999,I10,10\n")
    made = make_study(file, keys, tmp_path / "study", mimic=tmp_path / "mimic")
    assert pl.read_parquet(tmp_path / "study" / "diagnoses.parquet").rows() == [(20000000, "0380", 9)]
    assert made.samples == 3
    assert dict(made.counts) == {
        "damaged rows": 2,
        "repeated rows of an image and time": 1,
        "rows whose key is not in the key file": 1,
    }
    samples = pl.read_parquet(tmp_path / "study" / "samples.parquet")
    assert samples.select("subject_id", "hadm_id", "thoracic", "length_of_stay", "mortality_48h").rows() == [
        (10000000, 20000000, "Edema", 2.5, 0),
        (10000001, 20000001, "Edema", 1.25, 1),
        (10000002, 20000002, None, 2.5, 0),
    ]

    def who(name: str) -> list[str]:
        return [text[0] for text in pl.read_parquet(tmp_path / "study" / f"{name}.parquet")["sample_id"]]

    assert (who("chart"), who("labs"), who("procedures")) == (["b", "c"], ["a", "b"], ["a", "b", "c"])
    assert who("ecg") == ["c"]  # the vector that two rows share stands for no note
    assert (who("images_dense"), who("image_dense")) == (["a", "c"], ["a", "b", "c"])
    dense = pl.read_parquet(tmp_path / "study" / "image_dense.parquet")
    wanted = np.random.default_rng(1).normal(size=WIDTH).round(4)[COLUMNS.index("vd_0") :][:1024]
    np.testing.assert_allclose(dense.drop("sample_id").row(0), wanted, rtol=1e-6)
    assert json.loads((tmp_path / "study" / "haim.json").read_text())["samples"] == 3


def test_the_study_becomes_a_dataset_of_4845_columns(tmp_path: Path, keys: Path) -> None:
    import m3h

    rows = [
        row(number, number % 3, f"{number}", death_status=number % 2, img_length_of_stay=10 + number)
        for number in range(30)
    ]
    made = make_study(written(tmp_path, rows), keys, tmp_path / "study")
    data = m3h.dataset(m3h.Study.read(made.study), cache=None)
    widths = {name: block.width for name, block in data.blocks.items()}
    assert widths == {part.name: part.width for part in PARTS} and sum(widths.values()) == WIDTH
    assert {name: block.modality for name, block in data.blocks.items()} == {part.name: part.modality for part in PARTS}
    assert set(data.labels) == {"mortality_48h", "length_of_stay", "thoracic_testing", "patient_phenotyping"}


def test_every_lost_line_is_counted(tmp_path: Path, keys: Path) -> None:
    """What is no number, infinite or no time is damage; a quote that does not close takes the lines after it along."""
    rows = [row(number, number % 3, f"{number}") for number in range(9)]
    rows[0]["vd_3"], rows[1]["vd_3"], rows[2]["Edema"], rows[3]["img_charttime"] = "nan", "inf", "yes", "soon"
    rows[6]["discharge_location"] = "quote"
    file = written(tmp_path, rows)
    # as Excel saves it in Europe
    file.write_text("\ufeff" + file.read_text().replace("quote", '"quote').replace(",", ";"))
    made = make_study(file, keys, tmp_path / "study")
    assert made.samples == 2 and dict(made.counts)["damaged rows"] == 4 + 3


def test_diagnoses_of_other_admissions_are_refused(tmp_path: Path, keys: Path) -> None:
    folder = tmp_path / "mimic" / "hosp"
    folder.mkdir(parents=True)
    (folder / "diagnoses_icd.csv").write_text("hadm_id,icd_code,icd_version\n29999999,0380,9\n")
    file = written(tmp_path, [row(1, 0, "a")])
    with pytest.raises(DataError, match="no diagnosis of any sample's admission"):
        make_study(file, keys, tmp_path / "study", mimic=tmp_path / "mimic")


def test_other_files_are_refused(tmp_path: Path, keys: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        make_study(tmp_path / "nothing.csv", keys, tmp_path / "study")
    narrow = [name for name in (*FACTS, *COLUMNS, *TAIL) if name != "vd_1023"]
    with pytest.raises(DataError, match=r"1023 columns vd_0, vd_1") as told:
        make_study(written(tmp_path, [row(1, 0, "a")], narrow), keys, tmp_path / "study")
    assert "1024" in str(told.value)
    file = written(tmp_path, [row(1, 7, "a")])
    with pytest.raises(DataError, match="no whole row whose key is known"):
        make_study(file, keys, tmp_path / "study")
    with pytest.raises(DataError, match="1 whole rows; 0 damaged rows"):
        make_study(file, keys, tmp_path / "study")
    keys.write_text("stay,subject_id,hadm_id\n1,2,3\n")
    with pytest.raises(DataError, match='no column "stay_id"'):
        make_study(file, keys, tmp_path / "study")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.txt").write_text("kept")
    with pytest.raises(FolderError, match="something already"):
        make_study(file, keys, tmp_path / "study")
