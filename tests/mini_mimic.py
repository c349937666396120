# ruff: noqa: E501 - a line is a row of a table
"""A MIMIC of four patients, small enough to be worked by hand."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

#: Patient 10000001 has one admission with two ICU stays, two images in it, one before it and one without a time;
#: 10000002 dies on the day after the next; 10000003 is a child, and 10000004 has no intensive care.
TABLES = {
    "hosp/admissions": """subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,discharge_location,insurance,language,marital_status,race,hospital_expire_flag
10000002,20000002,2150-03-01 08:00:00,2150-03-03 20:00:00,2150-03-03 19:00:00,URGENT,DIED,Medicaid,?,,BLACK/CAPE VERDEAN,1
10000001,20000001,2180-05-06 10:00:00,2180-05-16 10:00:00,,URGENT,HOME,Medicare,ENGLISH,MARRIED,PORTUGUESE,0
10000001,20000009,2180-08-06 10:00:00,2180-08-06 09:00:00,,URGENT,HOME,Medicare,ENGLISH,MARRIED,PORTUGUESE,0
10000003,20000003,2160-01-01 00:00:00,2160-01-09 00:00:00,,URGENT,HOME,Other,English,SINGLE,ASIAN - CHINESE,0
10000004,20000004,2160-01-01 00:00:00,2160-01-09 00:00:00,,URGENT,HOME,Private,English,SINGLE,,0
""",
    "hosp/patients": """subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod
10000001,F,50,2178,2011 - 2013,
10000002,M,91,2149,2014 - 2016,2150-03-03
10000003,M,12,2160,2011 - 2013,
10000004,F,40,2160,2011 - 2013,
""",
    "icu/icustays": """subject_id,hadm_id,stay_id,first_careunit,last_careunit,intime,outtime,los
10000001,20000001,30000012,MICU,MICU,2180-05-10 00:00:00,2180-05-12 00:00:00,2
10000001,20000001,30000011,MICU,MICU,2180-05-06 12:00:00,2180-05-07 06:00:00,0.75
10000002,20000002,30000002,MICU,MICU,2150-03-01 09:00:00,2150-03-03 19:00:00,2.4
10000003,20000003,30000003,MICU,MICU,2160-01-02 00:00:00,2160-01-05 00:00:00,3
""",
    "hosp/diagnoses_icd": """subject_id,hadm_id,seq_num,icd_code,icd_version
10000001,20000001,1,0380,9
10000001,20000001,2, 4280 ,9
10000002,20000002,1,A419,10
10000003,20000003,1,I509,10
""",
    "icu/chartevents": """subject_id,hadm_id,stay_id,caregiver_id,charttime,storetime,itemid,value,valuenum,valueuom,warning
10000001,20000001,30000011,1,2180-05-06 14:00:00,2180-05-06 14:01:00,220045,90,90,bpm,0
10000001,20000001,30000011,1,2180-05-06 13:00:00,2180-05-06 13:01:00,220045,80,80,bpm,0
10000001,20000001,30000011,1,2180-05-06 15:00:00,2180-05-06 15:01:00,220045,85,85,bpm,0
10000001,20000001,30000011,1,2180-05-06 15:30:00,2180-05-06 15:31:00,220045,9999,9999,bpm,0
10000001,20000001,30000011,1,2180-05-06 16:00:00,2180-05-06 16:01:00,226512,70,70,kg,0
10000001,20000001,30000012,1,2180-05-10 03:00:00,2180-05-10 03:01:00,220045,100,100,bpm,0
10000002,20000002,30000002,1,not a time,2150-03-01 10:01:00,220277,97,97,%,0
""",
    "hosp/labevents": """labevent_id,subject_id,hadm_id,specimen_id,itemid,charttime,storetime,value,valuenum,valueuom
3,10000001,20000001,1,50931,2180-05-06 11:00:00,2180-05-06 12:30:00,140,140,mg/dL
2,10000001,20000001,1,50931,2180-05-06 11:00:00,2180-05-06 12:30:00,150,150,mg/dL
7,10000001,,1,50971,2180-05-06 10:30:00,,4.1,4.1,mEq/L
8,10000001,,1,50971,2180-05-06 09:30:00,,4.4,4.4,mEq/L
9,10000001,20000001,1,51478,2180-05-06 11:00:00,2180-05-06 12:30:00,300,300,mg/dL
10,10000001,20000001,1,50868,2180-05-06 11:00:00,2180-05-06 12:30:00,-2,-2,mEq/L
11,10000001,20000001,1,50902,2180-05-06 11:00:00,2180-05-06 12:30:00,0,0,mEq/L
""",
    "icu/procedureevents": """subject_id,hadm_id,stay_id,caregiver_id,starttime,endtime,storetime,itemid,value,valueuom,ORIGINALAMOUNT
10000001,20000001,30000011,1,2180-05-06 13:00:00,2180-05-06 19:00:00,2180-05-06 19:00:12.3,229351,360,min,1
10000001,20000001,30000011,1,2180-05-06 15:00:00,2180-05-06 15:00:01,2180-05-06 15:10:00,225400,1,None,1
10000001,20000001,30000012,1,2180-05-10 05:00:00,2180-05-10 09:00:00,2180-05-10 09:00:00,229351,4,hour,1
""",
    "icu/d_items": """itemid,label,abbreviation,linksto
220045,Heart Rate,HR,chartevents
220277,O2 saturation pulseoxymetry,SpO2,chartevents
229351,Foley Catheter,Foley,procedureevents
225400,Bronchoscopy,Bronch,procedureevents
""",
    "hosp/d_labitems": """itemid,label,fluid,category
50931,Glucose,Blood,Chemistry
51478,Glucose,Urine,Hematology
50971,Potassium,Blood,Chemistry
50868,Anion Gap,Blood,Chemistry
50902,Chloride,Blood,Chemistry
""",
    "note/radiology": """note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text
10000001-RR-1,10000001,,RR,1,2180-05-05 20:00:00,2180-05-05 21:00:00,"the day before
two lines"
10000001-RR-2,10000001,,RR,2,2180-05-01 20:00:00,2180-05-01 21:00:00,five days before
10000001-RR-3,10000001,20000001,RR,3,2180-05-06 16:00:00,2180-05-06 16:40:00,the report of the first image
10000001-RR-4,10000001,20000001,RR,4,2180-05-06 15:00:00,2180-05-06 18:00:00,known later
10000001-RR-5,10000001,20000001,RR,5,2180-05-10 03:00:00,,between the images
""",
    "ecg/machine_measurements": """subject_id,study_id,cart_id,ecg_time,report_0,report_1,report_2
10000001,40000001,1,2180-05-06 10:30:00,Sinus rhythm,,Normal ECG
10000001,40000002,1,2179-05-06 10:30:00,Sinus rhythm,,Normal ECG
""",
    "cxr/mimic-cxr-2.0.0-metadata": """dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime
aaaaaaaa-1,10000001,50000001,CHEST,AP,64,64,21800506,160000.5
bbbbbbbb-2,10000001,50000002,CHEST,PA,64,64,21800510,40059.9
cccccccc-3,10000001,50000003,CHEST,PA,64,64,21800506,93012.5
dddddddd-4,10000001,50000004,CHEST,PA,64,64,21800506,
eeeeeeee-5,10000002,50000005,CHEST,AP,64,64,21500301,200000
ffffffff-6,10000003,50000006,CHEST,AP,64,64,21600103,100000
""",
    "cxr/mimic-cxr-2.0.0-chexpert": """subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices
10000001,50000001,,1.0,,0.0,,,,,,1.0,,-1.0,,
10000001,50000002,1.0,1.0,,,,,,,,,,,,
10000002,50000005,,,,1.0,,,,,,,,,,
""",
    "cxr/mimic-cxr-2.0.0-split": """dicom_id,study_id,subject_id,split
aaaaaaaa-1,50000001,10000001,train
eeeeeeee-5,50000005,10000002,test
""",
}
#: Of the samples' images all but the last are there.
IMAGES = ("p10/p10000001/s50000001/aaaaaaaa-1.jpg", "p10/p10000001/s50000002/bbbbbbbb-2.jpg")
Write = Callable[..., Path]


@pytest.fixture
def mimic(tmp_path: Path) -> Write:
    """Writes the tables below a folder: without those of ``without``, with those of ``replaced`` instead."""

    def write(*, without: tuple[str, ...] = (), replaced: dict[str, str] | None = None, name: str = "mimic") -> Path:
        folder = tmp_path / name
        for table, text in {**TABLES, **(replaced or {})}.items():
            if not any(table.startswith(part) for part in without):
                file = folder / f"{table}.csv.gz"
                file.parent.mkdir(parents=True, exist_ok=True)
                with gzip.GzipFile(file, "wb", mtime=0) as stream:
                    stream.write(text.encode())
        if not any("cxr/".startswith(part) for part in without):
            for image in IMAGES:
                (folder / "cxr" / "files" / image).parent.mkdir(parents=True, exist_ok=True)
                (folder / "cxr" / "files" / image).write_bytes(b"not looked into")
        return folder

    return write
