-- Laboratory values; a result counts when it was known. Rows without an admission belong to the one they were taken in.
SELECT coalesce(l.hadm_id, a.hadm_id) AS hadm_id, l.charttime, coalesce(l.storetime, l.charttime) AS known,
       l.labevent_id, g.signal,
       CASE WHEN possible(l.valuenum, g.low, g.high) AND (l.valuenum > 0 OR g.low IS NULL) THEN l.valuenum END AS value
FROM labevents l JOIN signals g ON g.source = 'labs' AND l.itemid = g.itemid
LEFT JOIN whose_time a ON l.hadm_id IS NULL AND l.subject_id = a.subject_id
                      AND l.charttime >= a.admittime AND l.charttime < a.until
WHERE coalesce(l.hadm_id, a.hadm_id) IN (SELECT hadm_id FROM samples)
