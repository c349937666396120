-- Bedside values chosen by the text of their label, in the order of the file, with a zero after the last.
WITH found AS (
    SELECT s.sample_id, s.t, g.signal, e.valuenum AS value, e.row
    FROM (SELECT *, row_number() OVER () AS row FROM chartevents) e
    JOIN d_items d USING (itemid) JOIN signals g ON g.source = 'chart' AND d.label = g.label
    JOIN samples s ON e.hadm_id = s.hadm_id AND e.stay_id = s.stay_id
    -- rows without a time are kept
    WHERE coalesce(e.charttime <= s.t, true)
)
-- times only keep the order; the zero comes at the sample's own
SELECT sample_id, t - to_microseconds(1 + row_number() OVER (PARTITION BY sample_id, signal ORDER BY row DESC)) AS at,
       signal, value
FROM found
UNION ALL
SELECT s.sample_id, s.t, g.signal, 0.0 FROM samples s CROSS JOIN (
    SELECT DISTINCT signal FROM signals WHERE source = 'chart') g
