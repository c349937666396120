-- Billed at discharge: labels, never inputs.
SELECT hadm_id, icd_code, icd_version FROM diagnoses_icd WHERE hadm_id IN (SELECT hadm_id FROM samples)
