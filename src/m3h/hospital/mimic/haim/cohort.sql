-- All admissions with an ICU stay. Age is the anchor's; categories are ranks among all values of the table.
WITH ranks AS (
    SELECT hadm_id,
           dense_rank() OVER (ORDER BY race NULLS LAST) - 1 AS ethnicity,
           dense_rank() OVER (ORDER BY marital_status NULLS LAST) - 1 AS marital_status,
           dense_rank() OVER (ORDER BY language NULLS LAST) - 1 AS language,
           dense_rank() OVER (ORDER BY insurance NULLS LAST) - 1 AS insurance
    FROM admissions
)
SELECT a.subject_id, a.hadm_id, a.admittime, a.dischtime, p.anchor_age AS age,
       CASE p.gender WHEN 'F' THEN 0 WHEN 'M' THEN 1 ELSE -1 END AS gender,
       CASE WHEN a.race IS NULL THEN -1 ELSE r.ethnicity END AS ethnicity,
       CASE WHEN a.marital_status IS NULL THEN -1 ELSE r.marital_status END AS marital_status,
       CASE WHEN a.language IS NULL THEN -1 ELSE r.language END AS language,
       CASE WHEN a.insurance IS NULL THEN -1 ELSE r.insurance END AS insurance,
       CASE p.gender WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' END AS sex,
       race_group(a.race) AS race, p.anchor_year_group AS years,
       a.discharge_location IS NOT DISTINCT FROM 'DIED' AS died, a.dischtime AS ends
FROM admissions a JOIN patients p USING (subject_id) JOIN ranks r USING (hadm_id)
WHERE a.hadm_id IN (SELECT hadm_id FROM icustays)
