-- The machine's report; it has no admission, and is there when the recording is.
SELECT study_id AS note_id, subject_id, CAST(NULL AS BIGINT) AS hadm_id, ecg_time AS charttime, ecg_time AS storetime,
       nullif(concat_ws(chr(10), report_0, report_1, report_2, report_3, report_4, report_5, report_6, report_7, report_8,
                        report_9, report_10, report_11, report_12, report_13, report_14, report_15, report_16,
                        report_17), '') AS text, unreadable
FROM ecg
