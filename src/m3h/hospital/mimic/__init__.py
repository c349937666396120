"""MIMIC-IV to a study: what is particular to MIMIC is data and SQL; the study file's own sources do the rest."""
