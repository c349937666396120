-- Bedside values of the samples' admissions; what cannot be is missing. Rows whose item or admission cannot be read go
-- on, to be counted.
SELECT c.hadm_id, c.charttime, g.signal,
       CASE WHEN possible(c.valuenum, g.low, g.high) THEN c.valuenum END AS value, c.unreadable
FROM chart_rows c LEFT JOIN signals g ON g.source = 'chart' AND c.itemid = g.itemid
WHERE (g.itemid IS NOT NULL OR c.unreadable = 'itemid')
  AND (c.hadm_id IS NULL OR c.hadm_id IN (SELECT hadm_id FROM samples))
