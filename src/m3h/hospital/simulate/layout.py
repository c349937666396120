"""Which tables a release of MIMIC-IV has, in which folders, with which columns, and the words in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Release = Literal["1.0", "2.2", "3.1"]
RELEASES: tuple[Release, ...] = get_args(Release)

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture"),
    *("Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia"),
    *("Pneumothorax", "Support Devices"),
)
NOTE = "note_id subject_id hadm_id note_type note_seq charttime storetime text"
ORDER = "orderid linkorderid ordercategoryname"
#: Columns by table. ">" before a name: from 2.2; "<": only in 1.0. Tables with "core|" move to core/ in 1.0.
COLUMNS = {
    "core|admissions": "subject_id hadm_id admittime dischtime deathtime admission_type >admit_provider_id "
    "admission_location discharge_location insurance language marital_status <ethnicity >race edregtime edouttime "
    "hospital_expire_flag",
    "core|patients": "subject_id gender anchor_age anchor_year anchor_year_group dod",
    "core|transfers": "subject_id hadm_id transfer_id eventtype careunit intime outtime",
    "hosp/diagnoses_icd": "subject_id hadm_id seq_num icd_code icd_version",
    "hosp/d_icd_diagnoses": "icd_code icd_version long_title",
    "hosp/procedures_icd": "subject_id hadm_id seq_num chartdate icd_code icd_version",
    "hosp/d_icd_procedures": "icd_code icd_version long_title",
    "hosp/labevents": "labevent_id subject_id hadm_id specimen_id itemid >order_provider_id charttime storetime value "
    "valuenum valueuom ref_range_lower ref_range_upper flag priority comments",
    "hosp/d_labitems": "itemid label fluid category <loinc_code",
    "hosp/services": "subject_id hadm_id transfertime prev_service curr_service",
    "hosp/microbiologyevents": "microevent_id subject_id hadm_id micro_specimen_id >order_provider_id chartdate "
    "charttime spec_itemid spec_type_desc test_seq storedate storetime test_itemid test_name org_itemid org_name "
    "isolate_num quantity ab_itemid ab_name dilution_text dilution_comparison dilution_value interpretation comments",
    ">hosp/provider": "provider_id",
    "icu/icustays": "subject_id hadm_id stay_id first_careunit last_careunit intime outtime los",
    "icu/chartevents": "subject_id hadm_id stay_id >caregiver_id charttime storetime itemid value valuenum valueuom "
    "warning",
    "icu/procedureevents": f"subject_id hadm_id stay_id >caregiver_id starttime endtime storetime itemid value "
    f"valueuom location locationcategory {ORDER} <secondaryordercategoryname ordercategorydescription patientweight "
    "<totalamount <totalamountuom isopenbag continueinnextdept <cancelreason statusdescription <comments_date "
    "originalamount originalrate",
    "icu/inputevents": f"subject_id hadm_id stay_id >caregiver_id starttime endtime storetime itemid amount amountuom "
    f"rate rateuom {ORDER} secondaryordercategoryname ordercomponenttypedescription ordercategorydescription "
    "patientweight totalamount totalamountuom isopenbag continueinnextdept <cancelreason statusdescription "
    "originalamount originalrate",
    "icu/outputevents": "subject_id hadm_id stay_id >caregiver_id charttime storetime itemid value valueuom",
    "icu/datetimeevents": "subject_id hadm_id stay_id >caregiver_id charttime storetime itemid value valueuom warning",
    "icu/d_items": "itemid label abbreviation linksto category unitname param_type lownormalvalue highnormalvalue",
    ">icu/caregiver": "caregiver_id",
    "note/radiology": NOTE,
    "note/radiology_detail": "note_id subject_id field_name field_value field_ordinal",
    "note/discharge": NOTE,
    "note/echo": NOTE,
    "cxr/mimic-cxr-2.0.0-metadata": "dicom_id subject_id study_id PerformedProcedureStepDescription ViewPosition Rows "
    "Columns StudyDate StudyTime ProcedureCodeSequence_CodeMeaning ViewCodeSequence_CodeMeaning "
    "PatientOrientationCodeSequence_CodeMeaning",
    "cxr/mimic-cxr-2.0.0-split": "dicom_id study_id subject_id split",
    "ecg/machine_measurements": "subject_id study_id cart_id ecg_time "
    + " ".join(f"report_{number}" for number in range(18))
    + " bandwidth filtering rr_interval p_onset p_end qrs_onset qrs_end t_end p_axis qrs_axis t_axis",
    "ecg/record_list": "subject_id study_id file_name ecg_time path",
}
#: Columns of version 1.0 that are empty there.
EMPTY = frozenset({"secondaryordercategoryname", "totalamount", "totalamountuom", "cancelreason", "comments_date"})
LABELLERS = ("cxr/mimic-cxr-2.0.0-chexpert", "cxr/mimic-cxr-2.0.0-negbio")


@dataclass(frozen=True)
class Layout:
    """A release: its tables (path without suffix -> columns in their order) and its words."""

    release: Release
    tables: dict[str, tuple[str, ...]]
    groups: tuple[str, ...]
    newborns: bool
    race: str
    races: tuple[tuple[str, float], ...]
    languages: tuple[tuple[str, float], ...]
    insurances: tuple[tuple[str, float], ...]
    capitals: bool

    def path(self, table: str) -> str:
        """The path of a table that may lie in core/ or in hosp/."""
        return next(path for path in self.tables if path.rpartition("/")[2] == table)


def layout(release: Release) -> Layout:
    """The layout of a release. ``capitals``: procedureevents has two column names in capital letters."""
    old = release == "1.0"
    groups = ["2008 - 2010", "2011 - 2013", "2014 - 2016", "2017 - 2019", "2020 - 2022"]
    tables = {
        _path(table, old): tuple(_column(name, release) for name in columns.split() if name[0] != (">" if old else "<"))
        for table, columns in COLUMNS.items()
        if not (old and table.startswith(">"))
    }
    labels = ("subject_id", "study_id", *FINDINGS)
    return Layout(
        release=release,
        tables=tables | dict.fromkeys(LABELLERS, labels),
        groups=tuple(groups if release == "3.1" else groups[:4]),
        newborns=old,
        race="ethnicity" if old else "race",
        races=ETHNICITIES if old else RACES,
        languages=LANGUAGES if release == "3.1" else (("ENGLISH", 9.0), ("?", 1.0)),
        insurances=INSURANCES if release == "3.1" else INSURANCES[:3],
        capitals=release == "2.2",
    )


def _path(table: str, old: bool) -> str:
    if table.startswith("core|"):
        return f"{'core' if old else 'hosp'}/{table.removeprefix('core|')}"
    return table.removeprefix(">")


def _column(name: str, release: Release) -> str:
    name = name.lstrip("<>")
    return name.upper() if release == "2.2" and name in ("originalamount", "originalrate") else name


def words(shares: Sequence[tuple[str, float]]) -> list[str]:
    """The words of a vocabulary with shares."""
    return [word for word, _ in shares]


def weights(shares: Sequence[tuple[str, float]]) -> list[float]:
    """The shares of a vocabulary."""
    return [share for _, share in shares]


INSURANCES = (("Medicaid", 1.0), ("Medicare", 4.0), ("Other", 5.0), ("Private", 3.0), ("No charge", 0.2))
LANGUAGES = (
    *(("English", 18.0), ("Spanish", 1.0), ("Russian", 0.4), ("Chinese", 0.3), ("Portuguese", 0.3)),
    *(("Kabuverdianu", 0.2), ("Haitian", 0.2)),
)
ETHNICITIES = (
    *(("WHITE", 67.0), ("BLACK/AFRICAN AMERICAN", 15.0), ("HISPANIC/LATINO", 5.5), ("OTHER", 5.0), ("ASIAN", 4.0)),
    *(("UNKNOWN", 3.0), ("UNABLE TO OBTAIN", 0.6), ("AMERICAN INDIAN/ALASKA NATIVE", 0.3)),
)
RACES = (
    *(("WHITE", 60.0), ("WHITE - OTHER EUROPEAN", 2.5), ("WHITE - RUSSIAN", 1.4), ("WHITE - EASTERN EUROPEAN", 0.4)),
    *(("WHITE - BRAZILIAN", 0.3), ("PORTUGUESE", 0.4), ("BLACK/AFRICAN AMERICAN", 12.0), ("BLACK/CAPE VERDEAN", 1.5)),
    *(("BLACK/CARIBBEAN ISLAND", 0.7), ("BLACK/AFRICAN", 0.6), ("HISPANIC/LATINO - PUERTO RICAN", 1.7)),
    *(("HISPANIC/LATINO - DOMINICAN", 1.2), ("HISPANIC/LATINO - GUATEMALAN", 0.4), ("HISPANIC OR LATINO", 0.6)),
    *(("SOUTH AMERICAN", 0.3), ("ASIAN", 1.6), ("ASIAN - CHINESE", 1.3), ("ASIAN - SOUTH EAST ASIAN", 0.5)),
    *(("ASIAN - ASIAN INDIAN", 0.5), ("ASIAN - KOREAN", 0.2), ("AMERICAN INDIAN/ALASKA NATIVE", 0.3)),
    *(("NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER", 0.2), ("MULTIPLE RACE/ETHNICITY", 0.2), ("OTHER", 3.6)),
    *(("UNKNOWN", 3.5), ("UNABLE TO OBTAIN", 0.6), ("PATIENT DECLINED TO ANSWER", 0.5)),
)
