-- Bedside values of the samples' admissions; what cannot be is missing.
SELECT c.hadm_id, c.charttime, c.storetime, g.signal,
       CASE WHEN possible(c.valuenum, g.low, g.high) THEN c.valuenum END AS value
FROM chartevents c JOIN signals g ON g.source = 'chart' AND c.itemid = g.itemid
WHERE c.hadm_id IN (SELECT hadm_id FROM samples)
