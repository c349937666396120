-- A row per stay in intensive care and chest image of its admission: an image stands as often as there are stays.
WITH keys AS (
    SELECT subject_id, hadm_id, stay_id, min(place) AS place FROM (
        SELECT DISTINCT subject_id, hadm_id, stay_id, 0 AS place FROM procedureevents
        UNION ALL SELECT DISTINCT subject_id, hadm_id, stay_id, 1 FROM outputevents
        UNION ALL SELECT DISTINCT subject_id, hadm_id, stay_id, 2 FROM inputevents
        UNION ALL SELECT DISTINCT subject_id, hadm_id, stay_id, 3 FROM icustays
    ) GROUP BY ALL
),
numbered AS (
    SELECT subject_id, hadm_id, stay_id,
           row_number() OVER (ORDER BY place, subject_id, hadm_id, stay_id) - 1 AS haim_id
    FROM keys WHERE subject_id IN (SELECT subject_id FROM cxr_chexpert)
),
findings AS (
    SELECT subject_id, study_id, thoracic_class(
        Atelectasis, Cardiomegaly, Consolidation, Edema, "Enlarged Cardiomediastinum", "Lung Opacity", Pneumonia,
        Pneumothorax) AS thoracic
    FROM cxr_chexpert
    QUALIFY row_number() OVER (PARTITION BY subject_id, study_id) = 1
)
SELECT k.haim_id || '-' || i.dicom_id AS sample_id, k.subject_id, k.hadm_id, k.stay_id, i.study_id,
       chest_time(i.StudyDate, i.StudyTime) AS t, c.age, c.gender, c.ethnicity, c.marital_status, c.language,
       c.insurance, c.sex, c.race, c.years, c.died, k.haim_id, i.ViewPosition AS view, x.split AS cxr_split,
       image_path(i.subject_id, i.study_id, i.dicom_id) AS image, hours(c.admittime, t) AS hours_since_admission,
       f.thoracic,
       CASE WHEN hours(t, c.dischtime) >= 48 THEN 0 WHEN c.died THEN 1 END AS mortality_48h,
       hours(t, c.dischtime) / 24 AS length_of_stay
FROM numbered k JOIN cohort c USING (hadm_id)
JOIN cxr_metadata i ON i.subject_id = k.subject_id
                   AND chest_time(i.StudyDate, i.StudyTime) BETWEEN c.admittime AND c.dischtime
LEFT JOIN findings f ON f.subject_id = i.subject_id AND f.study_id = i.study_id
LEFT JOIN cxr_split x ON x.dicom_id = i.dicom_id
ORDER BY sample_id
