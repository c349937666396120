SELECT 'admissions that end before they begin', count(*) FILTER (WHERE NOT coalesce(dischtime > admittime, false))
FROM admissions
UNION ALL
SELECT 'admissions of patients under 18',
       count(*) FILTER (WHERE p.anchor_age + year(a.admittime) - p.anchor_year < 18)
FROM admissions a JOIN patients p USING (subject_id)
UNION ALL
SELECT 'admissions of patients without an age', count(*) FILTER (WHERE p.anchor_age + p.anchor_year IS NULL)
FROM admissions a JOIN patients p USING (subject_id)
UNION ALL
SELECT 'admissions without intensive care', count(*) FILTER (WHERE hadm_id NOT IN (SELECT hadm_id FROM icustays))
FROM admissions
UNION ALL
SELECT 'admissions of patients that the table patients lacks',
       count(*) FILTER (WHERE subject_id NOT IN (SELECT subject_id FROM patients))
FROM admissions
UNION ALL
SELECT 'stays in intensive care of admissions that the table admissions lacks',
       count(*) FILTER (WHERE hadm_id NOT IN (SELECT hadm_id FROM admissions))
FROM icustays
UNION ALL
SELECT 'diagnoses without an admission', count(*) FILTER (WHERE hadm_id IS NULL)
FROM diagnoses_icd
