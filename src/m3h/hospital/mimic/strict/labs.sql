-- Laboratory values; a result counts when it was known. Rows without an admission belong to the one they were taken in;
-- those taken in none are of outpatients. Rows whose item, admission or patient cannot be read, and rows that nothing
-- places, go on, to be counted.
SELECT coalesce(l.hadm_id, a.hadm_id) AS hadm_id, l.charttime,
       CASE WHEN l.unreadable IS DISTINCT FROM 'storetime' THEN coalesce(l.storetime, l.charttime) END AS known,
       l.labevent_id, g.signal,
       CASE WHEN possible(l.valuenum, g.low, g.high) AND (l.valuenum > 0 OR g.low IS NULL) THEN l.valuenum END AS value,
       l.unreadable
FROM lab_rows l LEFT JOIN signals g ON g.source = 'labs' AND l.itemid = g.itemid
LEFT JOIN whose_time a ON l.hadm_id IS NULL AND g.itemid IS NOT NULL AND l.unreadable IS DISTINCT FROM 'hadm_id'
                      AND l.subject_id = a.subject_id AND l.charttime >= a.admittime AND l.charttime < a.until
WHERE (g.itemid IS NOT NULL OR l.unreadable = 'itemid')
  AND (coalesce(l.hadm_id, a.hadm_id) IN (SELECT hadm_id FROM samples)
       OR (l.hadm_id IS NULL AND (l.charttime IS NULL OR l.unreadable IN ('hadm_id', 'subject_id'))))
