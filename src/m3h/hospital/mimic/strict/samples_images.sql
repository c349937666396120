-- A sample is a chest image taken during an admission that has an ICU stay.
WITH images AS (
    SELECT *, chest_time(StudyDate, StudyTime) AS t FROM cxr_metadata
),
admitted AS (
    SELECT i.*, a.* EXCLUDE (subject_id)
    FROM images i JOIN cohort a ON i.subject_id = a.subject_id AND i.t BETWEEN a.admittime AND a.dischtime
    -- admissions that overlap: the later one
    QUALIFY row_number() OVER (PARTITION BY i.dicom_id ORDER BY a.admittime DESC, a.hadm_id DESC) = 1
),
stays AS (
    SELECT d.dicom_id,
           -- the stay the image was taken in or after; before the first stay, that one
           coalesce(arg_max(s.stay_id, (s.intime, s.stay_id)) FILTER (s.intime <= d.t),
                    arg_min(s.stay_id, (s.intime, s.stay_id))) AS stay_id
    FROM admitted d JOIN icustays s USING (hadm_id) GROUP BY d.dicom_id
),
findings AS (
    SELECT subject_id, study_id, thoracic_class(
        Atelectasis, Cardiomegaly, Consolidation, Edema, "Enlarged Cardiomediastinum", "Lung Opacity", Pneumonia,
        Pneumothorax) AS thoracic
    FROM cxr_chexpert
    QUALIFY row_number() OVER (PARTITION BY subject_id, study_id) = 1
)
SELECT d.dicom_id AS sample_id, d.subject_id, d.hadm_id, s.stay_id, d.study_id, d.t, d.* EXCLUDE (
           dicom_id, subject_id, hadm_id, study_id, t, ViewPosition, StudyDate, StudyTime, admittime, dischtime, ends),
       d.ViewPosition AS view, x.split AS cxr_split, image_path(d.subject_id, d.study_id, d.dicom_id) AS image,
       hours(d.admittime, d.t) AS hours_since_admission, f.thoracic,
       CAST(d.died AND hours(d.t, d.ends) < 48 AS INTEGER) AS mortality_48h,
       -- a death that was recorded before the image: a clock's error
       greatest(hours(d.t, d.ends), 0) / 24 AS length_of_stay
FROM admitted d JOIN stays s USING (dicom_id)
LEFT JOIN findings f ON f.subject_id = d.subject_id AND f.study_id = d.study_id
LEFT JOIN cxr_split x USING (dicom_id)
ORDER BY d.dicom_id
