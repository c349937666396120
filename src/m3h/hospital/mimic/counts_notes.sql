-- Of the view notes; those that cannot be read are counted apart.
WITH placed AS (
    SELECT n.hadm_id, n.charttime, n.unreadable, a.hadm_id AS by_time, c.hadm_id AS of_table, c.admittime
    FROM (SELECT * EXCLUDE (text) FROM notes) n
    LEFT JOIN whose_notes a ON n.hadm_id IS NULL AND n.subject_id = a.subject_id
                           AND n.charttime >= a.since AND n.charttime < a.until
    LEFT JOIN admissions c ON c.hadm_id = n.hadm_id
)
SELECT getvariable('notes') || ' notes without an admission id, written outside of the patient''s admissions',
       count(*) FILTER (WHERE hadm_id IS NULL AND by_time IS NULL AND charttime IS NOT NULL AND unreadable IS NULL)
FROM placed
UNION ALL
SELECT getvariable('notes') || ' notes without an admission id and without a time',
       count(*) FILTER (WHERE hadm_id IS NULL AND charttime IS NULL AND unreadable IS NULL)
FROM placed
UNION ALL
SELECT getvariable('notes') || ' notes of admissions that the table admissions lacks',
       count(*) FILTER (WHERE hadm_id IS NOT NULL AND of_table IS NULL)
FROM placed
UNION ALL
SELECT getvariable('notes') || ' notes of earlier than a day before their admission',
       count(*) FILTER (WHERE charttime < admittime - INTERVAL 24 HOUR)
FROM placed
