-- Without images a sample is an ICU stay, some hours after its beginning; stays that ended earlier are none.
SELECT CAST(s.stay_id AS VARCHAR) AS sample_id, a.subject_id, a.hadm_id, s.stay_id,
       s.intime + to_microseconds(CAST(3.6e9 * getvariable('at_hours') AS BIGINT)) AS t,
       a.* EXCLUDE (subject_id, hadm_id, admittime, dischtime, ends),
       hours(a.admittime, s.intime) + getvariable('at_hours') AS hours_since_admission,
       CAST(NULL AS VARCHAR) AS thoracic,
       CAST(a.died AND hours(s.intime, a.ends) - getvariable('at_hours') < 48 AS INTEGER) AS mortality_48h,
       greatest(hours(s.intime, a.ends) - getvariable('at_hours'), 0) / 24 AS length_of_stay
FROM icustays s JOIN cohort a USING (hadm_id)
WHERE hours(s.intime, s.outtime) >= getvariable('at_hours')
ORDER BY s.stay_id
