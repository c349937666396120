-- Admissions of adults with an ICU stay, with demographics in fixed codes, never ranks of the data at hand.
SELECT a.subject_id, a.hadm_id, a.admittime, a.dischtime,
       least(p.anchor_age + year(a.admittime) - p.anchor_year, 91) AS age,
       CASE p.gender WHEN 'F' THEN 0 WHEN 'M' THEN 1 END AS gender,
       race_code(a.race) AS ethnicity,
       CASE upper(trim(a.marital_status)) WHEN 'DIVORCED' THEN 0 WHEN 'MARRIED' THEN 1 WHEN 'SINGLE' THEN 2
            WHEN 'WIDOWED' THEN 3 ELSE -1 END AS marital_status,
       CAST(upper(trim(a.language)) = 'ENGLISH' AS INTEGER) AS language,
       CASE upper(trim(a.insurance)) WHEN 'MEDICAID' THEN 0 WHEN 'MEDICARE' THEN 1 ELSE 2 END AS insurance,
       CASE p.gender WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' END AS sex,
       race_group(a.race) AS race,
       p.anchor_year_group AS years,
       a.hospital_expire_flag = 1 OR a.discharge_location IS NOT DISTINCT FROM 'DIED' AS died,
       -- a stay ends at death
       CASE WHEN a.hospital_expire_flag = 1 OR a.discharge_location IS NOT DISTINCT FROM 'DIED'
            THEN coalesce(a.deathtime, a.dischtime) ELSE a.dischtime END AS ends
FROM admissions a JOIN patients p USING (subject_id)
WHERE a.dischtime > a.admittime
  AND p.anchor_age + year(a.admittime) - p.anchor_year >= 18
  AND a.hadm_id IN (SELECT hadm_id FROM icustays)
