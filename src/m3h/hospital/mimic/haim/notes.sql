-- All notes of the admission, later ones too. Their weight is the hours since the admission: the time runs from a
-- moment 87,600 hours before the sample's, so that none is cut.
SELECT s.sample_id, s.t - INTERVAL 87600 HOUR + (n.charttime - c.admittime) AS at, n.note_id, n.text
FROM notes n
LEFT JOIN whose_notes a ON n.hadm_id IS NULL AND n.subject_id = a.subject_id
                       AND n.charttime >= a.since AND n.charttime < a.until
JOIN cohort c ON c.hadm_id = coalesce(n.hadm_id, a.hadm_id)
JOIN samples s ON s.hadm_id = c.hadm_id
