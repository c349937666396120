-- A sample is a row of the label file; what a subject is from birth on comes from the events.
WITH events AS (SELECT * FROM read_parquet('data/*/*.parquet')),
subjects AS (
    SELECT subject_id,
           max(time) FILTER (code = 'MEDS_BIRTH') AS born,
           max(code) FILTER (starts_with(code, 'GENDER//')) AS gender
    FROM events GROUP BY subject_id
)
SELECT l.subject_id || '@' || strftime(l.prediction_time, '%Y-%m-%dT%H:%M:%S') AS sample_id, l.subject_id,
       l.prediction_time, date_diff('day', s.born, l.prediction_time) / 365.25 AS age,
       split_part(s.gender, '//', 2) AS gender, l.boolean_value AS mortality,
       CASE p.split WHEN 'held_out' THEN 'test' ELSE 'train' END AS split
FROM read_parquet('labels/*.parquet') l
JOIN subjects s USING (subject_id) JOIN read_parquet('metadata/subject_splits.parquet') p USING (subject_id)
