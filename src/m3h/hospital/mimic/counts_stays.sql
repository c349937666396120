SELECT 'stays in intensive care that ended before the sample''s time',
       count(*) FILTER (WHERE hadm_id IN (SELECT hadm_id FROM cohort)
                          AND NOT coalesce(hours(intime, outtime) >= getvariable('at_hours'), false))
FROM icustays
