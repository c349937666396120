"""Trials by the dozen: cross-validation, baselines, and the run folder."""
