SELECT 'images without a time', count(*) FILTER (WHERE chest_time(StudyDate, StudyTime) IS NULL) FROM cxr_metadata
UNION ALL
SELECT 'images outside of admissions with intensive care',
       count(*) FILTER (WHERE chest_time(StudyDate, StudyTime) IS NOT NULL
                          AND image_path(subject_id, study_id, dicom_id) NOT IN (SELECT image FROM samples))
FROM cxr_metadata
