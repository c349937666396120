-- Without images, as in the strict profile, but with HAIM's demographics and labels.
SELECT CAST(s.stay_id AS VARCHAR) AS sample_id, c.subject_id, c.hadm_id, s.stay_id,
       s.intime + to_microseconds(CAST(3.6e9 * getvariable('at_hours') AS BIGINT)) AS t, c.age, c.gender, c.ethnicity, c.marital_status, c.language,
       c.insurance, c.sex, c.race, c.years, c.died, hours(c.admittime, t) AS hours_since_admission,
       CAST(NULL AS VARCHAR) AS thoracic,
       CASE WHEN hours(t, c.dischtime) >= 48 THEN 0 WHEN c.died THEN 1 END AS mortality_48h,
       hours(t, c.dischtime) / 24 AS length_of_stay
FROM icustays s JOIN cohort c USING (hadm_id)
WHERE hours(s.intime, s.outtime) >= getvariable('at_hours')
ORDER BY s.stay_id
