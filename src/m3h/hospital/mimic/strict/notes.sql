-- Notes of the samples' admissions, from a day before; those without an admission by patient and time. A note written
-- at a sample's time may be the report of its very image: a microsecond later it counts as after it.
SELECT coalesce(n.hadm_id, a.hadm_id) AS hadm_id, n.charttime + INTERVAL 1 MICROSECOND AS charttime,
       -- a time that cannot be read is not the time of writing: the note may have been stored much later
       CASE WHEN n.unreadable IS DISTINCT FROM 'storetime'
            THEN greatest(coalesce(n.storetime, n.charttime), n.charttime + INTERVAL 1 MICROSECOND) END AS known,
       n.note_id, n.text
FROM notes n
LEFT JOIN whose_notes a ON n.hadm_id IS NULL AND n.unreadable IS DISTINCT FROM 'hadm_id' AND n.subject_id = a.subject_id
                       AND n.charttime >= a.since AND n.charttime < a.until
JOIN cohort c ON c.hadm_id = coalesce(n.hadm_id, a.hadm_id)
WHERE coalesce(n.hadm_id, a.hadm_id) IN (SELECT hadm_id FROM samples)
  -- those without a time go on, to be counted
  AND coalesce(n.charttime >= c.admittime - INTERVAL 24 HOUR, true)
