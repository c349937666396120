-- Procedures begun by the sample's time; a duration is cut there. Instantaneous ones count 1. Those without a beginning
-- go on, to be counted; without an end there is no duration.
SELECT s.sample_id, p.starttime, p.endtime, g.signal,
       CASE WHEN coalesce(nullif(p.valueuom, ''), 'None') = 'None' THEN 1.0
            WHEN p.endtime IS NOT NULL THEN greatest(hours(p.starttime, least(p.endtime, s.t)), 0) END AS value
FROM procedureevents p JOIN signals g ON g.source = 'procedures' AND p.itemid = g.itemid
JOIN samples s USING (hadm_id)
WHERE coalesce(p.starttime <= s.t, true)
