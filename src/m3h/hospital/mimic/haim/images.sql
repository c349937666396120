-- The n images up to the sample's give the times, the first n of the file the images.
WITH every AS (
    SELECT *, chest_time(StudyDate, StudyTime) AS taken,
           row_number() OVER (PARTITION BY subject_id ORDER BY row) AS place
    FROM (SELECT *, row_number() OVER () AS row FROM cxr_metadata)
),
past AS (
    SELECT s.sample_id, s.subject_id, e.taken, row_number() OVER (PARTITION BY s.sample_id ORDER BY e.row) AS place
    FROM samples s JOIN every e ON e.subject_id = s.subject_id AND e.taken <= s.t
)
SELECT p.sample_id, p.taken, image_path(e.subject_id, e.study_id, e.dicom_id) AS image
FROM past p JOIN every e ON e.subject_id = p.subject_id AND e.place = p.place
