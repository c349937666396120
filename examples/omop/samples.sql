-- A sample is a visit, 24 hours after its start; visits that ended earlier are none.
SELECT v.visit_occurrence_id, v.person_id,
       CAST(v.visit_start_datetime AS TIMESTAMP) + INTERVAL 24 HOUR AS predicted_at,
       year(CAST(v.visit_start_datetime AS TIMESTAMP)) - CAST(p.year_of_birth AS INTEGER) AS age,
       CASE p.gender_concept_id WHEN '8507' THEN 'male' WHEN '8532' THEN 'female' END AS sex,
       CAST(d.person_id IS NOT NULL AS INTEGER) AS death,
       date_diff('minute', predicted_at, CAST(v.visit_end_datetime AS TIMESTAMP)) / 1440.0 AS length_of_stay
FROM read_csv('visit_occurrence.csv', all_varchar = true) v
JOIN read_csv('person.csv', all_varchar = true) p USING (person_id)
LEFT JOIN read_csv('death.csv', all_varchar = true) d
       ON d.person_id = v.person_id
      AND CAST(d.death_datetime AS TIMESTAMP) <= CAST(v.visit_end_datetime AS TIMESTAMP)
WHERE CAST(v.visit_end_datetime AS TIMESTAMP) >= predicted_at
