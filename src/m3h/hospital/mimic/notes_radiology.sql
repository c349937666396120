SELECT note_id, subject_id, hadm_id, charttime, storetime, text, unreadable FROM radiology
