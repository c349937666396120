-- A measurement that has a date without a time is known at the end of that day.
SELECT visit_occurrence_id, measurement_concept_id, CAST(value_as_number AS DOUBLE) AS value,
       coalesce(CAST(measurement_datetime AS TIMESTAMP),
                CAST(measurement_date AS TIMESTAMP) + INTERVAL 1 DAY) AS measured_at
FROM read_csv('measurement.csv', all_varchar = true)
