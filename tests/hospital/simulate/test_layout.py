"""The layout of each version: every table and column of the public documentation, and what differs between them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from m3h.hospital.simulate.hospital import simulate
from m3h.hospital.simulate.layout import RELEASES, layout

#: Columns by table as the public loading scripts of version 2.2 have them.
PUBLIC = {
    "hosp/admissions": "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
    "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
    "hospital_expire_flag",
    "hosp/patients": "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
    "hosp/diagnoses_icd": "subject_id,hadm_id,seq_num,icd_code,icd_version",
    "hosp/d_icd_diagnoses": "icd_code,icd_version,long_title",
    "hosp/labevents": "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,"
    "valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments",
    "hosp/d_labitems": "itemid,label,fluid,category",
    "hosp/transfers": "subject_id,hadm_id,transfer_id,eventtype,careunit,intime,outtime",
    "hosp/services": "subject_id,hadm_id,transfertime,prev_service,curr_service",
    "hosp/procedures_icd": "subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version",
    "hosp/d_icd_procedures": "icd_code,icd_version,long_title",
    "hosp/microbiologyevents": "microevent_id,subject_id,hadm_id,micro_specimen_id,order_provider_id,chartdate,"
    "charttime,spec_itemid,spec_type_desc,test_seq,storedate,storetime,test_itemid,test_name,org_itemid,org_name,"
    "isolate_num,quantity,ab_itemid,ab_name,dilution_text,dilution_comparison,dilution_value,interpretation,comments",
    "hosp/provider": "provider_id",
    "icu/icustays": "subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los",
    "icu/chartevents": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,"
    "warning",
    "icu/procedureevents": "subject_id,hadm_id,stay_id,caregiver_id,starttime,endtime,storetime,itemid,value,valueuom,"
    "location,locationcategory,orderid,linkorderid,ordercategoryname,ordercategorydescription,patientweight,"
    "isopenbag,continueinnextdept,statusdescription,ORIGINALAMOUNT,ORIGINALRATE",
    "icu/d_items": "itemid,label,abbreviation,linksto,category,unitname,param_type,lownormalvalue,highnormalvalue",
    "icu/outputevents": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valueuom",
    "icu/datetimeevents": "subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valueuom,warning",
    "icu/caregiver": "caregiver_id",
    "note/radiology": "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text",
    "note/radiology_detail": "note_id,subject_id,field_name,field_value,field_ordinal",
    "note/discharge": "note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text",
    "cxr/mimic-cxr-2.0.0-metadata": "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,"
    "Columns,StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,"
    "PatientOrientationCodeSequence_CodeMeaning",
    "cxr/mimic-cxr-2.0.0-chexpert": "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,"
    "Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,"
    "Pneumothorax,Support Devices",
    "cxr/mimic-cxr-2.0.0-split": "dicom_id,study_id,subject_id,split",
    "ecg/machine_measurements": "subject_id,study_id,cart_id,ecg_time,report_0,report_1,report_2,report_3,report_4,"
    "report_5,report_6,report_7,report_8,report_9,report_10,report_11,report_12,report_13,report_14,report_15,"
    "report_16,report_17,bandwidth,filtering,rr_interval,p_onset,p_end,qrs_onset,qrs_end,t_end,p_axis,qrs_axis,t_axis",
}
ONLY_OLD = {
    "icu/procedureevents": {
        *("secondaryordercategoryname", "totalamount", "totalamountuom", "cancelreason", "comments_date"),
    },
    "icu/inputevents": {"cancelreason"},
    "hosp/d_labitems": {"loinc_code"},
}


def headers(folder: Path) -> dict[str, list[str]]:
    found = {}
    for path in folder.rglob("*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            found[path.relative_to(folder).as_posix().removesuffix(".csv.gz")] = stream.readline().strip().split(",")
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_tables_and_columns_of_every_version(release: str, tmp_path: Path) -> None:
    simulate(tmp_path / "h", patients=2, seed=1, release=release, events_per_stay=5)
    found = headers(tmp_path / "h")
    old = release == "1.0"
    for table, text in PUBLIC.items():
        name, columns = table, text.split(",")
        if old:
            if table in ("hosp/provider", "icu/caregiver"):
                assert table not in found
                continue
            if table in ("hosp/admissions", "hosp/patients", "hosp/transfers"):
                name = table.replace("hosp/", "core/")
                assert table not in found
            columns = [column for column in columns if column != "caregiver_id" and not column.endswith("provider_id")]
            if table != "hosp/provider":
                columns = ["ethnicity" if column == "race" else column for column in columns]
        if release != "2.2":
            columns = [column.lower() if column.startswith("ORIGINAL") else column for column in columns]
        extra = ONLY_OLD.get(table, set()) if old else set()
        assert [column for column in found[name] if column not in extra] == columns, table
        assert extra <= set(found[name])
    amounts = {"amount", "rate", "starttime", "endtime", "linkorderid", "totalamountuom", "continueinnextdept"}
    assert amounts <= set(found["icu/inputevents"])
    assert ("cancelreason" in found["icu/inputevents"]) is old


def test_words_of_the_versions() -> None:
    old, demo, new = (layout(release) for release in RELEASES)
    assert (len(old.races), old.race, demo.race) == (8, "ethnicity", "race")
    assert {word for word, _ in demo.languages} == {"ENGLISH", "?"} and "English" in dict(new.languages)
    assert {word for word, _ in demo.insurances} == {"Medicaid", "Medicare", "Other"} and "Private" in dict(
        new.insurances
    )
    assert "2020 - 2022" in new.groups and "2020 - 2022" not in demo.groups
    assert (old.newborns, demo.newborns, new.newborns) == (True, False, False)
