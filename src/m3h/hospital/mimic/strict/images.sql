-- All images of the samples' patients; each sample sees those up to its own.
SELECT subject_id, chest_time(StudyDate, StudyTime) AS taken, image_path(subject_id, study_id, dicom_id) AS image
FROM cxr_metadata WHERE subject_id IN (SELECT subject_id FROM samples)
