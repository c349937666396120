-- Procedures begun by the sample's time; a duration is cut there. Instantaneous ones count 1.
SELECT s.sample_id, p.starttime, p.endtime, g.signal,
       CASE WHEN coalesce(nullif(p.valueuom, ''), 'None') = 'None' THEN 1.0
            ELSE greatest(hours(p.starttime, least(p.endtime, s.t)), 0) END AS value
FROM procedureevents p JOIN signals g ON g.source = 'procedures' AND p.itemid = g.itemid
JOIN samples s USING (hadm_id)
WHERE p.starttime <= s.t
