SELECT 'admissions that end before they begin', count(*) FILTER (WHERE NOT coalesce(dischtime > admittime, false))
FROM admissions
UNION ALL
SELECT 'admissions of patients under 18',
       count(*) FILTER (WHERE p.anchor_age + year(a.admittime) - p.anchor_year < 18)
FROM admissions a JOIN patients p USING (subject_id)
UNION ALL
SELECT 'admissions without intensive care', count(*) FILTER (WHERE hadm_id NOT IN (SELECT hadm_id FROM icustays))
FROM admissions
UNION ALL
SELECT 'admissions of patients that the table patients lacks',
       count(*) FILTER (WHERE subject_id NOT IN (SELECT subject_id FROM patients))
FROM admissions
